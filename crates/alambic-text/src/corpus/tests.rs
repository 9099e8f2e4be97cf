use std::io::Write;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    ArrayRef, DictionaryArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    StringViewArray, StructBuilder,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use tempfile::{NamedTempFile, TempDir};

use super::*;
use crate::conversation::{Message, Role};
use crate::document::Document;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn corpus(path: &Path, format: CorpusFormat) -> Result<Corpus, TextError> {
    Corpus::open(CorpusConfig {
        files: vec![path.to_owned()],
        format,
        erasing: PromptErasing::Keep,
    })
}

fn text_format(separator: &str, trim: Trim) -> CorpusFormat {
    CorpusFormat::Text {
        separator: separator.to_owned(),
        trim,
    }
}

/// The texts of a corpus of plain text, and how many empty documents were skipped.
fn texts(bytes: &[u8], format: CorpusFormat) -> (Vec<String>, u64) {
    let file = file(bytes);
    let mut documents = corpus(file.path(), format).unwrap().documents();
    let texts = documents
        .by_ref()
        .map(|document| match document.unwrap().document {
            Document::Text(text) => text,
            other => panic!("expected text, found {other:?}"),
        })
        .collect();
    (texts, documents.skipped_empty())
}

fn first_error(bytes: &[u8], format: CorpusFormat) -> TextError {
    let file = file(bytes);
    let mut documents = corpus(file.path(), format).unwrap().documents();
    let error = documents.find_map(Result::err).unwrap();
    assert!(documents.next().is_none(), "an error ends the stream");
    assert!(
        error.to_string().contains(file.path().to_str().unwrap()),
        "{error}"
    );
    error
}

#[test]
fn text_is_cut_at_separators_and_trimmed_when_asked() {
    let bytes = " one \n<|e|>\ntwo<|e|>".as_bytes();
    let (trimmed, _) = texts(bytes, text_format("<|e|>", Trim::Whitespace));
    assert_eq!(trimmed, ["one", "two"]);
    let (kept, _) = texts(bytes, text_format("<|e|>", Trim::Keep));
    assert_eq!(kept, [" one \n", "\ntwo"]);
}

#[test]
fn empty_documents_are_counted_and_do_not_shift_records() {
    let bytes = b"ab||cd|\n|ef|";
    let (trimmed, skipped) = texts(bytes, text_format("|", Trim::Whitespace));
    assert_eq!(
        (trimmed, skipped),
        (vec!["ab".into(), "cd".into(), "ef".into()], 2)
    );
    let (kept, skipped) = texts(bytes, text_format("|", Trim::Keep));
    assert_eq!(kept, ["ab", "cd", "\n", "ef"]);
    assert_eq!(skipped, 1);
}

#[test]
fn a_separator_may_straddle_chunks_and_nothing_is_lost() {
    let separator = "<|endoftext|>";
    for first_length in 65_510..65_550 {
        let first = "\u{e9}".repeat(first_length / 2) + &"x".repeat(first_length % 2);
        let text = format!("{first}{separator}<<|{separator}end");
        let (found, skipped) = texts(text.as_bytes(), text_format(separator, Trim::Keep));
        assert!(
            found == [first.as_str(), "<<|", "end"] && skipped == 0,
            "{first_length}"
        );
    }
}

