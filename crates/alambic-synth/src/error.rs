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
}
