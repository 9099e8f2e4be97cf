//! What can be wrong with a loss's inputs.

use super::AlignmentError;

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
    /// A stored entry names a token that the student does not have.
    #[error(
        "the teacher's targets name the token {token_id} but the student's vocabulary has {vocab}; were they captured for another tokenizer, or with the teacher's padding?"
    )]
    TokenOutOfVocabulary {
        /// The largest id of the targets.
        token_id: u32,
        /// The student's vocabulary size.
        vocab: usize,
    },
    /// Logits cannot be cut to as many tokens.
    #[error(
        "a tokenizer of {tokenizer_size} tokens does not fit {columns} columns of logits; expected 1 to {columns}"
    )]
    TokenizerSize {
        /// The size to cut to.
        tokenizer_size: usize,
        /// The columns that there are.
        columns: usize,
    },
    /// Teacher and student speak of different tokens.
    #[error(
        "the teacher's distributions have {teacher} entries, the student's {student}; cut both to the tokenizer's size first (`LogProbs::from_padded_logits`, `Head::within_vocabulary`)"
    )]
    Vocabulary {
        /// The teacher's vocabulary size.
        teacher: usize,
        /// The student's.
        student: usize,
    },
    /// Hidden states are not as wide as what they are compared or multiplied with.
    #[error(
        "{what} should be {expected} wide, found {found}; models of different widths need a projection"
    )]
    StateWidth {
        /// The states that do not fit.
        what: &'static str,
        /// The width that fits.
        expected: usize,
        /// The states'.
        found: usize,
    },
    /// No layer is compared.
    #[error("there is no layer to compare; name at least one pair of student and teacher layer")]
    NoLayerPairs,
    /// A pair names a layer that the model does not have.
    #[error(
        "layer pair {index} names the hidden state {layer} of the {side}, which has the states 0 (embedding) to {last}"
    )]
    LayerOutOfRange {
        /// Index of the pair.
        index: usize,
        /// Whose layer.
        side: &'static str,
        /// The layer that does not exist.
        layer: usize,
        /// The last that does.
        last: usize,
    },
    /// A pair names the attention of a layer that the model does not have.
    #[error(
        "layer pair {index} names the attention of the {side}'s layer {layer}; its layers are 1 to {last}"
    )]
    NoAttentionLayer {
        /// Index of the pair.
        index: usize,
        /// Whose layer.
        side: &'static str,
        /// The layer that has no attention.
        layer: usize,
        /// The last that does.
        last: usize,
    },
    /// A loss between layers is wrong.
    #[error("layer term {index}, {kind}: {error}")]
    LayerTerm {
        /// Index of the term among the losses between layers.
        index: usize,
        /// Its kind.
        kind: &'static str,
        /// What is wrong with it.
        error: Box<LossError>,
    },
    /// A list names something twice, which would count it twice.
    #[error("the {what} {name} is named twice; remove one")]
    NamedTwice {
        /// What the list is of.
        what: &'static str,
        /// Which one.
        name: String,
    },
    /// The states of a compared layer were not given.
    #[error("the {side}'s layer {layer} is compared, but only the layers {found:?} were given")]
    MissingLayer {
        /// Whose layer.
        side: &'static str,
        /// The layer that is compared.
        layer: usize,
        /// The layers that were given.
        found: Vec<usize>,
    },
    /// No relation is compared.
    #[error("there is no relation to compare; name at least one, such as value_value")]
    NoRelations,
    /// Queries, keys or values that a relation reads were not given.
    #[error("a relation reads the {side}'s {part}, which were not given")]
    MissingAttentionStates {
        /// Whose states.
        side: &'static str,
        /// Queries, keys or values.
        part: &'static str,
    },
    /// Attention states cannot be cut into relation heads of one width.
    #[error(
        "the {side}'s {relation} states are {width} wide, which {relation_heads} relation heads do not divide; choose a divisor of both models' widths"
    )]
    RelationHeads {
        /// Whose states.
        side: &'static str,
        /// The relation.
        relation: &'static str,
        /// Heads times their width.
        width: usize,
        /// The relation heads asked for.
        relation_heads: usize,
    },
    /// Queries and keys are not of one attention layer.
    #[error(
        "the {side}'s queries have [heads, head_dim] {queries:?} and its keys [groups, head_dim] {keys:?}; the groups should divide the heads, of one width"
    )]
    QueryKeyHeads {
        /// Whose states.
        side: &'static str,
        /// `[heads, head_dim]`
        queries: [usize; 2],
        /// `[groups, head_dim]`
        keys: [usize; 2],
    },
    /// Distributions are over another vocabulary than the one that was aligned or matched.
    #[error(
        "the {side}'s distributions have {found} entries, the vocabulary that they were to be compared over {expected}; cut them to the tokenizer's size first"
    )]
    VocabularySize {
        /// Whose distributions.
        side: &'static str,
        /// The vocabulary's size.
        expected: usize,
        /// The distributions'.
        found: usize,
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
    /// Drawn tokens do not tell the teacher's distribution.
    #[error(
        "drawn tokens do not tell the teacher's distribution, only what is linear in it; compare with SampledForwardKl"
    )]
    OnlyDraws,
    /// Tokens were drawn at another temperature.
    #[error(
        "the tokens were drawn at temperature {drawn}, the objective asks for {temperature}; capture draws at that temperature, or train at {drawn}"
    )]
    DrawnAtTemperature {
        /// Temperature of the draws.
        drawn: f64,
        /// The objective's.
        temperature: f64,
    },
    /// The loss has no unbiased estimate from drawn tokens.
    #[error(
        "`{term}` is not linear in the teacher's probabilities, so that drawn tokens give a biased estimate of it; use forward_kl, or a cache of the most likely tokens"
    )]
    NotLinear {
        /// The term.
        term: &'static str,
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
    /// Two tokenizations or two vocabularies cannot be aligned.
    #[error(transparent)]
    Alignment(#[from] AlignmentError),
    /// A loss at the labels of one vocabulary, among those between two.
    #[error(
        "`{term}` is no loss between two vocabularies; those are universal_logit and hybrid_logit"
    )]
    NotAligned {
        /// The loss.
        term: &'static str,
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
    #[error("term {index} has the weight {weight}; expected a finite number of at least 0")]
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
    /// The targets say nothing of the tokens that they do not store.
    #[error(
        "the tail bucket compares the mass of all tokens that are not stored, and these targets do not know the teacher's: the format that they were converted from does not keep it; choose the tail treatment renormalise_teacher, renormalise_both or zero_fill"
    )]
    TailNotKept,
    /// The truncation cannot answer for this temperature.
    #[error(
        "truncated targets cannot be softened to the temperature {temperature}: what the mass outside of the stored entries becomes depends on tokens that were not kept, and is kept for {kept:?}; use one of these temperatures, declare {temperature} when the teacher is captured, or use the teacher's whole distributions"
    )]
    TemperatureNotKept {
        /// The temperatures that the targets answer for.
        kept: Vec<f64>,
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

    /// That logits can be cut to the tokens of a tokenizer.
    pub(super) fn check_tokenizer_size(tokenizer_size: usize, columns: usize) -> Result<(), Self> {
        if (1..=columns).contains(&tokenizer_size) {
            return Ok(());
        }
        Err(Self::TokenizerSize {
            tokenizer_size,
            columns,
        })
    }

    /// That states are as wide as what they meet.
    pub(super) fn check_width(
        what: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self::StateWidth {
            what,
            expected,
            found,
        })
    }

    /// That distributions are over the vocabulary that they meet.
    pub(super) fn check_vocabulary(
        side: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self::VocabularySize {
            side,
            expected,
            found,
        })
    }

    /// That a setting lies between 0 and 1, both excluded.
    pub(super) fn check_inner_fraction(setting: &'static str, found: f64) -> Result<(), Self> {
        let holds = found > 0.0 && found < 1.0;
        Self::check_setting(setting, found, holds, "more than 0 and less than 1")
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
