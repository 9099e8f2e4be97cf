//! What can be wrong with a loss's inputs.

use std::fmt::Debug;
use std::ops::RangeBounds;

/// A loss was given inputs that do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// Two inputs cover different positions.
    #[error("{what} cover {found:?}, expected {expected:?}, what the student covers")]
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
    /// Teacher and student speak of different tokens.
    #[error(
        "the teacher's distributions have {teacher} entries, the student's {student}; cut both to the tokenizer's size first"
    )]
    Vocabulary {
        /// The teacher's vocabulary size.
        teacher: usize,
        /// The student's.
        student: usize,
    },
    /// The divergence is infinite for nearly every student.
    #[error(
        "{divergence} is infinite where the student has mass and the teacher none, as outside of the stored entries under `{treatment}`; use `tail_bucket`, or a divergence that is bounded there such as skew_reverse_kl"
    )]
    NoTeacherMass {
        /// The divergence.
        divergence: &'static str,
        /// The treatment of the entries that are not stored.
        treatment: &'static str,
    },
    /// A temperature that softens nothing.
    #[error("the temperature should be a finite number above 0, found {found}")]
    Temperature {
        /// The value given.
        found: f64,
    },
    /// A loss was named without the setting that it reads.
    #[error("the term `{term}` needs {setting}")]
    SettingMissing {
        /// The term.
        term: &'static str,
        /// The missing setting.
        setting: &'static str,
    },
    /// A setting was given to a loss that does not read it.
    #[error("the term `{term}` does not read {setting}; remove it")]
    SettingUnread {
        /// The term.
        term: &'static str,
        /// The superfluous setting.
        setting: &'static str,
    },
    /// A setting of a divergence is out of range.
    #[error("{setting} should be {expected}, found {found}")]
    Fraction {
        /// The setting.
        setting: &'static str,
        /// The range.
        expected: String,
        /// The value given.
        found: f64,
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
    /// An empty list of labels has no total.
    #[error("there is no label to compute a loss of")]
    NoLabels,
    /// Nothing to minimise.
    #[error("the objective has no term with a positive weight")]
    EmptyObjective,
}

impl LossError {
    /// That a setting lies in a range, such as 0 to 1.
    pub(super) fn check_fraction(
        setting: &'static str,
        found: f64,
        range: impl RangeBounds<f64> + Debug,
    ) -> Result<(), Self> {
        if range.contains(&found) {
            return Ok(());
        }
        Err(Self::Fraction {
            setting,
            expected: format!("in {range:?}"),
            found,
        })
    }
}
