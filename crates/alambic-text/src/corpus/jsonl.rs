//! Documents of a JSONL file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{check_byte_order_mark, conversation, open_file, read_failed};
use crate::conversation::{Message, PromptErasing};
use crate::document::{Document, DocumentSource, SourcedDocument};
use crate::error::TextError;

/// One line; keys other than these are not read.
#[derive(Deserialize)]
struct Record {
    text: Option<String>,
    messages: Option<Vec<Message>>,
    teacher_system: Option<String>,
}

/// Reads a JSONL file line by line.
#[derive(Debug)]
pub(super) struct JsonlReader {
    path: PathBuf,
    file: BufReader<File>,
    erasing: PromptErasing,
    line_bytes: Vec<u8>,
    line: u64,
    byte_offset: u64,
    skipped_empty: u64,
}

impl JsonlReader {
    pub(super) fn open(path: &Path, erasing: PromptErasing) -> Result<Self, TextError> {
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::new(open_file(path)?),
            erasing,
            line_bytes: Vec::new(),
            line: 0,
            byte_offset: 0,
            skipped_empty: 0,
        })
    }

    pub(super) fn skipped_empty(&self) -> u64 {
        self.skipped_empty
    }

    pub(super) fn next_document(&mut self) -> Result<Option<SourcedDocument>, TextError> {
        while self.read_line()? {
            let document = self.parse_line()?;
            self.byte_offset += self.line_bytes.len() as u64;
            match document {
                Some(document) => {
                    return Ok(Some(SourcedDocument {
                        document,
                        source: self.source(),
                    }));
                }
                None => self.skipped_empty += 1,
            }
        }
        Ok(None)
    }

    /// Reads one line with its line break; false at the file's end.
    fn read_line(&mut self) -> Result<bool, TextError> {
        self.line_bytes.clear();
        let read = self
            .file
            .read_until(b'\n', &mut self.line_bytes)
            .map_err(|source| read_failed(&self.path, source))?;
        if self.line == 0 {
            check_byte_order_mark(&self.path, &self.line_bytes)?;
        }
        self.line += 1;
        Ok(read > 0)
    }

    /// The line's document, or `None` if there is no text in it.
    fn parse_line(&self) -> Result<Option<Document>, TextError> {
        let line =
            std::str::from_utf8(&self.line_bytes).map_err(|error| TextError::InvalidUtf8 {
                path: self.path.clone(),
                byte_offset: self.byte_offset + error.valid_up_to() as u64,
            })?;
        if line.trim().is_empty() {
            return Ok(None);
        }
        let record: Record =
            serde_json::from_str(line).map_err(|source| TextError::JsonRecord {
                path: self.path.clone(),
                line: self.line,
                source,
            })?;
        match (record.text, record.messages) {
            (Some(text), None) if text.is_empty() => Ok(None),
            (Some(text), None) => Ok(Some(Document::Text(text))),
            (None, Some(messages)) => {
                let teacher_system = record.teacher_system.as_deref();
                let conversation =
                    conversation(messages, teacher_system, &self.erasing, || self.source())?;
                Ok(Some(Document::Conversation(conversation)))
            }
            (Some(_), Some(_)) => Err(self.wrong_fields("both")),
            (None, None) => Err(self.wrong_fields("neither")),
        }
    }

    fn source(&self) -> DocumentSource {
        DocumentSource {
            path: self.path.clone(),
            record: self.line,
        }
    }

    fn wrong_fields(&self, found: &'static str) -> TextError {
        TextError::RecordFields {
            place: self.source(),
            found,
        }
    }
}
