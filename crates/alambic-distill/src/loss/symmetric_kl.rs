//! The mean of both Kullback–Leibler divergences.

use burn::tensor::Tensor;

use super::{DistributionPair, Divergence, ForwardKl, ReverseKl};

/// Symmetric Kullback–Leibler divergence, ½ KL(teacher ‖ student) + ½ KL(student ‖ teacher).
///
/// `½ Σ (p − q)(ln p − ln q)`
///
/// Half of Jeffreys' divergence. 0 if and only if both agree, and the same with teacher and student
/// exchanged. A truncated teacher needs its tail bucket, as for [`ReverseKl`].
///
/// # Example
/// ```
/// use alambic_distill::loss::{DistributionPair, Divergence, LabelMask, LogProbs, SymmetricKl};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let log_probs = |probs: [f32; 2]| {
///     LogProbs::from_logits(Tensor::from_floats([[probs.map(f32::ln)]], &device))
/// };
/// let pair = DistributionPair::dense(&log_probs([0.75, 0.25]), &log_probs([0.25, 0.75])).unwrap();
/// let loss = SymmetricKl.forward(&pair, &LabelMask::new(&[true], [1, 1], &device)).unwrap();
/// assert!((loss.mean_nats().unwrap() - 0.5 * 3f64.ln()).abs() < 1e-6);
/// ```
///
/// # References
/// Jeffreys 1946. Some libraries add a *cross-entropy* to a reverse KL under this name; this is
/// the mean of two divergences.
#[derive(Clone, Copy, Debug, Default)]
pub struct SymmetricKl;

impl Divergence for SymmetricKl {
    fn name(&self) -> &'static str {
        "symmetric_kl"
    }

    fn needs_teacher_mass(&self) -> bool {
        true
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        (ForwardKl.per_token(pair) + ReverseKl.per_token(pair)) * 0.5
    }
}
