//! Reading documents from files, as a stream.

mod jsonl;
mod parquet;
mod text;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::jsonl::JsonlReader;
use self::parquet::ParquetReader;
use self::text::TextReader;
use crate::conversation::{Conversation, Message, PromptErasing};
use crate::document::{DocumentSource, SourcedDocument};
use crate::error::TextError;

/// How the files of a corpus are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CorpusFormat {
    /// UTF-8 text with a separator between documents, such as `<|endoftext|>`.
    ///
    /// The separator belongs to no document. A document must fit in memory; a file need not.
    Text {
        /// What stands between two documents; not empty.
        separator: String,
        /// Whether white space around a document belongs to it.
        trim: Trim,
    },
    /// One JSON object per line with exactly one of `text` (a string) and `messages` (an array of
    /// `{"role": ..., "content": ...}`); other keys of the object are not read, but for one.
    ///
    /// Beside `messages` there may be `teacher_system`: a system message that the teacher saw in place of
    /// theirs, and that the student does not see. Then the corpus must not erase anything itself.
    Jsonl,
    /// A Parquet file with exactly one of the columns `text` (strings) and `messages` (lists of
    /// structs of the strings `role` and `content`), and, if it likes, `teacher_system` (strings, or
    /// null where there is none), which means the same as in JSONL; other columns are not read.
    Parquet,
}

/// Whether white space around a document of a text file belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trim {
    /// White space at both ends is removed.
    Whitespace,
    /// Everything between two separators is the document.
    Keep,
}

/// Which files to read, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusConfig {
    /// The files, read in this order.
    pub files: Vec<PathBuf>,
    /// How they are written.
    pub format: CorpusFormat,
    /// What the student does not see of conversations.
    pub erasing: PromptErasing,
}

/// Files of documents, checked to be there.
#[derive(Debug, Clone)]
pub struct Corpus {
    config: CorpusConfig,
}

impl Corpus {
    /// Checks the configuration and that every file is there and not empty.
    ///
    /// Documents are checked while they are read, so that opening is fast.
    ///
    /// # Errors
    /// [`TextError::InvalidOption`] without files or with an empty separator; [`TextError::File`],
    /// [`TextError::NotAFile`] or [`TextError::EmptyFile`] for a file that is missing, a directory
    /// or empty.
    pub fn open(config: CorpusConfig) -> Result<Self, TextError> {
        let invalid = |option, expected, found: &str| {
            Err(TextError::InvalidOption {
                option,
                expected,
                found: found.to_owned(),
            })
        };
        if config.files.is_empty() {
            return invalid("files", "at least one file", "none");
        }
        if let CorpusFormat::Text { separator, .. } = &config.format
            && separator.is_empty()
        {
            return invalid("separator", "at least one character", "an empty string");
        }
        for path in &config.files {
            check_file(path)?;
        }
        Ok(Self { config })
    }

    /// Reads the documents from the first file's start.
    ///
    /// Memory holds one document of text, one line of JSONL or one batch of rows of Parquet.
    #[must_use]
    pub fn documents(&self) -> Documents {
        Documents {
            config: self.config.clone(),
            next_file: 0,
            reader: None,
            skipped_empty: 0,
            failed: false,
        }
    }

    /// The configuration that this corpus was opened with.
    #[must_use]
    pub fn config(&self) -> &CorpusConfig {
        &self.config
    }
}

/// The documents of a [`Corpus`], in the order of the files.
///
/// Documents without any character are skipped and counted: what stands between two consecutive
/// separators or after the last one, a blank line of JSONL, an empty `text`. The first error ends
/// the stream.
#[derive(Debug)]
pub struct Documents {
    config: CorpusConfig,
    next_file: usize,
    reader: Option<Reader>,
    skipped_empty: u64,
    failed: bool,
}

impl Documents {
    /// How many documents without any character were skipped so far.
    #[must_use]
    pub fn skipped_empty(&self) -> u64 {
        self.skipped_empty + self.reader.as_ref().map_or(0, Reader::skipped_empty)
    }

