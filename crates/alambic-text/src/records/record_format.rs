//! How files hold records.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Record;
use crate::error::TextError;

/// The mark of UTF-8 at the start of a file, no part of its first record.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a file holds its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecordFormat {
    /// One JSON object per line; empty lines are none.
    JsonLines,
    /// One JSON document that lists the records.
    Json {
        /// The field of the document that lists them; the document itself does if not given.
        #[serde(default)]
        list: Option<String>,
    },
    /// One JSON object, the only record.
    JsonRecord,
    /// One JSON object whose members are the records.
    JsonMembers {
        /// The field that gets the name of each.
        key: String,
    },
    /// Comma-separated values (RFC 4180).
    Csv {
        /// Names of the columns, where the first line does not give them.
        #[serde(default)]
        columns: Option<Vec<String>>,
        /// What separates them: a comma if not given.
        #[serde(default = "comma")]
        delimiter: char,
    },
    /// Values separated by tabs, in which quotation marks are characters like others.
    TabSeparated {
        /// Names of the columns, where the first line does not give them.
        #[serde(default)]
        columns: Option<Vec<String>>,
    },
}

fn comma() -> char {
    ','
}

/// Reads all records of a file's content; `file` names them in errors.
///
/// A mark of UTF-8 before the first is no part of it. Values of tables are texts.
///
/// # Errors
/// [`TextError::Record`] for a record that is damaged, no object or of another number of columns;
/// [`TextError::NoRecords`].
///
/// ```
/// use alambic_text::{RecordFormat, read_records};
/// let format = RecordFormat::Csv { columns: None, delimiter: ';' };
/// let records = read_records(&format, b"question;answer\n2 + 3?;5\n", "sums.csv")?;
/// assert_eq!(records[0]["answer"], "5");
/// # Ok::<(), alambic_text::TextError>(())
/// ```
pub fn read_records(
    format: &RecordFormat,
    bytes: &[u8],
    file: &str,
) -> Result<Vec<Record>, TextError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let records = match format {
        RecordFormat::JsonLines => json_lines(bytes, file)?,
        RecordFormat::Json { list } => json_list(bytes, list.as_deref(), file)?,
        RecordFormat::JsonRecord => vec![object(document(bytes, file)?, 0, file)?],
        RecordFormat::JsonMembers { key } => json_members(bytes, key, file)?,
        RecordFormat::Csv { columns, delimiter } => {
            let delimiter = u8::try_from(*delimiter).map_err(|_| {
                let problem = format!("delimiter {delimiter:?}, expected an ASCII character");
                refuse(file, 1, problem)
            })?;
            let mut builder = csv::ReaderBuilder::new();
            builder.delimiter(delimiter);
            table(builder, bytes, columns.as_deref(), file)?
        }
        RecordFormat::TabSeparated { columns } => {
            let mut builder = csv::ReaderBuilder::new();
            builder.delimiter(b'\t').quoting(false);
            table(builder, bytes, columns.as_deref(), file)?
        }
    };
    match records.is_empty() {
        true => Err(TextError::NoRecords { file: file.into() }),
        false => Ok(records),
    }
}

fn refuse(file: &str, record: usize, problem: impl ToString) -> TextError {
    TextError::Record {
        file: file.into(),
        record,
        problem: problem.to_string(),
    }
}

fn document(bytes: &[u8], file: &str) -> Result<Value, TextError> {
    serde_json::from_slice(bytes).map_err(|error| refuse(file, 1, error))
}

fn object(value: Value, index: usize, file: &str) -> Result<Record, TextError> {
    match value {
        Value::Object(fields) => Ok(fields),
        other => {
            let problem = format!("expected an object, found {other}");
            Err(refuse(file, index + 1, problem))
        }
    }
}

fn json_lines(bytes: &[u8], file: &str) -> Result<Vec<Record>, TextError> {
    let lines = bytes.split(|&byte| byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let record = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| refuse(file, index + 1, error))
    };
    lines.enumerate().map(record).collect()
}

fn json_list(bytes: &[u8], list: Option<&str>, file: &str) -> Result<Vec<Record>, TextError> {
    let mut document = document(bytes, file)?;
    let listed = match list {
        None => Some(document),
        Some(field) => document.get_mut(field).map(Value::take),
    };
    let where_it_is = list.map_or("the document".to_owned(), |field| format!("`{field}`"));
    let Some(Value::Array(items)) = listed else {
        let problem = format!("expected {where_it_is} to be a list of records");
        return Err(refuse(file, 1, problem));
    };
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| object(item, index, file))
        .collect()
}

fn json_members(bytes: &[u8], key: &str, file: &str) -> Result<Vec<Record>, TextError> {
    let members = object(document(bytes, file)?, 0, file)?;
    let record = |(index, (name, member)): (usize, (String, Value))| {
        let mut fields = object(member, index, file)?;
        if fields.contains_key(key) {
            let problem =
                format!("has a field `{key}` already, expected another name for the record's own");
            return Err(refuse(file, index + 1, problem));
        }
        fields.insert(key.to_owned(), Value::String(name));
        Ok(fields)
    };
    members.into_iter().enumerate().map(record).collect()
}

