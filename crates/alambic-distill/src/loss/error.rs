//! What can be wrong with a loss's inputs.

/// A loss was given inputs that do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// Two inputs cover different positions.
    #[error("{what} cover [batch, seq] = {found:?}, the student's log-probabilities {expected:?}")]
    Shape {
        /// The input that does not fit.
        what: &'static str,
        /// The student's `[batch, seq]`.
        expected: [usize; 2],
        /// The input's `[batch, seq]`.
        found: [usize; 2],
    },
    /// More stored entries than the student has tokens: teacher and student vocabularies differ.
    #[error(
        "targets hold {k} entries per label but the student's vocabulary has {vocab}; was the cache captured for another tokenizer?"
    )]
    TooManyEntries {
        /// Stored entries per label.
        k: usize,
        /// The student's vocabulary size.
        vocab: usize,
    },
    /// A term reads teacher targets and the batch has none.
    #[error(
        "the objective's term `{term}` needs teacher targets, and this batch was made without them"
    )]
    MissingTargets {
        /// The term's name.
        term: &'static str,
    },
    /// A weight is negative or not finite.
    #[error(
        "objective term {index} has the weight {weight}; expected a finite number of at least 0"
    )]
    BadWeight {
        /// Index of the term.
        index: usize,
        /// The offending weight.
        weight: f64,
    },
    /// Nothing to minimise.
    #[error("the objective has no term with a positive weight")]
    EmptyObjective,
}
