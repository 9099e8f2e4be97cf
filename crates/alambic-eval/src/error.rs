//! What can go wrong: one enum for the crate.

use std::path::PathBuf;

use alambic_text::TextError;
use alambic_transformer::TransformerError;

/// Everything that can fail in this crate; the message says where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A task's description is malformed.
    #[error("{task}: {problem}")]
    Task {
        /// The task's name, or its file.
        task: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A record is malformed, or makes no question.
    #[error("{file}, record {record}: {problem}")]
    Record {
        /// The file.
        file: String,
        /// Counted from 1.
        record: usize,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file holds no record.
    #[error("{file} holds no records, expected at least one")]
    NoRecords {
        /// The file.
        file: String,
    },
    /// A question with one of its choices is longer than the model reads.
    #[error(
        "question {question}: {found} tokens, but the model reads at most {limit}; leave the question out, or cut its front (TooLong::CutFront)"
    )]
    TooLong {
        /// The question's identity.
        question: String,
        /// Tokens of prompt and choice.
        found: usize,
        /// The model's limit.
        limit: usize,
    },
    /// A choice has no token of its own behind the prompt, or nothing stands before it.
    #[error("question {question}: {problem}")]
    NoTokens {
        /// The question's identity.
        question: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The tokenizer refused a text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model refused its input.
    #[error(transparent)]
    Model(#[from] TransformerError),
}