fn table(
    mut builder: csv::ReaderBuilder,
    bytes: &[u8],
    columns: Option<&[String]>,
    file: &str,
) -> Result<Vec<Record>, TextError> {
    let mut reader = builder
        .has_headers(columns.is_none())
        .flexible(true)
        .from_reader(bytes);
    let names: Vec<String> = match columns {
        Some(columns) => columns.to_vec(),
        None => {
            let headers = reader.headers().map_err(|error| refuse(file, 1, error))?;
            headers.iter().map(str::to_owned).collect()
        }
    };
    let record = |(index, row): (usize, Result<csv::StringRecord, csv::Error>)| {
        let row = row.map_err(|error| refuse(file, index + 1, error))?;
        if row.len() != names.len() {
            let problem = format!("expected {} columns, found {}", names.len(), row.len());
            return Err(refuse(file, index + 1, problem));
        }
        let fields = names.iter().cloned().zip(row.iter().map(Value::from));
        Ok(fields.collect())
    };
    reader.records().enumerate().map(record).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(format: &RecordFormat, text: &str) -> Result<Vec<Record>, TextError> {
        read_records(format, text.as_bytes(), "file")
    }

    fn comma_separated(columns: Option<Vec<String>>) -> RecordFormat {
        RecordFormat::Csv {
            columns,
            delimiter: ',',
        }
    }

    fn list(list: &str) -> RecordFormat {
        RecordFormat::Json {
            list: Some(list.into()),
        }
    }

    #[test]
    fn all_formats_give_the_same_records() {
        let lines = "\u{feff}{\"a\": \"1\"}\n\r\n{\"a\": \"x, y\"}\r\n";
        let expected = read(&RecordFormat::JsonLines, lines).unwrap();
        assert_eq!(expected.len(), 2);
        let listed = "[{\"a\": \"1\"}, {\"a\": \"x, y\"}]";
        let columns = || Some(vec!["a".to_owned()]);
        for (format, text) in [
            (list("all"), &*format!("{{\"all\": {listed}}}")),
            (RecordFormat::Json { list: None }, listed),
            (
                RecordFormat::JsonMembers { key: "a".into() },
                "{\"1\": {}, \"x, y\": {}}",
            ),
            (comma_separated(None), "a\n1\n\"x, y\"\n"),
            (comma_separated(columns()), "1\n\"x, y\"\n"),
            (
                RecordFormat::Csv {
                    columns: None,
                    delimiter: ';',
                },
                "\u{feff}a\n1\nx, y\n",
            ),
            (
                RecordFormat::TabSeparated { columns: columns() },
                "1\nx, y\n",
            ),
        ] {
            assert_eq!(read(&format, text).unwrap(), expected, "{format:?}");
        }
        let quoted = read(&RecordFormat::TabSeparated { columns: columns() }, "\"a\n");
        assert_eq!(quoted.unwrap()[0]["a"], "\"a");
        let single = read(&RecordFormat::JsonRecord, "{\"a\": \"1\"}").unwrap();
        assert_eq!(single, expected[..1]);
    }

    #[test]
    fn a_damaged_record_is_named_by_its_place() {
        let columns = Some(vec!["a".to_owned()]);
        for (format, text, told) in [
            (RecordFormat::JsonLines, "{}\n{", "file, record 2"),
            (RecordFormat::JsonLines, "{}\n7", "file, record 2"),
            (RecordFormat::JsonLines, "\n", "holds no records"),
            (
                RecordFormat::JsonRecord,
                "[]",
                "expected an object, found []",
            ),
            (list("all"), "{}", "expected `all` to be a list"),
            (
                list("all"),
                "{\"all\": [{}, 3]}",
                "record 2: expected an object, found 3",
            ),
            (
                RecordFormat::JsonMembers { key: "id".into() },
                "{\"x\": {}, \"y\": {\"id\": 1}}",
                "record 2: has a field `id`",
            ),
            (
                comma_separated(None),
                "a,b\n1,2\n3\n",
                "record 2: expected 2 columns, found 1",
            ),
            (
                comma_separated(columns),
                "1,2\n",
                "expected 1 columns, found 2",
            ),
            (
                RecordFormat::Csv {
                    columns: None,
                    delimiter: '→',
                },
                "a",
                "expected an ASCII character",
            ),
        ] {
            let error = read(&format, text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_bring_a_format_down(bytes in prop::collection::vec(prop::sample::select(&b"{}[]\",:;\n\r\t a1\\\xff"[..]), 0..60)) {
            for format in [
                RecordFormat::JsonLines,
                list("a"),
                RecordFormat::JsonRecord,
                RecordFormat::JsonMembers { key: "k".into() },
                comma_separated(None),
                comma_separated(Some(vec!["a".into(), "b".into()])),
                RecordFormat::TabSeparated { columns: None },
            ] {
                if let Ok(records) = read_records(&format, &bytes, "file") {
                    prop_assert!(!records.is_empty());
                }
            }
        }
    }
}
