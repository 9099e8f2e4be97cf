//! Skew reverse Kullback–Leibler divergence.

use burn::tensor::Tensor;

use super::divergence::{log_mixture, relative_entropy};
use super::{DistributionPair, Divergence, LossError};

/// Skew reverse Kullback–Leibler divergence, KL(student ‖ α · student + (1 − α) · teacher).
///
/// `SRKL = Σ q (ln q − ln m)`, where `m = α q + (1 − α) p`
///
/// 0 if and only if both agree; at most `−ln α`, so unlike [`ReverseKl`](super::ReverseKl) it
/// stays finite where the teacher has no mass. `α = 0` is the reverse KL divergence.
///
/// # Example
/// ```
/// use alambic_distill::loss::{DistributionPair, Divergence, LabelMask, LogProbs, SkewReverseKl};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let log_probs = |logits: [f32; 2]| LogProbs::from_logits(Tensor::from_floats([[logits]], &device));
/// let pair = DistributionPair::dense(&log_probs([200.0, 0.0]), &log_probs([0.0, 200.0])).unwrap();
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = SkewReverseKl::try_new(0.1).unwrap().forward(&pair, &mask).unwrap();
/// assert!((loss.mean_nats().unwrap() + 0.1f64.ln()).abs() < 1e-6);
/// ```
///
/// # References
/// Ko et al. 2024 (DistiLLM), arXiv:2402.03898, eq. 4; α = 0.1 there. The student inside the
/// mixture is differentiated, as in that paper; DistiLLM-2 detaches it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkewReverseKl {
    alpha: f64,
}

impl SkewReverseKl {
    /// A divergence to the mixture that holds the share `alpha` of the student, 0 to less than 1.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] for any other number.
    pub fn try_new(alpha: f64) -> Result<Self, LossError> {
        LossError::check_proper_fraction("alpha", alpha)?;
        Ok(Self { alpha })
    }
}

impl Divergence for SkewReverseKl {
    fn name(&self) -> &'static str {
        "skew_reverse_kl"
    }

    fn needs_teacher_mass(&self) -> bool {
        self.alpha == 0.0
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        let mixture = log_mixture(self.alpha, pair.student(), pair.teacher());
        relative_entropy(pair.student(), &mixture)
    }
}