    fn try_next(&mut self) -> Result<Option<SourcedDocument>, TextError> {
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some(document) = reader.next_document()? {
                    return Ok(Some(document));
                }
                self.skipped_empty += reader.skipped_empty();
                self.reader = None;
            }
            let Some(path) = self.config.files.get(self.next_file) else {
                return Ok(None);
            };
            self.reader = Some(Reader::open(path, &self.config)?);
            self.next_file += 1;
        }
    }
}

impl Iterator for Documents {
    type Item = Result<SourcedDocument, TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.try_next().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// The reader of one file.
#[derive(Debug)]
enum Reader {
    Text(TextReader),
    Jsonl(JsonlReader),
    Parquet(Box<ParquetReader>),
}

impl Reader {
    fn open(path: &Path, config: &CorpusConfig) -> Result<Self, TextError> {
        // The file may have changed since the corpus was opened.
        check_file(path)?;
        let erasing = config.erasing.clone();
        Ok(match &config.format {
            CorpusFormat::Text { separator, trim } => {
                Self::Text(TextReader::open(path, separator, *trim)?)
            }
            CorpusFormat::Jsonl => Self::Jsonl(JsonlReader::open(path, erasing)?),
            CorpusFormat::Parquet => Self::Parquet(Box::new(ParquetReader::open(path, erasing)?)),
        })
    }

    fn next_document(&mut self) -> Result<Option<SourcedDocument>, TextError> {
        match self {
            Self::Text(reader) => reader.next_document(),
            Self::Jsonl(reader) => reader.next_document(),
            Self::Parquet(reader) => reader.next_document(),
        }
    }

    fn skipped_empty(&self) -> u64 {
        match self {
            Self::Text(reader) => reader.skipped_empty(),
            Self::Jsonl(reader) => reader.skipped_empty(),
            Self::Parquet(reader) => reader.skipped_empty(),
        }
    }
}

fn check_file(path: &Path) -> Result<(), TextError> {
    let metadata = fs::metadata(path).map_err(|source| TextError::File {
        action: "open",
        path: path.to_owned(),
        source,
    })?;
    if !metadata.is_file() {
        return Err(TextError::NotAFile {
            path: path.to_owned(),
            found: if metadata.is_dir() {
                "a directory"
            } else {
                "a special file"
            },
        });
    }
    if metadata.len() == 0 {
        return Err(TextError::EmptyFile {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn open_file(path: &Path) -> Result<File, TextError> {
    File::open(path).map_err(|source| TextError::File {
        action: "open",
        path: path.to_owned(),
        source,
    })
}

fn read_failed(path: &Path, source: std::io::Error) -> TextError {
    TextError::File {
        action: "read",
        path: path.to_owned(),
        source,
    }
}

/// Refuses the marks of encodings other than plain UTF-8 at a file's start.
fn check_byte_order_mark(path: &Path, start: &[u8]) -> Result<(), TextError> {
    let marks: [(&[u8], &str); 5] = [
        (&[0xEF, 0xBB, 0xBF], "UTF-8 with a mark"),
        (&[0xFF, 0xFE, 0, 0], "UTF-32 (little endian)"),
        (&[0xFF, 0xFE], "UTF-16 (little endian)"),
        (&[0xFE, 0xFF], "UTF-16 (big endian)"),
        (&[0, 0, 0xFE, 0xFF], "UTF-32 (big endian)"),
    ];
    match marks.iter().find(|(mark, _)| start.starts_with(mark)) {
        Some(&(_, found)) => Err(TextError::ByteOrderMark {
            path: path.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

/// A conversation as a record has it.
fn conversation(
    messages: Vec<Message>,
    teacher_system: Option<&str>,
    erasing: &PromptErasing,
    place: impl FnOnce() -> DocumentSource,
) -> Result<Conversation, TextError> {
    let Some(teacher_system) = teacher_system else {
        return Ok(Conversation {
            messages,
            erasing: erasing.clone(),
        });
    };
    let contradicts = |problem| TextError::TeacherSystem {
        place: place(),
        problem,
    };
    if *erasing != PromptErasing::Keep {
        let problem = "the corpus is told to erase system messages; leave one of the two out";
        return Err(contradicts(problem));
    }
    Conversation::with_teacher_system(messages, teacher_system).ok_or_else(|| {
        contradicts(
            "`messages` has a system message that is not its first; expected it there, or none",
        )
    })
}
