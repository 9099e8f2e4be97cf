//! Cross-entropy on the labels.

use burn::tensor::{Int, Tensor};

use super::{LabelMask, LogProbs, TokenLoss};

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
/// let loss = CrossEntropy.forward(&uniform, &labels, &LabelMask::new(&[true], [1, 1], &device));
/// assert!((loss.mean_nats().unwrap() - 4f64.ln()).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy;

impl CrossEntropy {
    /// The summed loss; see [`CrossEntropy`].
    pub fn forward(
        &self,
        student: &LogProbs,
        labels: &Tensor<2, Int>,
        mask: &LabelMask,
    ) -> TokenLoss {
        TokenLoss::masked(self.per_token(student, labels), mask)
    }

    /// `−ln q` of the label at every position, counted or not: `[batch, seq]`.
    pub fn per_token(&self, student: &LogProbs, labels: &Tensor<2, Int>) -> Tensor<2> {
        let labels = labels.clone().unsqueeze_dim::<3>(2);
        let picked = student.tensor().clone().gather(2, labels);
        picked.squeeze_dim::<2>(2).neg()
    }
}
