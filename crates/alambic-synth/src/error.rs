//! What can go wrong: one enum for the crate.

use std::path::{Path, PathBuf};

/// Everything that can fail in this crate; the message says where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// A file cannot be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried, such as "read".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A line of a file is malformed.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What was expected and what was found.
        problem: String,
    },
    /// A record of a file makes no prompt.
    #[error("{path}, record {record}: {problem}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        record: u64,
        /// What was expected and what was found.
        problem: String,
    },
    /// Another process works on the same answers.
    #[error("{path} is in use by another process; wait for it, or choose another directory")]
    Locked {
        /// The file that it holds.
        path: PathBuf,
    },
    /// A strategy, or a map of tasks to strategies, is malformed.
    #[error("{origin}: {problem}")]
    Strategy {
        /// The strategy's name, or its file.
        origin: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Two requests of one run are the same, so that one answer would count twice.
    #[error(
        "prompt {prompt}, sample {sample} is asked for twice; give every prompt an id of its own"
    )]
    AskedTwice {
        /// The prompt's identity.
        prompt: String,
        /// Counted from 0.
        sample: u32,
    },
    /// Settings that cannot work.
    #[error("{0}")]
    Settings(Problems),
    /// A template or a tokenizer refused something.
    #[error(transparent)]
    Text(#[from] alambic_text::TextError),
    /// A model in this process refused its input.
    #[cfg(feature = "local")]
    #[error(transparent)]
    Model(#[from] alambic_transformer::TransformerError),
    /// A text that filters are made of (a configuration, a classifier, a grid) is malformed.
    #[error("{origin}: {problem}")]
    FilterSource {
        /// The file, or what the text was to be.
        origin: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A classifier cannot be trained on the examples, or asked about the features.
    #[error("quality classifier: {problem}")]
    Classifier {
        /// What was expected and what was found.
        problem: String,
    },
    /// An endpoint refuses everything that it is asked, or cannot be asked.
    #[error("{url}: {problem}")]
    Endpoint {
        /// Where requests go.
        url: String,
        /// What was expected and what was found.
        problem: String,
    },
}

impl SynthError {
    pub(crate) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// The same error of a strategy, naming the file that it was read from.
    pub(crate) fn of_strategy(self, path: &Path) -> Self {
        match self {
            Self::Strategy { problem, .. } => Self::Strategy {
                origin: path.display().to_string(),
                problem,
            },
            other => other,
        }
    }
}

/// All that is wrong with some settings, each with its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl Problems {
    /// Notes a problem of a key unless what is expected holds.
    pub(crate) fn expect(
        &mut self,
        holds: bool,
        key: &str,
        found: impl std::fmt::Display,
        expected: &str,
    ) {
        if !holds {
            self.0
                .push(format!("{key} is {found}, expected {expected}"));
        }
    }

    /// An error if anything is wrong.
    pub(crate) fn into_result(self) -> Result<(), SynthError> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(SynthError::Settings(self)),
        }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}