#[test]
fn sources_count_files_and_records() {
    let files = [file(b"a|b"), file(b"c")];
    let corpus = Corpus::open(CorpusConfig {
        files: files.iter().map(|file| file.path().to_owned()).collect(),
        format: text_format("|", Trim::Keep),
        erasing: PromptErasing::Keep,
    })
    .unwrap();
    for _ in 0..2 {
        let sources: Vec<(PathBuf, u64)> = corpus
            .documents()
            .map(|document| document.unwrap().source)
            .map(|source| (source.path, source.record))
            .collect();
        let [first, second] = files.each_ref().map(|file| file.path().to_owned());
        assert_eq!(sources, [(first.clone(), 1), (first, 2), (second, 1)]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_reported_with_their_offset_in_the_file() {
    let mut bytes = b"good|".repeat(30_000);
    bytes.extend(b"bad \xFF here|");
    let error = first_error(&bytes, text_format("|", Trim::Keep));
    assert!(
        matches!(
            error,
            TextError::InvalidUtf8 {
                byte_offset: 150_004,
                ..
            }
        ),
        "{error}"
    );

    let error = first_error(
        b"{\"text\": \"a\"}\n{\"text\": \"\xC3\"}\n",
        CorpusFormat::Jsonl,
    );
    assert!(
        matches!(
            error,
            TextError::InvalidUtf8 {
                byte_offset: 24,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn byte_order_marks_are_refused_with_the_name_of_the_encoding() {
    for (bytes, name) in [
        (&b"\xEF\xBB\xBFhello"[..], "UTF-8 with a mark"),
        (b"\xFF\xFEh\0i\0", "UTF-16 (little endian)"),
        (b"\xFE\xFF\0h\0i", "UTF-16 (big endian)"),
    ] {
        for format in [text_format("|", Trim::Keep), CorpusFormat::Jsonl] {
            let file = file(bytes);
            let mut documents = corpus(file.path(), format).unwrap().documents();
            let message = documents.next().unwrap().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}

#[test]
fn files_that_are_missing_empty_or_directories_are_refused_when_opened() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("missing.txt");
    let empty = file(b"");
    let open = |path: &Path| corpus(path, CorpusFormat::Jsonl).unwrap_err();
    assert!(matches!(
        open(&missing),
        TextError::File { action: "open", .. }
    ));
    assert!(matches!(
        open(directory.path()),
        TextError::NotAFile {
            found: "a directory",
            ..
        }
    ));
    assert!(matches!(open(empty.path()), TextError::EmptyFile { .. }));
}

#[test]
fn options_that_cannot_work_are_refused() {
    let file = file(b"text");
    let error = corpus(file.path(), text_format("", Trim::Keep)).unwrap_err();
    assert!(error.to_string().starts_with("separator must be"));
    let no_files = CorpusConfig {
        files: Vec::new(),
        format: CorpusFormat::Jsonl,
        erasing: PromptErasing::Keep,
    };
    assert!(Corpus::open(no_files).is_err());
}

#[test]
fn jsonl_holds_texts_and_conversations_among_other_keys() {
    let lines = concat!(
        "{\"id\": 7, \"text\": \"caf\\u00e9 \"}\n",
        "\n",
        "{\"text\": \"\"}\r\n",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"score\": 1}",
    );
    let file = file(lines.as_bytes());
    let corpus = Corpus::open(CorpusConfig {
        files: vec![file.path().to_owned()],
        format: CorpusFormat::Jsonl,
        erasing: PromptErasing::RemoveSystem,
    })
    .unwrap();
    let mut documents = corpus.documents();
    let first = documents.next().unwrap().unwrap();
    assert_eq!(first.document, Document::Text("caf\u{e9} ".into()));
    let second = documents.next().unwrap().unwrap();
    assert_eq!(second.source.record, 4);
    let Document::Conversation(conversation) = second.document else {
        panic!("expected a conversation");
    };
    assert_eq!(conversation.messages, [Message::new(Role::User, "hi")]);
    assert_eq!(conversation.erasing, PromptErasing::RemoveSystem);
    assert!(documents.next().is_none());
    assert_eq!(documents.skipped_empty(), 2);
}

/// The conversations of a file with two records: what the teacher alone saw stands beside the first.
fn conversations(path: &Path, format: CorpusFormat) -> Vec<Conversation> {
    let documents = corpus(path, format).unwrap().documents();
    let conversation = |document: SourcedDocument| match document.document {
        Document::Conversation(conversation) => conversation,
        Document::Text(text) => panic!("expected a conversation, found {text}"),
    };
    documents.map(|it| conversation(it.unwrap())).collect()
}

#[test]
fn a_system_message_of_the_teachers_own_is_erased_from_its_record_alone() {
    let lines = concat!(
        r#"{"messages": [{"role": "user", "content": "hi"}], "teacher_system": "strategy"}"#,
        "\n",
        r#"{"messages": [{"role": "system", "content": "be brief"}]}"#,
    );
    let jsonl = file(lines.as_bytes());
    let rows: [&[(&str, &str)]; 2] = [&[("user", "hi")], &[("system", "be brief")]];
    let teacher_systems: ArrayRef = Arc::new(StringArray::from(vec![Some("strategy"), None]));
    let parquet = parquet_file(vec![
        ("teacher_system", teacher_systems),
        ("messages", message_lists(&rows)),
    ]);
    for (path, format) in [
        (jsonl.path(), CorpusFormat::Jsonl),
        (parquet.path(), CorpusFormat::Parquet),
    ] {
        let [first, second] = &conversations(path, format.clone())[..] else {
            panic!("expected two conversations");
        };
        assert_eq!(
            first.student_view().messages(),
            [Message::new(Role::User, "hi")]
        );
        let strategy = Message::new(Role::System, "strategy");
        assert_eq!(first.teacher_view().messages()[0], strategy);
        assert_eq!(
            second.student_view().messages(),
            second.teacher_view().messages()
        );
        let erasing = Corpus::open(CorpusConfig {
            files: vec![path.to_owned()],
            format,
            erasing: PromptErasing::RemoveSystem,
        });
        let error = erasing.unwrap().documents().next().unwrap().unwrap_err();
        assert!(matches!(error, TextError::TeacherSystem { .. }), "{error}");
    }
    let late = r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "x"}],
                   "teacher_system": "strategy"}"#;
    let error = first_error(late.replace('\n', "").as_bytes(), CorpusFormat::Jsonl).to_string();
    assert!(
        error.contains("record 1") && error.contains("not its first"),
        "{error}"
    );
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let wrong = parquet_file(vec![
        ("messages", message_lists(&rows)),
        ("teacher_system", numbers),
    ]);
    let error = corpus(wrong.path(), CorpusFormat::Parquet)
        .unwrap()
        .documents()
        .next();
    let error = error.unwrap().unwrap_err().to_string();
    assert!(error.contains("`teacher_system` of type Int64"), "{error}");
}

#[test]
fn broken_json_records_are_reported_with_their_line() {
    for line in [
        "{\"text\": 5}",
        "not json",
        "[1, 2]",
        "{\"messages\": [{\"role\": \"human\", \"content\": \"hi\"}]}",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\", \"tool_calls\": []}]}",
    ] {
        let error = first_error(
            format!("{{\"text\": \"a\"}}\n{line}\n").as_bytes(),
            CorpusFormat::Jsonl,
        );
        assert!(
            matches!(error, TextError::JsonRecord { line: 2, .. }),
            "{line}: {error}"
        );
    }
    for (line, found) in [
        ("{\"content\": \"a\"}", "neither"),
        ("{\"text\": \"a\", \"messages\": []}", "both"),
    ] {
        let error = first_error(line.as_bytes(), CorpusFormat::Jsonl);
        assert!(error.to_string().ends_with(found), "{error}");
    }
}

fn parquet_file(columns: Vec<(&str, ArrayRef)>) -> NamedTempFile {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = NamedTempFile::new().unwrap();
    let mut writer = ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

/// One list of messages per row.
fn message_lists(rows: &[&[(&str, &str)]]) -> ArrayRef {
    let fields = Fields::from(vec![
        Field::new("content", DataType::Utf8, true),
        Field::new("role", DataType::Utf8, true),
    ]);
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for row in rows {
        for (role, content) in *row {
            let message = lists.values();
            message
                .field_builder::<StringBuilder>(0)
                .unwrap()
                .append_value(content);
            message
                .field_builder::<StringBuilder>(1)
                .unwrap()
                .append_value(role);
            message.append(true);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

#[test]
fn parquet_texts_are_read_in_order_whatever_their_string_type() {
    let expected: Vec<String> = (0..1_000).map(|n| format!("text {}", n % 7)).collect();
    let values = || expected.iter().map(|text| Some(text.as_str()));
    let columns: [ArrayRef; 3] = [
        Arc::new(values().collect::<StringArray>()),
        Arc::new(values().collect::<StringViewArray>()),
        Arc::new(values().collect::<DictionaryArray<Int32Type>>()),
    ];
    for column in columns {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
        let file = parquet_file(vec![("id", ids), ("text", column)]);
        let documents = corpus(file.path(), CorpusFormat::Parquet)
            .unwrap()
            .documents();
        for (n, document) in documents.enumerate() {
            let document = document.unwrap();
            assert_eq!(document.document, Document::Text(expected[n].clone()));
            assert_eq!(document.source.record, n as u64 + 1);
        }
    }
}

#[test]
fn parquet_conversations_are_read_whatever_the_order_of_their_fields() {
    let rows: [&[(&str, &str)]; 3] = [
        &[("user", "hi"), ("assistant", "hello")],
        &[],
        &[("system", "be brief")],
    ];
    let file = parquet_file(vec![("messages", message_lists(&rows))]);
    let documents = corpus(file.path(), CorpusFormat::Parquet)
        .unwrap()
        .documents();
    for (row, document) in rows.iter().zip(documents) {
        let Document::Conversation(conversation) = document.unwrap().document else {
            panic!("expected a conversation");
        };
        let messages: Vec<(&str, &str)> = conversation
            .messages
            .iter()
            .map(|message| (message.role.as_str(), message.content.as_str()))
            .collect();
        assert_eq!(messages, *row);
    }
}

#[test]
fn parquet_columns_that_are_wrong_are_named_when_the_file_is_reached() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let strings: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    for (columns, found) in [
        (
            vec![("text", numbers.clone())],
            "column `text` of type Int64",
        ),
        (
            vec![("messages", strings.clone())],
            "column `messages` of type Utf8",
        ),
        (vec![("content", strings.clone())], "columns [\"content\"]"),
        (
            vec![
                ("text", strings.clone()),
                ("messages", message_lists(&[&[]])),
            ],
            "columns [\"text\", \"messages\"]",
        ),
    ] {
        let file = parquet_file(columns);
        let mut documents = corpus(file.path(), CorpusFormat::Parquet)
            .unwrap()
            .documents();
        let message = documents.next().unwrap().unwrap_err().to_string();
        assert!(message.contains(found), "{message}");
        assert!(
            message.starts_with(file.path().to_str().unwrap()),
            "{message}"
        );
    }
}

#[test]
fn parquet_nulls_and_unknown_roles_are_reported_with_their_row() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let file = parquet_file(vec![("text", texts)]);
    let mut documents = corpus(file.path(), CorpusFormat::Parquet)
        .unwrap()
        .documents();
    assert!(documents.next().unwrap().is_ok());
    let message = documents.next().unwrap().unwrap_err().to_string();
    assert!(
        message.contains("record 2: expected a value in `text`"),
        "{message}"
    );

    let file = parquet_file(vec![("messages", message_lists(&[&[("human", "hi")]]))]);
    let mut documents = corpus(file.path(), CorpusFormat::Parquet)
        .unwrap()
        .documents();
    let message = documents.next().unwrap().unwrap_err().to_string();
    assert!(
        message.contains("record 1") && message.ends_with("found \"human\""),
        "{message}"
    );
}

#[test]
fn a_file_that_is_not_parquet_is_an_error_that_names_it() {
    for bytes in [
        &b"PAR1"[..],
        b"hello, this is not a Parquet file",
        b"PAR1garbagePAR1",
    ] {
        let error = first_error(bytes, CorpusFormat::Parquet);
        assert!(
            matches!(error, TextError::Parquet { row: 0, .. }),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_parquet_file_never_panics() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "b"]));
    let conversations = message_lists(&[&[("user", "u"), ("assistant", "a")]]);
    for column in [("text", texts), ("messages", conversations)] {
        let whole = std::fs::read(parquet_file(vec![column]).path()).unwrap();
        let damaged = TempDir::new().unwrap();
        let path = damaged.path().join("damaged.parquet");
        for position in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[position] ^= flip;
                std::fs::write(&path, bytes).unwrap();
                let documents = corpus(&path, CorpusFormat::Parquet).unwrap().documents();
                // It may be read, as other text; what counts is that it returns.
                documents.for_each(drop);
            }
        }
    }
}
