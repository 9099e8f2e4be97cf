//! Distillation losses: true values in nats, as sums over counted labels.
//!
//! This module knows tensors only: not the trainer, the cache or the model. A loss is made of two
//! choices that do not know each other: a [`DistributionPair`] says over which outcomes teacher
//! and student are compared, and a [`Divergence`] says how. Two losses are none: [`CrossEntropy`] on
//! labels, and [`LogitMse`] on raw logits.
//!
//! Which identity holds where; every line is a test over random logits. "Coarse" stands for
//! [`TailTreatment::TailBucket`], "both" for [`TailTreatment::RenormaliseBoth`], "filled" for the
//! two others.
//!
//! | identity | dense | coarse | both | filled |
//! |---|---|---|---|---|
//! | 0 for a student that equals the teacher | all | all | all | forward KL: 0 zero-filled, `−ln Σₖ p` renormalised |
//! | never negative | all | all | all | no: a zero-filled teacher is not a distribution |
//! | at most the dense value | | all but adaptive KL, which weighs two | no | no |
//! | the dense value when `K = V` | | all | all | all |
//! | finite whatever the student | skew with `α > 0`, Jensen–Shannon with `0 < β < 1`, total variation | the same | the same | the same; those that are not are refused |
//! | the same with teacher and student exchanged | symmetric KL, Jensen–Shannon at `β = ½`, total variation | the same | the same | |
//! | at most `ln 2`, `−ln α`, 1 | Jensen–Shannon at `β = ½`, skew KL and skew reverse KL, total variation | the same | the same | |

mod adaptive_kl;
mod chunked;
mod cross_entropy;
mod distribution_pair;
mod divergence;
mod error;
mod forward_kl;
mod head;
mod head_pass;
mod jensen_shannon;
mod log_probs;
mod logit_mse;
mod logits;
mod objective;
mod objective_term;
mod reverse_kl;
mod skew_kl;
mod skew_reverse_kl;
mod symmetric_kl;
mod tail_treatment;
mod target_batch;
mod temperature;
mod token_loss;
mod top_k_targets;
mod total_variation;
mod weight_ramp;

pub use adaptive_kl::AdaptiveKl;
pub use chunked::{Chunked, DEFAULT_CHUNK_BYTES};
pub use cross_entropy::CrossEntropy;
pub use distribution_pair::DistributionPair;
pub use divergence::Divergence;
pub use error::LossError;
pub use forward_kl::ForwardKl;
pub use head::Head;
pub use head_pass::{HeadPass, LabelLosses};
pub use jensen_shannon::JensenShannon;
pub use log_probs::LogProbs;
pub use logit_mse::LogitMse;
pub use logits::Logits;
pub use objective::Objective;
pub use objective_term::{LossKind, LossSetting, ObjectiveTerm};
pub use reverse_kl::ReverseKl;
pub use skew_kl::SkewKl;
pub use skew_reverse_kl::SkewReverseKl;
pub use symmetric_kl::SymmetricKl;
pub use tail_treatment::TailTreatment;
pub use target_batch::{LabelTargets, TargetBatch};
pub use temperature::{Temperature, TemperatureFactor};
pub use token_loss::{LabelMask, TokenLoss};
pub use top_k_targets::TopKTargetBatch;
pub use total_variation::TotalVariation;
pub use weight_ramp::{RampKind, WeightRamp};

#[cfg(test)]
mod tests;
