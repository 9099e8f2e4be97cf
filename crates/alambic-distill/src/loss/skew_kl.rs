//! Skew Kullback–Leibler divergence.

use burn::tensor::Tensor;

use super::divergence::{log_mixture, relative_entropy};
use super::{DistributionPair, Divergence, LossError};

/// Skew Kullback–Leibler divergence, KL(teacher ‖ α · teacher + (1 − α) · student).
///
/// `SKL = Σ p (ln p − ln m)`, where `m = α p + (1 − α) q`
///
/// 0 if and only if both agree; at most `−ln α`, so a student that misses a token of the teacher
/// costs a bounded amount. `α = 0` is the forward KL divergence.
///
/// # Example
/// ```
/// use alambic_distill::loss::{DistributionPair, Divergence, LabelMask, LogProbs, SkewKl};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let log_probs = |logits: [f32; 2]| LogProbs::from_logits(Tensor::from_floats([[logits]], &device));
/// let pair = DistributionPair::dense(&log_probs([200.0, 0.0]), &log_probs([0.0, 200.0])).unwrap();
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = SkewKl::try_new(0.1).unwrap().forward(&pair, &mask).unwrap();
/// assert!((loss.mean_nats().unwrap() + 0.1f64.ln()).abs() < 1e-6);
/// ```
///
/// # References
/// Ko et al. 2024 (DistiLLM), arXiv:2402.03898, eq. 3; α = 0.1 there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkewKl {
    alpha: f64,
}

impl SkewKl {
    /// A divergence to the mixture that holds the share `alpha` of the teacher, 0 to less than 1.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] for any other number.
    pub fn try_new(alpha: f64) -> Result<Self, LossError> {
        LossError::check_proper_fraction("alpha", alpha)?;
        Ok(Self { alpha })
    }
}

impl Divergence for SkewKl {
    fn name(&self) -> &'static str {
        "skew_kl"
    }

    fn needs_teacher_mass(&self) -> bool {
        false
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        let mixture = log_mixture(self.alpha, pair.teacher(), pair.student());
        relative_entropy(pair.teacher(), &mixture)
    }
}
