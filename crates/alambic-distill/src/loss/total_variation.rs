//! Total variation distance.

use burn::tensor::Tensor;

use super::divergence::sum_outcomes;
use super::{DistributionPair, Divergence};

/// Total variation distance between teacher and student, 0 to 1, without a unit.
///
/// `TV = ½ Σ |p − q|`
///
/// The largest difference that the two give to any set of tokens. Symmetric, 0 if and only if both
/// agree; its gradient is bounded and jumps where `p = q`. With a tail bucket a lower bound of the
/// full value; under [`ZeroFill`](super::TailTreatment::ZeroFill) the student's mass outside of the
/// stored entries counts in full.
///
/// # Example
/// ```
/// use alambic_distill::loss::{DistributionPair, Divergence, LabelMask, LogProbs, TotalVariation};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let log_probs = |probs: [f32; 2]| {
///     LogProbs::from_logits(Tensor::from_floats([[probs.map(f32::ln)]], &device))
/// };
/// let pair = DistributionPair::dense(&log_probs([0.75, 0.25]), &log_probs([0.25, 0.75])).unwrap();
/// let loss = TotalVariation.forward(&pair, &LabelMask::new(&[true], [1, 1], &device)).unwrap();
/// assert!((loss.sum.into_scalar::<f32>() - 0.5).abs() < 1e-6);
/// ```
///
/// # References
/// Wen et al. 2023 (f-distill), arXiv:2307.15190, eq. 8.
#[derive(Clone, Copy, Debug, Default)]
pub struct TotalVariation;

impl Divergence for TotalVariation {
    fn name(&self) -> &'static str {
        "total_variation"
    }

    fn needs_teacher_mass(&self) -> bool {
        false
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        let (teacher, student) = (pair.teacher().clone().exp(), pair.student().clone().exp());
        sum_outcomes((teacher - student).abs()) * 0.5
    }
}
