//! Log-probabilities of a language model, the input of every loss.

use alambic_kernels::{Computation, log_softmax};
use burn::tensor::{DType, Tensor};

/// Normalised log-probabilities over the vocabulary, in nats.
///
/// A type of its own so that a loss cannot be handed logits by mistake, and so that several
/// losses share one log-softmax.
///
/// # Shapes
/// `[batch, seq, vocab]`, `f32`.
#[derive(Clone, Debug)]
pub struct LogProbs(Tensor<3>);

impl LogProbs {
    /// Normalises logits `[batch, seq, vocab]` with a log-softmax over the vocabulary.
    ///
    /// Half-precision logits are widened first: loss arithmetic is `f32` whatever the weights are.
    pub fn from_logits(logits: Tensor<3>) -> Self {
        Self(log_softmax(logits.cast(DType::F32), Computation::Fastest))
    }

    /// The log-probabilities, `[batch, seq, vocab]`.
    pub fn tensor(&self) -> &Tensor<3> {
        &self.0
    }

    /// `[batch, seq, vocab]`.
    pub fn dims(&self) -> [usize; 3] {
        self.0.dims()
    }

    /// Shannon entropy of every position in nats, `[batch, seq]`.
    pub fn entropy(&self) -> Tensor<2> {
        let log_probs = self.0.clone();
        (log_probs.clone().exp() * log_probs)
            .sum_dim(2)
            .neg()
            .squeeze_dim::<2>(2)
    }
}
