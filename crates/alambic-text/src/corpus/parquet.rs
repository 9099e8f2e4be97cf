//! Documents of a Parquet file.

use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, LargeListArray, LargeStringArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{conversation, open_file};
use crate::contained::contained;
use crate::conversation::{Message, PromptErasing, Role};
use crate::document::{Document, DocumentSource, SourcedDocument};
use crate::error::{Cause, TextError};

/// The column of system messages that only the teacher saw.
const TEACHER_SYSTEM: &str = "teacher_system";

/// Rows decoded at a time: bounds the memory that one file needs.
const BATCH_ROWS: usize = 256;

const EXPECTED_COLUMNS: &str = "exactly one of the columns `text` (strings) and `messages` \
                                (lists of structs of the strings `role` and `content`), beside the latter \
                                perhaps `teacher_system` (strings)";

/// Reads the one column of a Parquet file that holds documents, batch by batch.
#[derive(Debug)]
pub(super) struct ParquetReader {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    erasing: PromptErasing,
    column: Option<Column>,
    next_row: usize,
    record: u64,
    skipped_empty: u64,
}

/// The documents of one batch of rows.
#[derive(Debug)]
enum Column {
    Text(LargeStringArray),
    Messages(Box<MessageLists>),
}

/// Rows of messages: row `i` owns the messages between two neighbouring offsets.
#[derive(Debug)]
struct MessageLists {
    rows: LargeListArray,
    roles: LargeStringArray,
    contents: LargeStringArray,
    teacher_systems: Option<LargeStringArray>,
}

impl ParquetReader {
    pub(super) fn open(path: &Path, erasing: PromptErasing) -> Result<Self, TextError> {
        let file = open_file(path)?;
        let builder = guarded(path, 0, || ParquetRecordBatchReaderBuilder::try_new(file))?;
        let columns = columns(path, builder.schema())?;
        let projection = ProjectionMask::roots(builder.parquet_schema(), columns);
        let builder = builder
            .with_projection(projection)
            .with_batch_size(BATCH_ROWS);
        let batches = guarded(path, 0, || builder.build())?;
        Ok(Self {
            path: path.to_owned(),
            batches,
            erasing,
            column: None,
            next_row: 0,
            record: 0,
            skipped_empty: 0,
        })
    }

    pub(super) fn skipped_empty(&self) -> u64 {
        self.skipped_empty
    }

    pub(super) fn next_document(&mut self) -> Result<Option<SourcedDocument>, TextError> {
        loop {
            let Some(column) = &self.column else {
                let next = || self.batches.next().transpose();
                let Some(batch) = guarded(&self.path, self.record, next)? else {
                    return Ok(None);
                };
                self.column = Some(Column::try_new(&self.path, &batch)?);
                self.next_row = 0;
                continue;
            };
            if self.next_row == column.num_rows() {
                self.column = None;
                continue;
            }
            self.record += 1;
            let source = DocumentSource {
                path: self.path.clone(),
                record: self.record,
            };
            let document = column.document(self.next_row, &source, &self.erasing)?;
            self.next_row += 1;
            match document {
                Some(document) => return Ok(Some(SourcedDocument { document, source })),
                None => self.skipped_empty += 1,
            }
        }
    }
}

impl Column {
    fn try_new(path: &Path, batch: &RecordBatch) -> Result<Self, TextError> {
        if let Some(texts) = batch.column_by_name("text") {
            return Ok(Self::Text(strings(path, texts)?));
        }
        MessageLists::try_new(path, batch).map(|lists| Self::Messages(Box::new(lists)))
    }

    fn num_rows(&self) -> usize {
        match self {
            Self::Text(texts) => texts.len(),
            Self::Messages(lists) => lists.rows.len(),
        }
    }

    /// The row's document, or `None` if there is no text in it.
    fn document(
        &self,
        row: usize,
        place: &DocumentSource,
        erasing: &PromptErasing,
    ) -> Result<Option<Document>, TextError> {
        match self {
            Self::Text(texts) => {
                let text = value(texts, row, "text", place)?;
                Ok((!text.is_empty()).then(|| Document::Text(text.to_owned())))
            }
            Self::Messages(lists) => {
                let messages = lists.messages(row, place)?;
                let teacher_system = lists.teacher_system(row);
                let conversation =
                    conversation(messages, teacher_system, erasing, || place.clone())?;
                Ok(Some(Document::Conversation(conversation)))
            }
        }
    }
}

