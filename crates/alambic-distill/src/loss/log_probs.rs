//! Log-probabilities of a language model, the input of every loss.

use alambic_kernels::{Computation, log_softmax};
use burn::tensor::Tensor;

use super::{Logits, LossError};

/// Normalised log-probabilities over the vocabulary, in nats.
///
/// A type of its own so that a loss cannot be handed logits by mistake, and so that several
/// losses share one log-softmax.
///
/// # Shapes
/// `[batch, seq, vocab]`, `f32` (or `f64`, where the logits are).
#[derive(Clone, Debug)]
pub struct LogProbs(Tensor<3>);

impl LogProbs {
    /// Normalises logits `[batch, seq, vocab]` with a log-softmax over the vocabulary.
    ///
    /// Half-precision logits are widened first: loss arithmetic is `f32` whatever the weights are.
    /// Double precision stays.
    pub fn from_logits(logits: Tensor<3>) -> Self {
        Logits::new(logits).into_log_probs()
    }

    /// Takes a table whose rows are normalised.
    pub(super) fn normalised(log_probs: Tensor<3>) -> Self {
        Self(log_probs)
    }

    /// The same distributions softened by a temperature: `softmax(z ÷ T)` for logits `z`.
    ///
    /// Logits differ from log-probabilities by one number per position, which a softmax forgets,
    /// so that nothing is lost by starting here.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] unless `temperature` is finite and above 0.
    pub fn at_temperature(&self, temperature: f64) -> Result<Self, LossError> {
        LossError::check_positive("temperature", temperature)?;
        if temperature == 1.0 {
            return Ok(self.clone());
        }
        let softened = self.0.clone() / temperature;
        Ok(Self(log_softmax(softened, Computation::Fastest)))
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
