//! Distillation losses: true values in nats, as sums over counted labels.
//!
//! This module knows tensors only: not the trainer, the cache or the model. A loss is made of two
//! choices that do not know each other: a [`DistributionPair`] says over which outcomes teacher
//! and student are compared, and a [`Divergence`] says how. Two losses are none: [`CrossEntropy`] on
//! labels, and [`LogitMse`] on raw logits.
//!
//! A model can have more columns of logits than its tokenizer has tokens. Only tokens are compared:
//! [`LogProbs::from_padded_logits`] and [`Head::within_vocabulary`] cut the others off, on both
//! sides, before anything is normalised.
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
//!
//! Losses that compare something else than distributions over one vocabulary:
//!
//! | what is compared | chosen by | loss | value |
//! |---|---|---|---|
//! | hidden states of chosen layers | [`LayerPairs`], [`LayerStates`] | [`HiddenStateLoss`] of a [`HiddenDistance`] | no unit; the cosine 0 to 2 |
//! | relations between tokens in an attention layer | [`AttentionRelation`], [`AttentionStates`] | [`RelationDistillation`] | nats |
//! | distributions over two vocabularies | [`AlignedPair`], [`AlignedGroups`], [`ByteAlignment`] | [`UniversalLogit`] | no unit, 0 to 2 |
//! | the same, with tokens in common | [`SharedVocabulary`] | [`HybridLogit`] | nats, and a part without a unit |
//!
//! Each is 0 between equals and never negative, and each is symmetric but for the relations (and
//! the hybrid, whose weights are the teacher's). Relations do not change when heads are rotated,
//! ULD not when a vocabulary is permuted; the hybrid is Jensen–Shannon between equal vocabularies
//! and ULD between strange ones.

mod adaptive_kl;
mod aligned_document;
mod aligned_groups;
mod aligned_objective;
mod aligned_pair;
mod alignment_error;
mod attention_relation;
mod attention_states;
mod byte_alignment;
mod chunked;
mod cross_entropy;
mod distribution_pair;
mod divergence;
mod error;
mod forward_kl;
mod head;
mod head_only_targets;
mod head_pass;
mod hidden_distance;
mod hidden_state_loss;
mod hybrid_logit;
mod jensen_shannon;
mod layer_objective;
mod layer_pairs;
mod layer_projection;
mod layer_states;
mod layer_term;
mod log_probs;
mod logit_mse;
mod logits;
mod merged_rows;
mod objective;
mod objective_term;
mod relation_distillation;
mod reverse_kl;
mod sampled_kl;
mod sampled_targets;
mod shared_vocabulary;
mod skew_kl;
mod skew_reverse_kl;
mod symmetric_kl;
mod tail_treatment;
mod target_batch;
mod temperature;
mod tempered_tail;
mod token_cuts;
mod token_loss;
mod top_k_targets;
mod total_variation;
mod universal_logit;
mod weight_ramp;
mod widened;

pub use adaptive_kl::AdaptiveKl;
pub use aligned_document::{AlignedDocument, PlacedTokens};
pub use aligned_groups::AlignedGroups;
pub use aligned_objective::AlignedObjective;
pub use aligned_pair::AlignedPair;
pub use alignment_error::AlignmentError;
pub use attention_relation::AttentionRelation;
pub use attention_states::AttentionStates;
pub use byte_alignment::{ByteAlignment, ByteGroup};
pub use chunked::{Chunked, DEFAULT_CHUNK_BYTES};
pub use cross_entropy::CrossEntropy;
pub use distribution_pair::DistributionPair;
pub use divergence::Divergence;
pub use error::LossError;
pub use forward_kl::ForwardKl;
pub use head::Head;
pub use head_only_targets::HeadOnlyTargetBatch;
pub use head_pass::{HeadPass, LabelLosses};
pub use hidden_distance::HiddenDistance;
pub use hidden_state_loss::HiddenStateLoss;
pub use hybrid_logit::HybridLogit;
pub use jensen_shannon::JensenShannon;
pub use layer_objective::{LayerObjective, ModelShape, ModelShapes, ModelStates};
pub use layer_pairs::{LayerCounts, LayerPair, LayerPairs};
pub use layer_projection::LayerProjection;
pub use layer_states::LayerStates;
pub use layer_term::{LayerLossKind, LayerTerm};
pub use log_probs::LogProbs;
pub use logit_mse::LogitMse;
pub use logits::Logits;
pub use objective::Objective;
pub use objective_term::{LossKind, LossSetting, ObjectiveTerm};
pub use relation_distillation::RelationDistillation;
pub use reverse_kl::ReverseKl;
pub use sampled_kl::SampledForwardKl;
pub use sampled_targets::SampledTargetBatch;
pub use shared_vocabulary::SharedVocabulary;
pub use skew_kl::SkewKl;
pub use skew_reverse_kl::SkewReverseKl;
pub use symmetric_kl::SymmetricKl;
pub use tail_treatment::TailTreatment;
pub use target_batch::{LabelTargets, TargetBatch};
pub(crate) use temperature::is_kept_temperature;
pub use temperature::{Temperature, TemperatureFactor};
pub use tempered_tail::TemperedTailBatch;
pub use token_loss::{LabelMask, TokenLoss};
pub use top_k_targets::TopKTargetBatch;
pub use total_variation::TotalVariation;
pub use universal_logit::UniversalLogit;
pub use weight_ramp::{RampKind, WeightRamp};

#[cfg(test)]
mod tests;
