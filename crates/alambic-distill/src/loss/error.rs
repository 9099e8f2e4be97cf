//! What can be wrong with a loss's inputs.

/// A loss was given inputs that do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// Two inputs cover different positions.
    #[error("{what} should have the shape {expected:?}, found {found:?}")]
    Shape {
        /// The input that does not fit.
        what: &'static str,
        /// The shape that fits the student's, such as `[batch, seq]`.
        expected: [usize; 2],
        /// The input's.
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
    /// A setting is out of range.
    #[error("{setting} should be {expected}, found {found}")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
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
    /// A ramp that does not take a step.
    #[error(
        "a weight's ramp goes from first_step {first_step} to last_step {last_step}; expected a last step after the first one"
    )]
    EmptyRamp {
        /// The last step with the term's own weight.
        first_step: u64,
        /// The first step with the ramp's.
        last_step: u64,
    },
    /// The truncation cannot answer for this temperature.
    #[error(
        "truncated targets cannot be softened to the temperature {temperature}: what the mass outside of the stored entries becomes depends on tokens that were not kept; use the temperature 1, or the teacher's whole distributions"
    )]
    TemperatureNotKept {
        /// The temperature asked for.
        temperature: f64,
    },
    /// The targets have forgotten the teacher's logits.
    #[error(
        "the term `{term}` needs the teacher's raw logits, and {targets} have not kept them; use a divergence such as forward_kl, or targets of the teacher's hidden states"
    )]
    LogitsNotKept {
        /// The term's name.
        term: &'static str,
        /// What there is instead.
        targets: &'static str,
    },
    /// An empty list of labels has no total.
    #[error("there is no label to compute a loss of")]
    NoLabels,
    /// Nothing to minimise.
    #[error("the objective has no term with a positive weight at step {step}")]
    EmptyObjective {
        /// The first such optimizer step, counted from 1.
        step: u64,
    },
}

impl LossError {
    /// That an input has the shape that fits the others.
    pub(super) fn check_shape(
        what: &'static str,
        found: [usize; 2],
        expected: [usize; 2],
    ) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self::Shape {
            what,
            expected,
            found,
        })
    }

    /// That a setting lies between 0 and 1, both included.
    pub(super) fn check_fraction(setting: &'static str, found: f64) -> Result<(), Self> {
        let holds = (0.0..=1.0).contains(&found);
        Self::check_setting(setting, found, holds, "0 to 1")
    }

    /// That a setting lies between 0 and 1, the latter excluded.
    pub(super) fn check_proper_fraction(setting: &'static str, found: f64) -> Result<(), Self> {
        let holds = (0.0..1.0).contains(&found);
        Self::check_setting(setting, found, holds, "0 to less than 1")
    }

    /// That a setting is finite and above 0.
    pub(super) fn check_positive(setting: &'static str, found: f64) -> Result<(), Self> {
        let holds = found.is_finite() && found > 0.0;
        Self::check_setting(setting, found, holds, "a finite number above 0")
    }

    fn check_setting(
        setting: &'static str,
        found: f64,
        holds: bool,
        expected: &'static str,
    ) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        Err(Self::OutOfRange {
            setting,
            expected,
            found,
        })
    }
}