impl MessageLists {
    fn try_new(path: &Path, batch: &RecordBatch) -> Result<Self, TextError> {
        let column = batch.column_by_name("messages");
        let column = column.ok_or_else(|| wrong_columns(path, "neither".to_owned()))?;
        let teacher_systems = batch.column_by_name(TEACHER_SYSTEM);
        let rows = match column.data_type() {
            DataType::List(item) => {
                let large = DataType::LargeList(item.clone());
                guarded(path, 0, || cast(column, &large))?
            }
            _ => column.clone(),
        };
        // The schema was checked when the file was opened.
        let wrong_type = || wrong_columns(path, column.data_type().to_string());
        let rows = rows.as_list_opt::<i64>().ok_or_else(wrong_type)?.clone();
        let messages = rows.values().as_struct_opt().ok_or_else(wrong_type)?;
        let field = |name| {
            let values = messages.column_by_name(name).ok_or_else(wrong_type)?;
            strings(path, values)
        };
        Ok(Self {
            roles: field("role")?,
            contents: field("content")?,
            rows,
            teacher_systems: teacher_systems.map(|it| strings(path, it)).transpose()?,
        })
    }

    fn teacher_system(&self, row: usize) -> Option<&str> {
        let systems = self.teacher_systems.as_ref()?;
        (!systems.is_null(row)).then(|| systems.value(row))
    }

    fn messages(&self, row: usize, place: &DocumentSource) -> Result<Vec<Message>, TextError> {
        if self.rows.is_null(row) {
            return Err(null_field("messages", place));
        }
        let offsets = self.rows.value_offsets();
        (offsets[row] as usize..offsets[row + 1] as usize)
            .map(|i| {
                let name = value(&self.roles, i, "role", place)?;
                let role = Role::from_name(name).ok_or_else(|| TextError::UnknownRole {
                    place: place.clone(),
                    found: name.to_owned(),
                })?;
                Ok(Message::new(
                    role,
                    value(&self.contents, i, "content", place)?,
                ))
            })
            .collect()
    }
}

fn value<'a>(
    strings: &'a LargeStringArray,
    index: usize,
    field: &'static str,
    place: &DocumentSource,
) -> Result<&'a str, TextError> {
    if strings.is_null(index) {
        return Err(null_field(field, place));
    }
    Ok(strings.value(index))
}

fn null_field(field: &'static str, place: &DocumentSource) -> TextError {
    TextError::NullField {
        place: place.clone(),
        field,
    }
}

/// The indices of the column with documents, if there is exactly one and its type is right, and of what the teacher saw.
fn columns(path: &Path, schema: &Schema) -> Result<Vec<usize>, TextError> {
    let (index, field) = match (
        schema.column_with_name("text"),
        schema.column_with_name("messages"),
    ) {
        (Some(column), None) | (None, Some(column)) => column,
        _ => {
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(wrong_columns(path, format!("columns {names:?}")));
        }
    };
    let data_type = field.data_type();
    let fits = if field.name() == "text" {
        is_string(data_type)
    } else {
        is_messages(data_type)
    };
    if !fits {
        let found = format!("column `{}` of type {data_type}", field.name());
        return Err(wrong_columns(path, found));
    }
    let teacher_system = schema.column_with_name(TEACHER_SYSTEM);
    match teacher_system.filter(|_| field.name() == "messages") {
        Some((_, field)) if !is_string(field.data_type()) => {
            let found = format!("column `{TEACHER_SYSTEM}` of type {}", field.data_type());
            Err(wrong_columns(path, found))
        }
        Some((teacher_system, _)) => Ok(vec![index, teacher_system]),
        None => Ok(vec![index]),
    }
}

fn is_string(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_string(values),
        _ => false,
    }
}

/// Whether it is a list of structs of the strings `role` and `content`, and of nothing else.
fn is_messages(data_type: &DataType) -> bool {
    let (DataType::List(item) | DataType::LargeList(item)) = data_type else {
        return false;
    };
    let DataType::Struct(fields) = item.data_type() else {
        return false;
    };
    fields.len() == 2
        && ["role", "content"].iter().all(|name| {
            let field = fields.find(name);
            field.is_some_and(|(_, field)| is_string(field.data_type()))
        })
}

fn strings(path: &Path, column: &ArrayRef) -> Result<LargeStringArray, TextError> {
    let column = guarded(path, 0, || cast(column, &DataType::LargeUtf8))?;
    match column.as_string_opt::<i64>() {
        Some(strings) => Ok(strings.clone()),
        None => Err(wrong_columns(path, column.data_type().to_string())),
    }
}

fn wrong_columns(path: &Path, found: String) -> TextError {
    TextError::ParquetColumns {
        path: path.to_owned(),
        expected: EXPECTED_COLUMNS,
        found,
    }
}

/// Runs the Parquet library on bytes that may be hostile: it panics at some of them.
fn guarded<T, E: std::error::Error + Send + Sync + 'static>(
    path: &Path,
    row: u64,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, TextError> {
    contained("the Parquet library", read).map_err(|source| parquet_failed(path, row, source))
}

fn parquet_failed(path: &Path, row: u64, source: Cause) -> TextError {
    TextError::Parquet {
        path: path.to_owned(),
        row,
        source,
    }
}
