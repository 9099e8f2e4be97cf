//! Distillation losses: true values in nats, as sums over counted labels.
//!
//! This module knows tensors only: not the trainer, the cache or the model.

mod cross_entropy;
mod error;
mod forward_kl;
mod log_probs;
mod objective;
mod token_loss;
mod top_k_targets;

pub use cross_entropy::CrossEntropy;
pub use error::LossError;
pub use forward_kl::ForwardKl;
pub use log_probs::LogProbs;
pub use objective::{LossKind, Objective, ObjectiveTerm};
pub use token_loss::{LabelMask, TokenLoss};
pub use top_k_targets::TopKTargetBatch;

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
