//! Everything that can go wrong in capture, training and evaluation.

use std::path::PathBuf;

use alambic_cache::CacheError;
use alambic_text::TextError;
use alambic_transformer::TransformerError;

use crate::loss::LossError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistillError {
    /// The cache could not be read or written.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A segment or sequence is malformed.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A loss refused its inputs.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// A model cannot compute as it was asked to.
    #[error(transparent)]
    Model(#[from] TransformerError),
    /// A segment is longer than the model can read.
    #[error(
        "{source_name}: a segment of {found} tokens, but the {model} reads at most {expected}; cut segments shorter (data.over_length, training.sequence_tokens)"
    )]
    SegmentTooLong {
        /// Where the segment came from.
        source_name: String,
        /// Which model.
        model: &'static str,
        /// The model's limit.
        expected: usize,
        /// The segment's length.
        found: usize,
    },
    /// A token id is outside of the model's vocabulary.
    #[error(
        "{source_name}: token id {found} is outside of the {model}'s vocabulary of {expected}; is this the tokenizer that belongs to it?"
    )]
    TokenOutOfVocabulary {
        /// Where the segment came from.
        source_name: String,
        /// Which model.
        model: &'static str,
        /// The vocabulary size.
        expected: usize,
        /// The offending id.
        found: u32,
    },
    /// A student's tokens stand for no text that a teacher of another tokenizer could read.
    #[error(
        "expected tokens that stand for text, found {found}; was the data made with this tokenizer?"
    )]
    NotText {
        /// What is no text.
        found: String,
    },
    /// The teacher does not give whole distributions.
    #[error("the teacher cannot give {what}; choose another kind of target")]
    TeacherCannot {
        /// What was asked for.
        what: &'static str,
    },
    /// Training sources whose records cannot be trained on together.
    #[error(
        "source {place} cannot be joined with source 0: {differs}; capture both in the same way, with one tokenizer"
    )]
    UnlikeSources {
        /// Counted from 0.
        place: usize,
        /// What differs.
        differs: String,
    },
    /// A cache that another teacher filled.
    #[error(
        "the cache was captured from another teacher: its {field} is {expected}, this teacher's is {found}; name the model that filled the cache"
    )]
    TeacherMismatch {
        /// What differs: "fingerprint" or "vocabulary".
        field: &'static str,
        /// What the cache says.
        expected: String,
        /// What the teacher says.
        found: String,
    },
    /// The teacher read something else than the cache stores, in every segment of a sample.
    #[error(
        "none of the {num_segments} sampled segments can be compared: their keys are not those of this teacher reading the stored tokens. Either the teacher read a prompt that the student does not see, and the cache cannot tell it, or another model made the cache under this one's fingerprint; capture again to be sure"
    )]
    NotComparable {
        /// How many segments were sampled.
        num_segments: u64,
    },
    /// There is nothing to work on.
    #[error("{what} is empty: {hint}")]
    Empty {
        /// What is empty.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// The loss or the gradient is not a finite number.
    #[error(
        "step {step}: the {quantity} is {value} (segments {segments}); the last whole checkpoint is {checkpoint}. Lower the learning rate, or look at these segments"
    )]
    NotFinite {
        /// The optimizer step, 1-based.
        step: u64,
        /// "loss" or "gradient norm".
        quantity: &'static str,
        /// The value found.
        value: f64,
        /// Keys of the segments in the step.
        segments: String,
        /// The last checkpoint, or "none".
        checkpoint: String,
    },
    /// A checkpoint cannot be used.
    #[error("checkpoint {path}: {problem}")]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A checkpoint of another run.
    #[error(
        "checkpoint {path} was written by another configuration ({field}: found {found}, expected {expected}); use a new output directory or the original recipe"
    )]
    CheckpointMismatch {
        /// The checkpoint.
        path: PathBuf,
        /// Which part differs.
        field: &'static str,
        /// Value in the checkpoint.
        found: String,
        /// Value of this run.
        expected: String,
    },
    /// The directory is in use by another process.
    #[error(
        "{path} is locked: another run is using this directory; wait for it or choose another one"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A training setting is impossible.
    #[error("{key} is {found}; expected {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What was found.
        found: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// burn-train reported a failure of its own.
    #[error("the training framework stopped: {message}")]
    Framework {
        /// What it said.
        message: String,
    },
}

impl DistillError {
    /// An input/output error with its action and path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}
