//! The output projection as a loss sees it.

use alambic_kernels::Precision;
use burn::tensor::{DType, Tensor};

use super::{Logits, LossError};

/// A language-model head: hidden states to logits.
///
/// `z = c · tanh(s h W ÷ c)` with the scale `s` and the soft-cap `c`, or `z = s h W` without one.
///
/// # Example
/// ```
/// use alambic_distill::loss::Head;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let weight = Tensor::<2>::from_floats([[1.0, 20.0, 9.0]], &device); // hidden 1, vocabulary 3
/// let head = Head::new(weight)
///     .within_vocabulary(2)
///     .and_then(|head| head.with_logit_scale(0.5))
///     .and_then(|head| head.with_logit_softcap(5.0))
///     .unwrap();
/// let logits = head.logits(Tensor::<2>::ones([1, 1], &device));
/// let logits: Vec<f32> = logits.tensor().clone().into_data().to_vec().unwrap();
/// assert_eq!(logits.len(), 2);
/// assert!((logits[0] - 5.0 * 0.1f32.tanh()).abs() < 1e-6);
/// assert!((logits[1] - 5.0 * 2f32.tanh()).abs() < 1e-5);
/// ```
#[derive(Clone, Debug)]
pub struct Head {
    weight: Tensor<2>,
    logit_scale: f64,
    logit_softcap: Option<f64>,
    precision: Precision,
}

impl Head {
    /// A head of the weight `[hidden, vocab]`, without scale or soft-cap.
    ///
    /// A weight that autodiff does not track is frozen: no gradient is made for it.
    pub fn new(weight: Tensor<2>) -> Self {
        Self {
            weight,
            logit_scale: 1.0,
            logit_softcap: None,
            precision: Precision::F32,
        }
    }

    /// Leaves out the columns after the first `tokenizer_size`, to which no token belongs.
    ///
    /// The logits of the padding are not made at all: [`LogProbs::from_padded_logits`] of the whole
    /// head's logits gives the same losses. The padding's gradient is exactly 0, whatever stands
    /// there.
    ///
    /// # Memory
    /// Where there is padding, a copy of the weight that is kept, and of its gradient in the
    /// backward pass.
    ///
    /// # Errors
    /// [`LossError::TokenizerSize`] unless `tokenizer_size` is between 1 and the weight's number of
    /// columns.
    ///
    /// [`LogProbs::from_padded_logits`]: super::LogProbs::from_padded_logits
    pub fn within_vocabulary(mut self, tokenizer_size: usize) -> Result<Self, LossError> {
        let [_, columns] = self.weight.dims();
        LossError::check_tokenizer_size(tokenizer_size, columns)?;
        if tokenizer_size < columns {
            self.weight = self.weight.narrow(1, 0, tokenizer_size);
        }
        Ok(self)
    }

    /// Multiplies the logits (Cohere's models).
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] unless the scale is finite and above 0.
    pub fn with_logit_scale(mut self, scale: f64) -> Result<Self, LossError> {
        LossError::check_positive("logit_scale", scale)?;
        self.logit_scale = scale;
        Ok(self)
    }

    /// Keeps the logits between `-cap` and `cap` (Gemma 2).
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] unless the cap is finite and above 0.
    pub fn with_logit_softcap(mut self, cap: f64) -> Result<Self, LossError> {
        LossError::check_positive("logit_softcap", cap)?;
        self.logit_softcap = Some(cap);
        Ok(self)
    }

    /// Rounds states, weight and their products to `precision`; the logits are in f32 all the same.
    #[must_use]
    pub fn computing_in(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// What the logits are multiplied with, 1 without a scale.
    pub fn logit_scale(&self) -> f64 {
        self.logit_scale
    }

    /// What bounds the logits, if anything does.
    pub fn logit_softcap(&self) -> Option<f64> {
        self.logit_softcap
    }

    /// `[hidden, vocab]`, without the padding that was left out.
    pub fn weight(&self) -> &Tensor<2> {
        &self.weight
    }

    /// The logits of a list of states: `[labels, hidden]` → `[1, labels, vocab]`.
    pub fn logits(&self, states: Tensor<2>) -> Logits {
        self.logits_of_batch(states.unsqueeze::<3>())
    }

    /// The logits of a batch of states: `[batch, seq, hidden]` → `[batch, seq, vocab]`.
    pub fn logits_of_batch(&self, states: Tensor<3>) -> Logits {
        let [batch, seq, width] = states.dims();
        let rows = states.reshape([batch * seq, width]);
        let product = self.product(rows, self.weight.clone());
        let [_, vocab] = product.dims();
        Logits::new(self.shape(product.reshape([batch, seq, vocab])))
    }

    /// A product of two matrices as the head makes it, in f32.
    pub(super) fn product(&self, left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
        let product = self.rounded(left).matmul(self.rounded(right));
        match self.precision {
            Precision::F32 => product,
            _ => product.cast(DType::F32),
        }
    }

    /// An operand of a product, as it is multiplied.
    pub(super) fn rounded(&self, operand: Tensor<2>) -> Tensor<2> {
        match self.precision {
            Precision::F32 => operand,
            narrow => narrow.round(operand),
        }
    }

    /// Scale and soft-cap of the product of hidden states and weight.
    pub(super) fn shape(&self, product: Tensor<3>) -> Tensor<3> {
        let scaled = if self.logit_scale == 1.0 {
            product
        } else {
            product * self.logit_scale
        };
        match self.logit_softcap {
            Some(cap) => (scaled / cap).tanh() * cap,
            None => scaled,
        }
    }
}
