//! Conversations as a Parquet file.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder, StructBuilder,
};
use arrow::datatypes::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use serde::Serialize;

use crate::synthetic_conversation::SyntheticConversation;

pub(super) fn bytes(conversations: &[SyntheticConversation]) -> Vec<u8> {
    let batch = batch(conversations);
    let mut bytes = Vec::new();
    let written = ArrowWriter::try_new(&mut bytes, batch.schema(), None).and_then(|mut writer| {
        writer.write(&batch)?;
        writer.close()
    });
    written.expect("a batch with its own schema can be written to memory");
    bytes
}

fn batch(conversations: &[SyntheticConversation]) -> RecordBatch {
    let texts = |text: &dyn Fn(&SyntheticConversation) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            conversations.iter().map(text),
        ))
    };
    let optional = |text: &dyn Fn(&SyntheticConversation) -> Option<String>| -> ArrayRef {
        Arc::new(conversations.iter().map(text).collect::<StringArray>())
    };
    let columns = vec![
        ("id", texts(&|it| it.id.clone())),
        ("messages", Arc::new(messages(conversations)) as ArrayRef),
        ("teacher_system", optional(&|it| it.teacher_system.clone())),
        ("kind", texts(&|it| it.kind.clone())),
        ("strategy", optional(&|it| it.strategy.clone())),
        ("source", texts(&|it| it.source.name.clone())),
        ("licence", texts(&|it| it.source.licence.clone())),
        ("teacher", texts(&|it| it.teacher.clone())),
        ("sampling", texts(&|it| json(&it.sampling))),
        ("verdicts", texts(&|it| json(&it.verdicts))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of equal length")
}

fn messages(conversations: &[SyntheticConversation]) -> ListArray {
    let fields = ["role", "content"].map(|name| Field::new(name, DataType::Utf8, false));
    let fields = Fields::from(fields.to_vec());
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for conversation in conversations {
        for message in &conversation.messages {
            let texts = [message.role.as_str(), message.content.as_str()];
            for (field, text) in texts.into_iter().enumerate() {
                let builder = lists.values().field_builder::<StringBuilder>(field);
                builder.expect("a column of texts").append_value(text);
            }
            lists.values().append(true);
        }
        lists.append(true);
    }
    lists.finish()
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("settings can be written as JSON")
}
