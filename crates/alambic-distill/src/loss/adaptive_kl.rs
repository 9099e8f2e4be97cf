//! Adaptive Kullback–Leibler divergence.

use burn::tensor::Tensor;

use super::divergence::sum_outcomes;
use super::{DistributionPair, Divergence, ForwardKl, LossError, ReverseKl};

/// Adaptive Kullback–Leibler divergence: forward and reverse KL, weighted by where they differ.
///
/// The teacher's most likely outcomes that together reach the mass `μ` are the head, the others the
/// tail, and `g = Σ |p − q|` over each. Then
///
/// `AKL = (g_head · KL(p ‖ q) + g_tail · KL(q ‖ p)) ÷ (g_head + g_tail)`
///
/// The weights are constants to the gradient. Where both distributions are equal to the last bit the weights are
/// ½; the value is 0 there. A truncated teacher needs its tail bucket, as for [`ReverseKl`], and
/// the bucket counts as one outcome.
///
/// # Example
/// ```
/// use alambic_distill::loss::{AdaptiveKl, DistributionPair, Divergence, LabelMask, LogProbs};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let log_probs = |probs: [f32; 2]| {
///     LogProbs::from_logits(Tensor::from_floats([[probs.map(f32::ln)]], &device))
/// };
/// // Two outcomes differ by as much each: the mean of both divergences.
/// let pair = DistributionPair::dense(&log_probs([0.75, 0.25]), &log_probs([0.25, 0.75])).unwrap();
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = AdaptiveKl::try_new(0.5).unwrap().forward(&pair, &mask).unwrap();
/// assert!((loss.mean_nats().unwrap() - 0.5 * 3f64.ln()).abs() < 1e-6);
/// ```
///
/// # References
/// Wu et al. 2024, arXiv:2404.02657, eq. 9 to 11; μ = 0.5 there. The program published with the
/// paper counts the outcome that crosses μ to the tail, unless it is the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveKl {
    head_mass: f64,
}

impl AdaptiveKl {
    /// A divergence whose head holds the teacher's mass `head_mass` (μ), between 0 and 1.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] for any other number.
    pub fn try_new(head_mass: f64) -> Result<Self, LossError> {
        LossError::check_fraction("head_mass", head_mass)?;
        Ok(Self { head_mass })
    }

    /// The share of the forward divergence at every position, `[batch, seq]`.
    fn forward_share(&self, pair: &DistributionPair) -> Tensor<2> {
        let teacher = pair.teacher().clone().detach();
        let (sorted, order) = teacher.sort_descending_with_indices(2);
        let sorted = sorted.exp();
        let student = pair.student().clone().detach().gather(2, order).exp();
        let before = sorted.clone().cumsum(2) - sorted.clone();
        let is_head = before.lower_elem(self.head_mass);
        let gaps = (sorted - student).abs();
        let tail = sum_outcomes(gaps.clone().mask_fill(is_head, 0.0));
        let all = sum_outcomes(gaps);
        let nowhere = all.clone().equal_elem(0.0);
        ((all.clone() - tail) / all).mask_fill(nowhere, 0.5)
    }
}

impl Divergence for AdaptiveKl {
    fn name(&self) -> &'static str {
        "adaptive_kl"
    }

    fn needs_teacher_mass(&self) -> bool {
        true
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        let share = self.forward_share(pair);
        let rest = share.clone().neg() + 1.0;
        ForwardKl.per_token(pair) * share + ReverseKl.per_token(pair) * rest
    }
}
