//! The contract of `report.json`, version 2.
//!
//! Field by field, with units: `docs/report-format.md`. Every `Option` is written as `null` when
//! the figure was not measured. An unknown key is refused, so that a typo or a newer format
//! cannot pass as this one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the contract that this crate writes.
pub const SCHEMA_VERSION: u32 = 2;
/// The oldest version that it reads: all of its keys mean the same.
pub(crate) const OLDEST_SCHEMA_VERSION: u32 = 1;

/// What one run of a recipe measured: the content of `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of the contract: [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What the run is called; runs that share a title are repetitions of each other.
    pub title: String,
    /// Program and version that wrote the report, such as `alambic 0.1.0`.
    pub created_by: String,
    /// The recipe's seed, from which every random stream of the run is derived.
    pub seed: u64,
    /// The device that computed, in words.
    pub device: String,
    /// The teacher on the evaluation tokens.
    pub teacher: TeacherMetrics,
    /// The distilled student on the evaluation tokens.
    pub student: StudentMetrics,
    /// The same student trained on hard labels alone.
    pub baseline: Option<StudentMetrics>,
    /// Accuracy of guessing, over all problems; a fraction.
    pub chance_accuracy: Option<f64>,
    /// Answer accuracy per family of problems; empty when no problems were asked.
    pub accuracy_by_family: Vec<FamilyAccuracy>,
    /// What training the distilled student cost.
    pub train: TrainingCost,
    /// What training the baseline cost.
    pub baseline_train: Option<TrainingCost>,
    /// The cache of teacher outputs; none where the teacher answered while the student trained.
    pub cache: Option<CacheSummary>,
    /// What the evaluation covered and cost.
    pub evaluation: EvaluationSummary,
    /// Training and validation over steps, one entry per arm.
    pub curves: Vec<Curve>,
    /// Reliability of the most probable token, one entry per model.
    pub calibration: Vec<Calibration>,
    /// The same prompts continued by each model.
    pub samples: Vec<Sample>,
    /// The stages of the run in order, with what they cost.
    pub stages: Vec<Stage>,
}

/// The teacher on the evaluation tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherMetrics {
    /// The teacher's name, as in the recipe.
    pub name: String,
    /// Number of parameters; tied weights count once.
    pub parameters: u64,
    /// Negative log-likelihood, nats per counted token.
    pub nll: f64,
    /// `exp(nll)`.
    pub perplexity: f64,
    /// Bits per byte of the evaluated text.
    pub bits_per_byte: f64,
    /// Negative log-likelihood of text of templates that were never trained on, nats per token.
    pub nll_unseen_templates: Option<f64>,
    /// Fraction of problems answered exactly.
    pub answer_accuracy: Option<f64>,
}

/// A student on the evaluation tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentMetrics {
    /// Number of parameters; tied weights count once.
    pub parameters: u64,
    /// Negative log-likelihood, nats per counted token.
    pub nll: f64,
    /// `exp(nll)`.
    pub perplexity: f64,
    /// Bits per byte of the evaluated text.
    pub bits_per_byte: f64,
    /// KL(teacher ‖ student), nats per counted token; none between unlike tokenizers.
    pub kl_to_teacher: Option<f64>,
    /// Fraction of counted tokens where teacher and student agree on the most probable token; none between
    /// unlike tokenizers.
    pub top1_agreement: Option<f64>,
    /// Expected calibration error of the most probable token; a fraction.
    pub expected_calibration_error: Option<f64>,
    /// Negative log-likelihood of text of templates that were never trained on, nats per token.
    pub nll_unseen_templates: Option<f64>,
    /// Fraction of problems answered exactly.
    pub answer_accuracy: Option<f64>,
}

/// Answer accuracy on one family of problems; all accuracies are fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyAccuracy {
    /// Name of the family, such as `date arithmetic`.
    pub family: String,
    /// Number of problems asked.
    pub problems: u64,
    /// Accuracy of guessing.
    pub chance: f64,
    /// Accuracy of the teacher.
    pub teacher: f64,
    /// Accuracy of the distilled student.
    pub student: f64,
    /// Accuracy of the baseline.
    pub baseline: Option<f64>,
}

/// What training one student cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingCost {
    /// Counted tokens seen, repetitions included.
    pub tokens: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// Counted tokens per second of wall-clock time.
    pub tokens_per_second: f64,
    /// Highest resident memory of the process, bytes.
    pub peak_rss_bytes: u64,
}

/// The cache of teacher outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSummary {
    /// Counted tokens in the cache.
    pub tokens: u64,
    /// Size on disk, bytes.
    pub bytes: u64,
    /// `bytes / tokens`.
    pub bytes_per_token: f64,
    /// Wall-clock time of the capture in seconds.
    pub capture_seconds: f64,
    /// What is stored per label, such as `top 32`.
    pub kept: String,
    /// Mean probability that the stored entries leave out, a fraction; none for drawn tokens.
    pub mean_tail_mass: Option<f64>,
}

/// What the evaluation covered and cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSummary {
    /// Counted tokens.
    pub tokens: u64,
    /// Segments.
    pub segments: u64,
    /// Wall-clock time in seconds.
    pub seconds: f64,
}

/// Which of the two students.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The student that learns from the teacher.
    Distilled,
    /// The baseline, which learns from the text alone.
    HardLabels,
}

/// Which of the three models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelArm {
    /// The teacher.
    Teacher,
    /// The student that learns from the teacher.
    Distilled,
    /// The baseline, which learns from the text alone.
    HardLabels,
}

/// Training and validation of one arm over steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Which student.
    pub arm: Arm,
    /// The logged training steps in order.
    pub train: Vec<TrainPoint>,
    /// The validations in order.
    pub validation: Vec<ValidationPoint>,
}

/// One logged training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainPoint {
    /// Optimizer step, counted from 1.
    pub step: u64,
    /// Counted tokens seen up to and including this step.
    pub tokens: u64,
    /// The weighted training objective per counted token; nats, unless hidden states are compared.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Global gradient norm before clipping.
    pub gradient_norm: f64,
    /// Each term of the objective before its weight, per counted token: nats where it is made of
    /// logarithms.
    pub terms: BTreeMap<String, f64>,
}

/// One validation during training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationPoint {
    /// Optimizer step after which the validation ran.
    pub step: u64,
    /// Counted tokens trained on until then.
    pub tokens: u64,
    /// Negative log-likelihood, nats per counted token.
    pub nll: f64,
    /// KL(teacher ‖ student), nats per counted token.
    pub kl_to_teacher: Option<f64>,
    /// Fraction of counted tokens where teacher and student agree on the most probable token.
    pub top1_agreement: Option<f64>,
}

/// Reliability of one model's most probable token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Which model.
    pub arm: ModelArm,
    /// Bins in order of confidence.
    pub bins: Vec<CalibrationBin>,
}

/// Tokens whose confidence falls into one bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationBin {
    /// Mean probability of the most probable token; a fraction.
    pub confidence: f64,
    /// Fraction of tokens where it was the label.
    pub accuracy: f64,
    /// Number of counted tokens in the bin.
    pub count: u64,
}

/// One prompt continued by each model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// What the models were given.
    pub prompt: String,
    /// What the teacher wrote.
    pub teacher: String,
    /// What the distilled student wrote.
    pub student: String,
    /// What the baseline wrote.
    pub baseline: Option<String>,
    /// The right answer, where there is one.
    pub expected: Option<String>,
}

/// One stage of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Name of the stage, such as `capture`.
    pub name: String,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// What it did, in a few words.
    pub detail: String,
}
