//! `[data]`: which documents, how they are split and how they become segments.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;
use super::textbook::TextbookSection;

/// The word in `data.chat_template` that means the template of the teacher's own directory.
pub const TEACHER_CHAT_TEMPLATE: &str = "teacher";

/// The `[data]` section: the documents and how they are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// Files to read, in this order; relative paths start at the recipe's directory. Empty for `textbook`.
    pub files: Vec<PathBuf>,
    /// What the files hold.
    pub format: DataFormat,
    /// The line or marker between two documents: required for `text`, forbidden otherwise.
    pub separator: Option<String>,
    /// Share of the documents held out to watch training, in `[0, 1)`; 0 for `textbook`.
    pub validation_fraction: f64,
    /// Share of the documents held out for the final evaluation, in `[0, 1)`; 0 for `textbook`.
    pub test_fraction: f64,
    /// Decides, with a document's content, which split the document belongs to; the textbook's
    /// splits are apart by themselves.
    pub split_seed: u64,
    /// What happens to a document longer than `training.sequence_tokens`.
    pub over_length: OverLength,
    /// Whether the teacher's end-of-text token is put after every plain text.
    pub end_of_text: EndOfText,
    /// Renders conversations: `"teacher"`, or the path of a `.jinja` file; only for `jsonl` and
    /// `parquet`.
    pub chat_template: Option<ChatTemplateSource>,
    /// What the student does not see of the prompt the teacher was given.
    pub erase: PromptErasure,
    /// Reads at most this many training documents; all of them when absent.
    pub max_train_documents: Option<usize>,
    /// How much of the textbook is read: required for `textbook`, forbidden otherwise.
    pub textbook: Option<TextbookSection>,
}

/// What the files of `data.files` hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// Plain text, documents separated by `data.separator`.
    Text,
    /// One JSON object per line, with `text` or `messages`.
    Jsonl,
    /// Parquet with a column `text` or `messages`.
    Parquet,
    /// No files: the project's own stories and problems, made as they are needed; see
    /// [`TextbookSection`].
    Textbook,
}

impl DataFormat {
    /// The word that stands in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
            Self::Textbook => "textbook",
        }
    }
}

/// What happens to a document longer than one training sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverLength {
    /// The run stops and names the document.
    Error,
    /// The document's tail is dropped; capture tells how often.
    Truncate,
    /// The document becomes consecutive segments.
    Split,
    /// The document is left out; capture tells how often.
    Skip,
}

/// Whether a plain text ends with the teacher's end-of-text token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndOfText {
    /// The token is appended and counted as a label: the student learns when to stop.
    Append,
    /// Nothing is appended.
    Omit,
}

/// Where the chat template comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum ChatTemplateSource {
    /// The template in the teacher's directory, written `"teacher"`.
    Teacher,
    /// A Jinja file; a file that is itself called `teacher` is written `"./teacher"`.
    File(PathBuf),
}

impl From<PathBuf> for ChatTemplateSource {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == TEACHER_CHAT_TEMPLATE {
            Self::Teacher
        } else {
            Self::File(path)
        }
    }
}

impl From<ChatTemplateSource> for PathBuf {
    fn from(source: ChatTemplateSource) -> Self {
        match source {
            ChatTemplateSource::Teacher => TEACHER_CHAT_TEMPLATE.into(),
            ChatTemplateSource::File(path) => path,
        }
    }
}

/// What is erased from the teacher's prompt before the student sees it.
///
/// Prompt erasing lets a teacher answer under a strategy that the student must find by itself
/// (Orca 2, arXiv:2311.11045, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptErasure {
    /// The student sees what the teacher saw.
    Keep,
    /// The student sees no system message.
    RemoveSystem,
    /// The student sees this system message, written `{ replace_system = "..." }`.
    ReplaceSystem(String),
}

