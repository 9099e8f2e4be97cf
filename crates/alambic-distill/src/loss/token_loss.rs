//! The result of every loss: a sum and a count, never a mean.

use burn::tensor::Tensor;

use super::LossError;

/// A loss summed over tokens, with the number of tokens that were summed.
///
/// A mean taken inside a loss breaks gradient accumulation: micro-batches with few labels would
/// weigh as much as those with many. Only the trainer divides, once per optimizer step, by the
/// number of labels of the whole window.
///
/// # Example
/// ```
/// use alambic_distill::loss::{CrossEntropy, LabelMask, LogProbs};
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex();
/// let student = LogProbs::from_logits(Tensor::<3>::zeros([1, 2, 4], &device));
/// let labels = Tensor::<2, Int>::from_ints([[3, 0]], &device);
/// let loss = |counted: [bool; 2]| {
///     let mask = LabelMask::new(&counted, [1, 2], &device);
///     CrossEntropy.forward(&student, &labels, &mask).unwrap()
/// };
/// assert!((loss([true, true]).sum.into_scalar::<f32>() - 2.0 * 4f32.ln()).abs() < 1e-6);
/// assert!((loss([true, false]).mean_nats().unwrap() - 4f64.ln()).abs() < 1e-6);
/// assert_eq!(loss([false, false]).mean_nats(), None);
/// ```
#[derive(Clone, Debug)]
pub struct TokenLoss {
    /// Sum over counted labels in nats, `[1]`; differentiable.
    pub sum: Tensor<1>,
    /// How many labels were counted.
    pub num_tokens: u64,
}

impl TokenLoss {
    /// Sums `per_token` `[batch, seq]` where `mask` `[batch, seq]` is one.
    ///
    /// # Errors
    /// [`LossError::Shape`] if the mask covers other positions.
    pub(crate) fn masked(per_token: Tensor<2>, mask: &LabelMask) -> Result<Self, LossError> {
        LossError::check_shape("the label mask", mask.tensor().dims(), per_token.dims())?;
        let counted = mask.tensor().clone().cast(per_token.dtype());
        Ok(Self {
            sum: (per_token * counted).sum(),
            num_tokens: mask.num_tokens(),
        })
    }

    /// The mean in nats per token; `None` when no token was counted.
    ///
    /// Reads the sum back from the device.
    pub fn mean_nats(&self) -> Option<f64> {
        (self.num_tokens > 0)
            .then(|| self.sum.clone().into_scalar::<f32>() as f64 / self.num_tokens as f64)
    }
}

/// Which positions are counted: ones and zeros on the device, and their number on the host.
///
/// The number is known before the first forward pass of a window, so it can be divided by.
#[derive(Clone, Debug)]
pub struct LabelMask {
    tensor: Tensor<2>,
    num_tokens: u64,
}

impl LabelMask {
    /// Builds the mask of `[batch, seq]` positions from booleans in row-major order.
    ///
    /// # Panics
    /// If `mask.len() != batch * seq`.
    pub fn new(mask: &[bool], [batch, seq]: [usize; 2], device: &burn::tensor::Device) -> Self {
        assert_eq!(mask.len(), batch * seq, "one flag per position");
        let values: Vec<f32> = mask.iter().map(|&counted| f32::from(counted)).collect();
        Self {
            tensor: Tensor::from_data(burn::tensor::TensorData::new(values, [batch, seq]), device),
            num_tokens: mask.iter().filter(|&&counted| counted).count() as u64,
        }
    }

    /// Ones where a label counts, `[batch, seq]`.
    pub fn tensor(&self) -> &Tensor<2> {
        &self.tensor
    }

    /// How many labels count.
    pub fn num_tokens(&self) -> u64 {
        self.num_tokens
    }
}
