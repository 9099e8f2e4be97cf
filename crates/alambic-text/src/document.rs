//! Documents and where they came from.

use std::fmt;
use std::path::PathBuf;

use crate::conversation::Conversation;

/// One unit of training text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Plain text: every token is learned.
    Text(String),
    /// A conversation: the assistant's turns are learned.
    Conversation(Conversation),
}

/// Where a document came from, for error messages and reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentSource {
    /// The file.
    pub path: PathBuf,
    /// Number of the record in the file, counted from 1: the document of a text file, the line of
    /// a JSONL file, the row of a Parquet file.
    pub record: u64,
}

impl fmt::Display for DocumentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, record {}", self.path.display(), self.record)
    }
}

/// A document together with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedDocument {
    /// The text or conversation.
    pub document: Document,
    /// Where it came from.
    pub source: DocumentSource,
}

impl SourcedDocument {
    /// Plain text, as record `record` (counted from 1) of `path`.
    pub fn text(path: impl Into<PathBuf>, record: u64, text: impl Into<String>) -> Self {
        Self {
            document: Document::Text(text.into()),
            source: DocumentSource {
                path: path.into(),
                record,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_reads_as_file_and_record() {
        let source = DocumentSource {
            path: "stories.txt".into(),
            record: 12,
        };
        assert_eq!(source.to_string(), "stories.txt, record 12");
    }
}
