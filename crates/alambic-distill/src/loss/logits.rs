//! Raw logits of a language model.

use alambic_kernels::{Computation, log_softmax};
use burn::tensor::Tensor;

use super::LogProbs;
use super::widened::widened;

/// What a head gives, before any normalisation.
///
/// A type of its own beside [`LogProbs`]: both stand for the same distributions, but log-probabilities
/// have forgotten the one number per position that a softmax does not see, and a loss that compares
/// logits needs it.
///
/// # Shapes
/// `[batch, seq, vocab]`, `f32` (or `f64`, where the model's are).
#[derive(Clone, Debug)]
pub struct Logits(Tensor<3>);

impl Logits {
    /// Logits `[batch, seq, vocab]`; half precision is widened: loss arithmetic is `f32` whatever
    /// the weights are. Double precision stays.
    pub fn new(logits: Tensor<3>) -> Self {
        Self(widened(logits))
    }

    /// Normalises with a log-softmax over the vocabulary.
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::Logits;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let logits = Logits::new(Tensor::from_floats([[[3.0, 3.0]]], &Device::flex()));
    /// let log_probs = logits.into_log_probs().tensor().to_data().to_vec::<f32>().unwrap();
    /// assert!((log_probs[0] - 0.5f32.ln()).abs() < 1e-6);
    /// ```
    pub fn into_log_probs(self) -> LogProbs {
        LogProbs::normalised(log_softmax(self.0, Computation::Fastest))
    }

    /// `[batch, seq, vocab]`.
    pub fn tensor(&self) -> &Tensor<3> {
        &self.0
    }

    /// `[batch, seq, vocab]`.
    pub fn dims(&self) -> [usize; 3] {
        self.0.dims()
    }
}