impl DataSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        self.check_files(checker);
        self.check_separator(checker);
        self.check_fractions(checker);
        self.check_chat_template(checker);
        self.check_erasure(checker);
        if let Some(documents) = self.max_train_documents {
            checker.at_least(1, "data.max_train_documents", documents);
        }
        self.check_textbook(checker);
    }

    /// The keys that say how much is held out for validation.
    pub(super) const VALIDATION_KEYS: [&'static str; 3] =
        ["data.format", "data.validation_fraction", "data.textbook"];

    /// Says which key keeps the validation split empty, if it is empty.
    pub(crate) fn why_validation_is_empty(&self) -> Option<&'static str> {
        let (is_empty, reason) = match (self.format, &self.textbook) {
            (DataFormat::Textbook, None) => return None, // that section's absence is the problem
            (DataFormat::Textbook, Some(textbook)) => (
                textbook.validation_items == 0,
                "data.textbook.validation_items is 0",
            ),
            (_, _) => (
                self.validation_fraction == 0.0,
                "data.validation_fraction is 0",
            ),
        };
        is_empty.then_some(reason)
    }

    fn check_files(&self, checker: &mut Checker) {
        let problem = match self.format {
            DataFormat::Textbook => Problem::new(
                "data.files",
                "an empty array, because data.format is \"textbook\"",
                format!("{} files", self.files.len()),
            ),
            _ => Problem::new("data.files", "at least one file", "an empty array"),
        };
        let is_textbook = self.format == DataFormat::Textbook;
        checker.require_all(
            &["data.format"],
            self.files.is_empty() == is_textbook,
            problem,
        );
        for (index, file) in self.files.iter().enumerate() {
            let key = format!("data.files.{index}");
            checker.path(&key, file);
            if let Some(first) = self.files[..index].iter().position(|other| other == file) {
                let found = format!("the file of data.files.{first} again");
                checker.report(
                    Problem::new(&key, "each file once", found)
                        .advise("its documents would count twice: remove one entry"),
                );
            }
        }
    }

    fn check_separator(&self, checker: &mut Checker) {
        let problem = match (&self.separator, self.format) {
            (None, DataFormat::Text) => Problem::new(
                "data.separator",
                "the marker between two documents, because data.format is \"text\"",
                "nothing",
            )
            .advise("for example separator = \"<|endoftext|>\""),
            (Some(separator), DataFormat::Text) if separator.is_empty() => Problem::new(
                "data.separator",
                "a marker of at least one character",
                "an empty string",
            ),
            (None, _) | (Some(_), DataFormat::Text) => return,
            (Some(separator), format) => Problem::new(
                "data.separator",
                format!("nothing, because data.format is {:?}", format.name()),
                format!("{separator:?}"),
            )
            .advise("documents are apart already: remove the key"),
        };
        checker.require_all(&["data.format"], false, problem);
    }

    fn check_fractions(&self, checker: &mut Checker) {
        checker.fraction("data.validation_fraction", self.validation_fraction);
        checker.fraction("data.test_fraction", self.test_fraction);
        let held_out = self.validation_fraction + self.test_fraction;
        let both_valid = checker.is_fraction(self.validation_fraction)
            && checker.is_fraction(self.test_fraction);
        let left = 1.0 - self.validation_fraction;
        checker.require_all(
            &["data.validation_fraction"],
            !both_valid || held_out < 1.0,
            Problem::new(
                "data.test_fraction",
                format!("less than {left:?}, what data.validation_fraction leaves"),
                format!("{:?}", self.test_fraction),
            )
            .advise("some documents must be left to train on"),
        );
    }

    fn check_chat_template(&self, checker: &mut Checker) {
        let Some(template) = &self.chat_template else {
            return;
        };
        if let ChatTemplateSource::File(path) = template {
            checker.path("data.chat_template", path);
        }
        checker.require_all(
            &["data.format"],
            matches!(self.format, DataFormat::Jsonl | DataFormat::Parquet),
            Problem::new(
                "data.chat_template",
                format!("nothing, because data.format is {:?}", self.format.name()),
                "a chat template",
            )
            .advise("plain text holds no messages: remove the key, or use jsonl or parquet"),
        );
    }

    fn check_erasure(&self, checker: &mut Checker) {
        if self.erase == PromptErasure::Keep {
            return;
        }
        checker.require_all(
            &["data.chat_template"],
            self.chat_template.is_some(),
            Problem::new(
                "data.erase",
                "\"keep\", because there is no data.chat_template",
                self.erase.describe(),
            )
            .advise("only conversations have a prompt to erase: set data.chat_template, for example to \"teacher\""),
        );
        checker.require_all(
            &["data.erase"],
            self.over_length != OverLength::Split,
            Problem::new(
                "data.over_length",
                "\"error\", \"truncate\" or \"skip\", because data.erase is not \"keep\"",
                "\"split\"",
            )
            .advise("a conversation that teacher and student see differently cannot be split"),
        );
        if let PromptErasure::ReplaceSystem(message) = &self.erase {
            checker.require(
                !message.is_empty(),
                Problem::new(
                    "data.erase.replace_system",
                    "a system message",
                    "an empty string",
                )
                .advise("use erase = \"remove_system\" to show the student none"),
            );
        }
    }

    fn check_textbook(&self, checker: &mut Checker) {
        let is_textbook = self.format == DataFormat::Textbook;
        match &self.textbook {
            Some(textbook) if is_textbook => textbook.check(checker),
            Some(_) => checker.require_all(
                &["data.format"],
                false,
                Problem::new(
                    "data.textbook",
                    format!("nothing, because data.format is {:?}", self.format.name()),
                    "a table",
                )
                .advise("remove the section, or set data.format = \"textbook\""),
            ),
            None => checker.require_all(
                &["data.format"],
                !is_textbook,
                Problem::new(
                    "data.textbook",
                    "a section, because data.format is \"textbook\"",
                    "nothing",
                ),
            ),
        }
        if !is_textbook {
            return;
        }
        for (key, fraction, items) in [
            (
                "data.validation_fraction",
                self.validation_fraction,
                "data.textbook.validation_items",
            ),
            (
                "data.test_fraction",
                self.test_fraction,
                "data.textbook.test_items",
            ),
        ] {
            checker.require_all(
                &["data.format"],
                fraction == 0.0,
                Problem::new(
                    key,
                    "0.0, because data.format is \"textbook\"",
                    format!("{fraction:?}"),
                )
                .advise(format!(
                    "the textbook's splits are counted in items: use {items}"
                )),
            );
        }
        if let Some(documents) = self.max_train_documents {
            checker.require_all(
                &["data.format"],
                false,
                Problem::new(
                    "data.max_train_documents",
                    "nothing, because data.format is \"textbook\"",
                    documents,
                )
                .advise("use data.textbook.train_items"),
            );
        }
    }
}

impl PromptErasure {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Keep => "\"keep\"".into(),
            Self::RemoveSystem => "\"remove_system\"".into(),
            Self::ReplaceSystem(message) => format!("{{ replace_system = {message:?} }}"),
        }
    }
}
