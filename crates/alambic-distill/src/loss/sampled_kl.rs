//! The forward Kullback–Leibler divergence, estimated from drawn tokens.

use burn::tensor::Tensor;

use super::{LabelMask, LogProbs, LossError, SampledTargetBatch, TokenLoss};

/// Unbiased estimate of the forward Kullback–Leibler divergence KL(teacher ‖ student).
///
/// For each counted label, with the shares `s` of the drawn tokens and the teacher's entropy `H`:
///
/// `− Σᵢ sᵢ ln qᵢ − H`
///
/// The expectation over draws is `Σ p (ln p − ln q)`, and that of its gradient is the gradient of
/// dense distillation, because the divergence is linear in `p` but for `H`, which is stored and
/// not estimated: `Σ s ln s`, the plug-in estimate, is too large on average. A single value may be
/// negative; only averages are estimates.
///
/// # Shapes
/// - `student`: `[batch, seq, vocab]`, softened by the temperature of the draws
/// - `targets`: `[batch, seq, most]`
///
/// # Conventions
/// Nats. An all-zero mask gives the sum 0 and 0 tokens.
///
/// # Example
/// ```
/// use alambic_distill::loss::{LabelMask, LogProbs, SampledForwardKl, SampledTargetBatch};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let student = LogProbs::from_logits(Tensor::zeros([1, 1, 4], &device));
/// // Four draws: three times token 2, once token 0; the teacher's entropy is 0.6 nats.
/// let targets =
///     SampledTargetBatch::from_host(vec![2, 0], vec![0.75, 0.25], vec![0.6], [1, 1, 2], &device);
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = SampledForwardKl.forward(&targets, &student, &mask).unwrap();
/// assert!((loss.mean_nats().unwrap() - (4f64.ln() - 0.6)).abs() < 1e-6);
/// ```
///
/// # References
/// Anshumann et al. 2025, arXiv:2503.16870, section 3.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampledForwardKl;

impl SampledForwardKl {
    /// The sum over the counted labels; see [`SampledForwardKl`].
    ///
    /// # Errors
    /// [`LossError::Shape`] when targets or mask cover other positions than the student.
    pub fn forward(
        &self,
        targets: &SampledTargetBatch,
        student: &LogProbs,
        mask: &LabelMask,
    ) -> Result<TokenLoss, LossError> {
        TokenLoss::masked(self.per_token(targets, student)?, mask)
    }

    /// The estimate at every position, `[batch, seq]`, counted or not.
    ///
    /// # Errors
    /// [`LossError::Shape`] when the targets cover other positions than the student,
    /// [`LossError::TokenOutOfVocabulary`] for a drawn id that the student does not have.
    pub fn per_token(
        &self,
        targets: &SampledTargetBatch,
        student: &LogProbs,
    ) -> Result<Tensor<2>, LossError> {
        let [batch, seq, vocab] = student.dims();
        let [target_batch, target_seq, _] = targets.dims();
        LossError::check_shape(
            "the teacher's targets",
            [target_batch, target_seq],
            [batch, seq],
        )?;
        targets.check_ids(vocab)?;
        let drawn = student
            .tensor()
            .clone()
            .gather(2, targets.token_ids.clone());
        let shares = targets.shares.clone().cast(drawn.dtype());
        // A column that is padding may be -inf; its share is 0 and its product not a number.
        let unused = shares.clone().equal_elem(0.0);
        let cross_entropy = (shares * drawn.mask_fill(unused, 0.0))
            .sum_dim(2)
            .squeeze_dim::<2>(2)
            .neg();
        let entropy = targets.entropy.clone().cast(cross_entropy.dtype());
        Ok(cross_entropy - entropy)
    }
}
