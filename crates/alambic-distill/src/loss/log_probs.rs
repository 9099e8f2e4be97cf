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

    /// Normalises the first `tokenizer_size` of the logits `[batch, seq, columns]`.
    ///
    /// `ln pᵢ = zᵢ − ln Σⱼ exp zⱼ`, for `i` and `j` below `tokenizer_size`
    ///
    /// Checkpoints often have more columns than the tokenizer has tokens, rounded up to a size that
    /// suits the hardware, and two models of one tokenizer can be padded by different amounts. Only
    /// over the tokens that exist are they comparable: both are cut, and normalised there. What
    /// stands in the padding counts for nothing, be it infinite or not a number, and its gradient
    /// is exactly 0.
    ///
    /// Some libraries pad the narrower model with logits of 0 instead, which gives tokens that do
    /// not exist a probability.
    ///
    /// # Memory
    /// One copy of the logits that are kept, unless there is no padding.
    ///
    /// # Errors
    /// [`LossError::TokenizerSize`] unless `tokenizer_size` is between 1 and the number of columns.
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::LogProbs;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// // Two tokens, and a column that no token has.
    /// let logits = Tensor::<3>::from_floats([[[0.0, 0.0, 50.0]]], &Device::flex());
    /// let log_probs = LogProbs::from_padded_logits(logits, 2).unwrap();
    /// assert_eq!(log_probs.dims(), [1, 1, 2]);
    /// // Both tokens are equally likely.
    /// assert!((log_probs.entropy().into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
    /// ```
    pub fn from_padded_logits(logits: Tensor<3>, tokenizer_size: usize) -> Result<Self, LossError> {
        let [_, _, columns] = logits.dims();
        LossError::check_tokenizer_size(tokenizer_size, columns)?;
        if tokenizer_size == columns {
            return Ok(Self::from_logits(logits));
        }
        Ok(Self::from_logits(logits.narrow(2, 0, tokenizer_size)))
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
