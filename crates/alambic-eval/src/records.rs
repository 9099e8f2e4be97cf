//! The records of a benchmark's files.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::EvalError;

/// How a file holds its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecordFormat {
    /// One JSON object per line; empty lines are none.
    JsonLines,
    /// One JSON document.
    Json {
        /// The field of the document that lists the records; the document itself does if not given.
        #[serde(default)]
        list: Option<String>,
    },
    /// Comma-separated values (RFC 4180).
    Csv {
        /// Names of the columns, where the first line does not give them.
        #[serde(default)]
        columns: Option<Vec<String>>,
    },
}

/// Reads all records; `file` names them in errors.
pub(crate) fn read_records(
    format: &RecordFormat,
    bytes: &[u8],
    file: &str,
) -> Result<Vec<Map<String, Value>>, EvalError> {
    let records = match format {
        RecordFormat::JsonLines => json_lines(bytes, file)?,
        RecordFormat::Json { list } => json(bytes, list.as_deref(), file)?,
        RecordFormat::Csv { columns } => csv(bytes, columns.as_deref(), file)?,
    };
    match records.is_empty() {
        true => Err(EvalError::NoRecords { file: file.into() }),
        false => Ok(records),
    }
}

fn refuse(file: &str, record: usize, problem: impl ToString) -> EvalError {
    EvalError::Record {
        file: file.into(),
        record,
        problem: problem.to_string(),
    }
}

fn json_lines(bytes: &[u8], file: &str) -> Result<Vec<Map<String, Value>>, EvalError> {
    let lines = bytes.split(|&byte| byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let record = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| refuse(file, index + 1, error))
    };
    lines.enumerate().map(record).collect()
}

fn json(
    bytes: &[u8],
    list: Option<&str>,
    file: &str,
) -> Result<Vec<Map<String, Value>>, EvalError> {
    let document: Value = serde_json::from_slice(bytes).map_err(|error| refuse(file, 1, error))?;
    let listed = match list {
        None => Some(document),
        Some(field) => document.get(field).cloned(),
    };
    let where_it_is = list.map_or("the document".to_owned(), |field| format!("`{field}`"));
    let Some(Value::Array(items)) = listed else {
        let problem = format!("expected {where_it_is} to be a list of records");
        return Err(refuse(file, 1, problem));
    };
    let record = |(index, item): (usize, Value)| match item {
        Value::Object(fields) => Ok(fields),
        other => Err(refuse(
            file,
            index + 1,
            format!("expected an object, found {other}"),
        )),
    };
    items.into_iter().enumerate().map(record).collect()
}

fn csv(
    bytes: &[u8],
    columns: Option<&[String]>,
    file: &str,
) -> Result<Vec<Map<String, Value>>, EvalError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(columns.is_none())
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
    use super::*;

    fn read(format: &RecordFormat, text: &str) -> Result<Vec<Map<String, Value>>, EvalError> {
        read_records(format, text.as_bytes(), "file")
    }

    #[test]
    fn all_formats_give_the_same_records() {
        let lines = read(
            &RecordFormat::JsonLines,
            "{\"a\": \"1\"}\n\n{\"a\": \"x, y\"}\n",
        );
        let listed = RecordFormat::Json {
            list: Some("all".into()),
        };
        let listed = read(&listed, "{\"all\": [{\"a\": \"1\"}, {\"a\": \"x, y\"}]}");
        let whole = read(
            &RecordFormat::Json { list: None },
            "[{\"a\": \"1\"}, {\"a\": \"x, y\"}]",
        );
        let headed = read(&RecordFormat::Csv { columns: None }, "a\n1\n\"x, y\"\n");
        let columns = Some(vec!["a".to_owned()]);
        let bare = read(&RecordFormat::Csv { columns }, "1\n\"x, y\"\n");
        let expected = lines.unwrap();
        assert_eq!(expected.len(), 2);
        for found in [listed, whole, headed, bare] {
            assert_eq!(found.unwrap(), expected);
        }
    }

    #[test]
    fn a_damaged_record_is_named_by_its_place() {
        let list = |list: &str| RecordFormat::Json {
            list: Some(list.into()),
        };
        for (format, text, told) in [
            (RecordFormat::JsonLines, "{}\n{", "file, record 2"),
            (RecordFormat::JsonLines, "{}\n7", "file, record 2"),
            (RecordFormat::JsonLines, "\n", "holds no records"),
            (list("all"), "{}", "expected `all` to be a list"),
            (
                list("all"),
                "{\"all\": [{}, 3]}",
                "record 2: expected an object, found 3",
            ),
            (
                RecordFormat::Csv { columns: None },
                "a,b\n1,2\n3\n",
                "record 2",
            ),
            (
                RecordFormat::Csv {
                    columns: Some(vec!["a".into()]),
                },
                "1,2\n",
                "expected 1 columns, found 2",
            ),
        ] {
            let error = read(&format, text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
