//! What can go wrong: one enum for the crate.

use std::path::PathBuf;

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
    /// A strategy, or a list of them, is malformed.
    #[error("{origin}: {problem}")]
    Strategy {
        /// The strategy's name, or its file.
        origin: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// Options of filters cannot be used.
    #[error("{} in the filters' configuration:\n  {}", counted(problems.len()), problems.join("\n  "))]
    FilterConfig {
        /// Everything that is wrong, with key paths.
        problems: Vec<String>,
    },
    /// A file or text that filters are made of (a configuration, a classifier, a grid) is malformed.
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
}

/// "1 problem", "2 problems".
fn counted(problems: usize) -> String {
    match problems {
        1 => "1 problem".into(),
        several => format!("{several} problems"),
    }
}
