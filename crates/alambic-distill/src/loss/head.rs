//! The output projection as a loss sees it.

use burn::tensor::Tensor;

use super::{Logits, LossError};

/// A language-model head: hidden states to logits.
///
/// `z = c · tanh(s h W ÷ c)` with the scale `s` and the soft-cap `c`, or `z = s h W` without one.
#[derive(Clone, Debug)]
pub struct Head {
    weight: Tensor<2>,
    logit_scale: f64,
    logit_softcap: Option<f64>,
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
        }
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

    /// `[hidden, vocab]`
    pub fn weight(&self) -> &Tensor<2> {
        &self.weight
    }

    /// The logits of a list of states: `[labels, hidden]` → `[1, labels, vocab]`.
    pub fn logits(&self, states: Tensor<2>) -> Logits {
        let product = states.matmul(self.weight.clone());
        Logits::new(self.shape(product.unsqueeze::<3>()))
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
