//! Generalised Jensen–Shannon divergence.

use burn::tensor::Tensor;

use super::divergence::{log_mixture, relative_entropy};
use super::{DistributionPair, Divergence, ForwardKl, LossError, ReverseKl};

/// Generalised Jensen–Shannon divergence between teacher `p` and student `q`.
///
/// `JSD = β KL(p ‖ m) + (1 − β) KL(q ‖ m)`, where `m = β p + (1 − β) q`
///
/// `beta` is the *teacher's* weight; some libraries give it to the student. 0 if and only if both
/// agree, symmetric at `β = ½`, at most `ln 2` there, and defined where either has no mass.
///
/// At 0 and 1 it is *defined* as the forward and the reverse KL divergence (Agarwal et al.), where
/// the formula itself gives 0: `JSD ÷ β` tends to the forward KL as `β` tends to 0. So the value
/// jumps there: at `β = 0.01` the loss is about a hundred times smaller than at 0.
///
/// # Example
/// ```
/// use alambic_distill::loss::{DistributionPair, Divergence, JensenShannon, LabelMask, LogProbs};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let log_probs = |logits: [f32; 2]| LogProbs::from_logits(Tensor::from_floats([[logits]], &device));
/// // All mass on different tokens: as far apart as can be.
/// let pair = DistributionPair::dense(&log_probs([200.0, 0.0]), &log_probs([0.0, 200.0])).unwrap();
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = JensenShannon::try_new(0.5).unwrap().forward(&pair, &mask).unwrap();
/// assert!((loss.mean_nats().unwrap() - 2f64.ln()).abs() < 1e-6);
/// ```
///
/// # References
/// Agarwal et al. 2024 (GKD), arXiv:2306.13649, eq. 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JensenShannon {
    beta: f64,
}

impl JensenShannon {
    /// A divergence with the teacher's weight `beta`, 0 to 1.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] for any other number.
    pub fn try_new(beta: f64) -> Result<Self, LossError> {
        LossError::check_fraction("beta", beta)?;
        Ok(Self { beta })
    }
}

impl Divergence for JensenShannon {
    fn name(&self) -> &'static str {
        "jensen_shannon"
    }

    fn needs_teacher_mass(&self) -> bool {
        self.beta == 1.0
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        if self.beta == 0.0 {
            return ForwardKl.per_token(pair);
        }
        if self.beta == 1.0 {
            return ReverseKl.per_token(pair);
        }
        let mixture = log_mixture(self.beta, pair.teacher(), pair.student());
        relative_entropy(pair.teacher(), &mixture) * self.beta
            + relative_entropy(pair.student(), &mixture) * (1.0 - self.beta)
    }
}
