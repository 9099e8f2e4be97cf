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
    /// A record makes no question.
    #[error("{file}, record {record}: {problem}")]
    Record {
        /// The file.
        file: String,
        /// Counted from 1.
        record: usize,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file of the answers does not fit the file of the records.
    #[error("{file}: {problem}")]
    Answers {
        /// The file of the records.
        file: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file's records make no questions.
    #[error("{file} makes no question, expected at least one")]
    NoQuestions {
        /// The file.
        file: String,
    },
    /// There are not enough examples besides the question itself.
    #[error(
        "question {question}: expected {expected} examples before it, found {found} others; name more records or fewer examples"
    )]
    TooFewShots {
        /// The question's identity.
        question: String,
        /// How many are to be shown.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A question with what may follow it is longer than the model reads.
    #[error(
        "question {question}: {found} tokens, but the model reads at most {limit}; leave the question out, or cut its front (TooLong::CutFront)"
    )]
    TooLong {
        /// The question's identity.
        question: String,
        /// Tokens of the prompt and of what is to follow.
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
    /// A question has no answer to be compared with another model's.
    #[error(
        "question {question}: expected an answer of {model}, found none; let both models answer the same questions"
    )]
    Unpaired {
        /// The question's identity.
        question: String,
        /// The model without an answer.
        model: String,
    },
    /// The tokenizer, a file of records or a chat template refused something.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model refused its input.
    #[error(transparent)]
    Model(#[from] TransformerError),
}
