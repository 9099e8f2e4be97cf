//! `[training]` and `[baseline]`: how much is trained, and against what.

use alambic_distill::loss::{DEFAULT_CHUNK_BYTES, HeadPass};
use alambic_transformer::Precision;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::data::DataSection;
use super::problem::Problem;

/// The fewest tokens in which one token predicts another.
const MIN_SEQUENCE_TOKENS: usize = 2;

/// The `[training]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSection {
    /// Optimizer steps.
    pub total_steps: usize,
    /// Packed sequences per optimizer step.
    pub sequences_per_step: usize,
    /// Tokens per packed sequence; at most `student.max_position_embeddings`.
    pub sequence_tokens: usize,
    /// Sequences per forward pass; divides `sequences_per_step`; memory only, same result.
    pub micro_batch_sequences: usize,
    /// How many of a forward pass's logits exist at one time: `chunked` if not given; memory and
    /// time only, same result. Losses between two vocabularies read whole logits beside them.
    pub head_pass: Option<HeadPassKind>,
    /// Bytes of logits in a chunk, 32 MiB if not given; only for `chunked`.
    pub chunk_bytes: Option<usize>,
    /// What matrix products are rounded to while students are trained and validated: `f32` if not given, which rounds
    /// nothing. Weights and optimizer stay in f32, and students are tested and written in it.
    pub precision: Option<Precision>,
    /// Whether what is inside of a layer is computed again when its gradients are, rather than kept: `false` if not
    /// given; memory and time only, same result up to roundings.
    pub recompute_layers: Option<bool>,
    /// Cache shards that are mixed at a time; text without a cache is mixed as a whole.
    pub shuffle_shards: usize,
    /// Steps between two checkpoints.
    pub checkpoint_every_steps: usize,
    /// Checkpoints kept; older ones are removed.
    pub keep_checkpoints: usize,
    /// Steps between two evaluations on the validation split.
    pub evaluate_every_steps: usize,
    /// Stops after this many evaluations without a better one; never when absent.
    pub early_stopping_patience: Option<usize>,
}

/// The ways over the language-model head that a recipe can name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadPassKind {
    /// The logits of all labels at once; see [`HeadPass::Whole`].
    Whole,
    /// A chunk of labels at a time, if they do not fit into one; see [`HeadPass::Chunked`].
    #[default]
    Chunked,
}

/// The `[baseline]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineSection {
    /// Whether the same student is also trained on hard labels alone, for the same tokens.
    pub enabled: bool,
}

impl TrainingSection {
    /// How many of a forward pass's logits exist at one time.
    pub fn head_pass(&self) -> HeadPass {
        match self.head_pass.unwrap_or_default() {
            HeadPassKind::Whole => HeadPass::Whole,
            HeadPassKind::Chunked => HeadPass::Chunked {
                chunk_bytes: self.chunk_bytes.unwrap_or(DEFAULT_CHUNK_BYTES),
            },
        }
    }

    /// Writes out what was not given, so that a resolved recipe shows it.
    pub(super) fn resolve(&mut self) {
        if *self.head_pass.get_or_insert_default() == HeadPassKind::Chunked {
            self.chunk_bytes.get_or_insert(DEFAULT_CHUNK_BYTES);
        }
        self.precision.get_or_insert_default();
        self.recompute_layers.get_or_insert_default();
    }

    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        for (key, count) in [
            ("training.total_steps", self.total_steps),
            ("training.sequences_per_step", self.sequences_per_step),
            ("training.micro_batch_sequences", self.micro_batch_sequences),
            ("training.shuffle_shards", self.shuffle_shards),
            (
                "training.checkpoint_every_steps",
                self.checkpoint_every_steps,
            ),
            ("training.keep_checkpoints", self.keep_checkpoints),
            ("training.evaluate_every_steps", self.evaluate_every_steps),
        ] {
            checker.at_least(1, key, count);
        }
        checker.at_least(
            MIN_SEQUENCE_TOKENS,
            "training.sequence_tokens",
            self.sequence_tokens,
        );
        checker.divides(
            ("training.micro_batch_sequences", self.micro_batch_sequences),
            ("training.sequences_per_step", self.sequences_per_step),
            "a step is a whole number of micro-batches of equal size",
        );
        if let Some(patience) = self.early_stopping_patience {
            checker.at_least(1, "training.early_stopping_patience", patience);
        }
        if let Some(bytes) = self.chunk_bytes {
            checker.at_least(1, "training.chunk_bytes", bytes);
            checker.require_all(
                &["training.head_pass"],
                self.head_pass != Some(HeadPassKind::Whole),
                Problem::new(
                    "training.chunk_bytes",
                    "nothing, because training.head_pass is \"whole\"",
                    bytes,
                )
                .advise("remove one of the two keys"),
            );
        }
    }

    /// Reports what is wrong between this section and others.
    pub(super) fn check_against(
        &self,
        data: &DataSection,
        max_positions: usize,
        checker: &mut Checker,
    ) {
        checker.require_all(
            &["student.max_position_embeddings"],
            self.sequence_tokens <= max_positions,
            Problem::new(
                "training.sequence_tokens",
                format!("at most student.max_position_embeddings ({max_positions})"),
                self.sequence_tokens,
            ),
        );
        let Some(patience) = self.early_stopping_patience else {
            return;
        };
        if let Some(reason) = data.why_validation_is_empty() {
            checker.require_all(
                &DataSection::VALIDATION_KEYS,
                false,
                Problem::new("training.early_stopping_patience", format!("nothing, because {reason}"), patience)
                    .advise("early stopping watches the validation split: hold something out, or remove the key"),
            );
        }
        checker.require_all(
            &["training.total_steps", "training.early_stopping_patience"],
            self.evaluate_every_steps <= self.total_steps,
            Problem::new(
                "training.evaluate_every_steps",
                format!(
                    "at most training.total_steps ({}), because training.early_stopping_patience is set",
                    self.total_steps
                ),
                self.evaluate_every_steps,
            ),
        );
    }
}
