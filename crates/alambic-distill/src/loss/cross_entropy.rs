//! Cross-entropy on the labels.

use burn::tensor::{Int, Tensor};

use super::{LabelMask, LogProbs, LossError, TokenLoss};

/// Cross-entropy of the student on hard labels, summed over tokens.
///
/// For each counted label `y`: `CE = - ln q_y`. Its mean is the negative log-likelihood per token.
///
/// # Shapes
/// - `student`: `[batch, seq, vocab]`
/// - `labels`: `[batch, seq]`, ids below `vocab`; ignored where the mask is zero
/// - `mask`: `[batch, seq]`
///
/// # Conventions
/// Nats. An all-zero mask gives the sum 0 and 0 tokens.
///
/// # Example
/// ```
/// use alambic_distill::loss::{CrossEntropy, LabelMask, LogProbs};
/// use burn::tensor::{Device, Int, Tensor};
///
/// let device = Device::flex();
/// let uniform = LogProbs::from_logits(Tensor::zeros([1, 1, 4], &device));
/// let labels = Tensor::<2, Int>::from_ints([[2]], &device);
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = CrossEntropy.forward(&uniform, &labels, &mask).unwrap();
/// assert!((loss.mean_nats().unwrap() - 4f64.ln()).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy;

impl CrossEntropy {
    /// The summed loss; see [`CrossEntropy`].
    ///
    /// # Errors
    /// [`LossError::Shape`] when labels or mask cover other positions than the student.
    pub fn forward(
        &self,
        student: &LogProbs,
        labels: &Tensor<2, Int>,
        mask: &LabelMask,
    ) -> Result<TokenLoss, LossError> {
        TokenLoss::masked(self.per_token(student, labels)?, mask)
    }

    /// `−ln q` of the label at every position, counted or not: `[batch, seq]`.
    ///
    /// # Errors
    /// [`LossError::Shape`] when there are other labels than positions.
    pub fn per_token(
        &self,
        student: &LogProbs,
        labels: &Tensor<2, Int>,
    ) -> Result<Tensor<2>, LossError> {
        let [batch, seq, _] = student.dims();
        LossError::check_shape("the labels", labels.dims(), [batch, seq])?;
        let labels = labels.clone().unsqueeze_dim::<3>(2);
        let picked = student.tensor().clone().gather(2, labels);
        Ok(picked.squeeze_dim::<2>(2).neg())
    }
}
