//! The records of a task's files.

use std::path::Path;

use alambic_text::{Record, read_records};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::EvalError;
use crate::task::Task;

/// The field that holds one of several parts of a record.
const ITEM: &str = "item";
/// Stands for the name of the records' file without its extension.
const STEM: &str = "{stem}";

/// Where the answers of a file of records are: a file beside it, with a line for each record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswersFile {
    /// The file's name, in which `{stem}` is the name of the records' file without its extension.
    pub file: String,
    /// The field of the record that gets the line, without white space around it.
    pub field: String,
}

impl AnswersFile {
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.file.contains(STEM) {
            true => Ok(()),
            false => Err(format!(
                "answers.file is {:?}, expected {STEM} in it, the name of the records' file",
                self.file
            )),
        }
    }
}

/// A record of a task's file, which makes one question.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// The file's name.
    pub file: String,
    /// The record's place in the file, counted from 1.
    pub record: usize,
    /// The place of this part of the record, counted from 1, where it makes several questions.
    pub part: Option<usize>,
    /// What the task's templates see.
    pub fields: Record,
}

impl TaskRecord {
    /// Names the question in results and errors: `FILE:RECORD`, or `FILE:RECORD.PART`.
    pub fn id(&self) -> String {
        match self.part {
            None => format!("{}:{}", self.file, self.record),
            Some(part) => format!("{}:{}.{part}", self.file, self.record),
        }
    }

    /// Names the record in what is wrong with it.
    pub(crate) fn checked<T>(&self, result: Result<T, String>) -> Result<T, EvalError> {
        result.map_err(|problem| self.refuse(problem))
    }

    fn refuse(&self, problem: String) -> EvalError {
        let problem = match self.part {
            None => problem,
            Some(part) => format!("item {part}: {problem}"),
        };
        EvalError::Record {
            file: self.file.clone(),
            record: self.record,
            problem,
        }
    }
}

impl Task {
    /// The records of a file, in their order, with their answers if these are in a file of their own.
    ///
    /// # Errors
    /// [`EvalError::File`], and those of [`records`](Self::records).
    pub fn records_of_file(&self, path: &Path) -> Result<Vec<TaskRecord>, EvalError> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy();
        let answers = match &self.answers {
            None => None,
            Some(answers) => {
                let stem = path.file_stem().unwrap_or(path.as_os_str());
                let file = answers.file.replace(STEM, &stem.to_string_lossy());
                Some(read(&path.with_file_name(file))?)
            }
        };
        self.records(&read(path)?, answers.as_deref(), &name)
    }

    /// The records of a file's content; `file` names them, and `answers` is the content of the file of their answers.
    ///
    /// # Errors
    /// [`EvalError::Text`] for records that are damaged; [`EvalError::Record`] for one whose parts are no list or which has the
    /// field of its answer or of its parts already; [`EvalError::Answers`] for another number of answers.
    pub fn records(
        &self,
        bytes: &[u8],
        answers: Option<&[u8]>,
        file: &str,
    ) -> Result<Vec<TaskRecord>, EvalError> {
        let mut records = Vec::new();
        for (index, fields) in read_records(&self.records, bytes, file)?
            .into_iter()
            .enumerate()
        {
            records.push(TaskRecord {
                file: file.to_owned(),
                record: index + 1,
                part: None,
                fields,
            });
        }
        if let Some(place) = &self.answers {
            let answers = answers.ok_or_else(|| EvalError::Answers {
                file: file.to_owned(),
                problem: "expected the lines of its answers, found none".into(),
            })?;
            with_answers(&mut records, answers, &place.field)?;
        }
        let Some(each) = &self.each else {
            return Ok(records);
        };
        let mut parts = Vec::new();
        for record in records {
            let items = each.list(&record.fields);
            let items = items.map_err(|error| record.refuse(format!("each: {error}")))?;
            for (index, item) in items.into_iter().enumerate() {
                let mut part = record.clone();
                part.part = Some(index + 1);
                insert(&mut part, ITEM, item)?;
                parts.push(part);
            }
        }
        match parts.is_empty() {
            true => Err(EvalError::NoQuestions { file: file.into() }),
            false => Ok(parts),
        }
    }
}

fn with_answers(records: &mut [TaskRecord], answers: &[u8], field: &str) -> Result<(), EvalError> {
    let answers = String::from_utf8_lossy(answers);
    let lines: Vec<&str> = answers.lines().collect();
    if lines.len() != records.len() {
        return Err(EvalError::Answers {
            file: records
                .first()
                .map_or_else(String::new, |it| it.file.clone()),
            problem: format!(
                "expected an answer for each of {} records, found {} lines",
                records.len(),
                lines.len()
            ),
        });
    }
    for (record, line) in records.iter_mut().zip(lines) {
        insert(record, field, Value::from(line.trim()))?;
    }
    Ok(())
}

fn insert(record: &mut TaskRecord, field: &str, value: Value) -> Result<(), EvalError> {
    if record.fields.contains_key(field) {
        let problem = format!("has a field `{field}` already, which the task puts there");
        return Err(record.refuse(problem));
    }
    record.fields.insert(field.to_owned(), value);
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, EvalError> {
    std::fs::read(path).map_err(|source| EvalError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn task(extra: &str) -> Task {
        let text = format!(
            "name = 'x'\ndescription = ''\n{extra}\n[records]\nformat = 'json_lines'\n\
             [continuation]\nprompt = ''\ncontinuation = ' x'"
        );
        text.parse().unwrap()
    }

    #[test]
    fn answers_of_a_file_of_their_own_become_a_field() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("valid.jsonl");
        std::fs::write(&path, "{\"a\": 1}\n{\"a\": 2}\n").unwrap();
        let task = task("answers = { file = '{stem}-labels.lst', field = 'label' }");
        let missing = task.records_of_file(&path).unwrap_err().to_string();
        assert!(missing.contains("valid-labels.lst"), "{missing}");
        std::fs::write(dir.path().join("valid-labels.lst"), "1\n0\n").unwrap();
        let records = task.records_of_file(&path).unwrap();
        assert_eq!(records[1].fields["label"], "0");
        assert_eq!(records[1].id(), "valid.jsonl:2");
        std::fs::write(dir.path().join("valid-labels.lst"), "1\n").unwrap();
        let error = task.records_of_file(&path).unwrap_err().to_string();
        assert!(error.contains("each of 2 records, found 1"), "{error}");
        let lines = b"{\"label\": 1}";
        let error = task
            .records(lines, Some(b"1"), "f")
            .unwrap_err()
            .to_string();
        assert!(error.contains("record 1: has a field `label`"), "{error}");
        let error = task.records(lines, None, "f").unwrap_err().to_string();
        assert!(
            error.contains("expected the lines of its answers"),
            "{error}"
        );
    }

    #[test]
    fn a_record_with_several_parts_makes_a_question_of_each() {
        let task = task("each = 'range(qs | length)'");
        let lines = b"{\"qs\": [\"a\", \"b\"]}\n{\"qs\": [\"c\"]}";
        let records = task.records(lines, None, "f").unwrap();
        let ids: Vec<String> = records.iter().map(TaskRecord::id).collect();
        assert_eq!(ids, ["f:1.1", "f:1.2", "f:2.1"]);
        assert_eq!(records[1].fields[ITEM], 1);
        for (lines, told) in [
            ("{\"q\": []}", "record 1: each: "),
            ("{\"qs\": []}", "makes no question"),
            ("{\"qs\": [1], \"item\": 1}", "has a field `item`"),
        ] {
            let error = task.records(lines.as_bytes(), None, "f").unwrap_err();
            let error = error.to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
