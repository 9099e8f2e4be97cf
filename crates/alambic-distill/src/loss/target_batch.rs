//! What the teacher says about a batch, on the device.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{
    DistributionPair, Head, LogProbs, LossError, SampledTargetBatch, TailTreatment, TopKTargetBatch,
};

/// Teacher targets for `[batch, seq]` positions.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one exists at a time, and what it holds are handles"
)]
pub enum TargetBatch {
    /// Whole distributions.
    Dense(LogProbs),
    /// The most likely tokens and the mass of the rest.
    TopK(TopKTargetBatch),
    /// Drawn tokens: for losses that are linear in the teacher's probabilities.
    Sampled(SampledTargetBatch),
}

impl TargetBatch {
    /// Teacher and student over the same outcomes; a dense teacher has no tail to treat.
    ///
    /// `None` for drawn tokens, of which the teacher's distribution cannot be told.
    ///
    /// # Errors
    /// Those of [`DistributionPair::dense`] and [`DistributionPair::top_k`].
    pub fn pair(
        &self,
        student: &LogProbs,
        tail: TailTreatment,
    ) -> Result<Option<DistributionPair>, LossError> {
        match self {
            Self::Dense(teacher) => DistributionPair::dense(teacher, student).map(Some),
            Self::TopK(targets) => DistributionPair::top_k(targets, student, tail).map(Some),
            Self::Sampled(_) => Ok(None),
        }
    }
}

/// Teacher targets for a list of labels, from which a range can be taken.
///
/// # Shapes
/// The first dimension of a hidden state, and `seq` of `[1, seq, k]` entries, are the labels.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one exists at a time, and what it holds are handles"
)]
pub enum LabelTargets {
    /// The most likely tokens and the mass of the rest.
    TopK(TopKTargetBatch),
    /// Drawn tokens.
    Sampled(SampledTargetBatch),
    /// The teacher's last hidden states `[labels, hidden]` and its head: its whole distributions,
    /// made where and when they are compared.
    Hidden {
        /// `[labels, hidden]`
        states: Tensor<2>,
        /// The teacher's output projection.
        head: Head,
    },
}

impl LabelTargets {
    /// How many labels the targets are for.
    pub fn num_labels(&self) -> usize {
        match self {
            Self::TopK(targets) => targets.dims()[1],
            Self::Sampled(targets) => targets.dims()[1],
            Self::Hidden { states, .. } => states.dims()[0],
        }
    }

    /// The targets of some of the labels.
    pub(super) fn range(&self, range: Range<usize>) -> TargetBatch {
        match self {
            Self::TopK(targets) => TargetBatch::TopK(targets.positions(range)),
            Self::Sampled(targets) => TargetBatch::Sampled(targets.positions(range)),
            Self::Hidden { states, head } => {
                let states = states.clone().narrow(0, range.start, range.len());
                let logits = head.shape(states.matmul(head.weight().clone()).unsqueeze::<3>());
                TargetBatch::Dense(LogProbs::from_logits(logits))
            }
        }
    }
}
