//! Reverse Kullback–Leibler divergence.

use burn::tensor::Tensor;

use super::divergence::relative_entropy;
use super::{DistributionPair, Divergence};

/// Reverse Kullback–Leibler divergence, KL(student ‖ teacher), summed over tokens.
///
/// `KL = Σ q (ln q − ln p)`
///
/// 0 if and only if both agree. Infinite where the student has mass and the teacher has none, so a
/// truncated teacher needs its tail bucket; with it, a lower bound of the full value.
///
/// # Example
/// ```
/// use alambic_distill::loss::{DistributionPair, Divergence, LabelMask, LogProbs, ReverseKl};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let teacher = [[[0.5f32.ln(), 0.25f32.ln(), 0.25f32.ln()]]];
/// let teacher = LogProbs::from_logits(Tensor::from_floats(teacher, &device));
/// let student = LogProbs::from_logits(Tensor::zeros([1, 1, 3], &device));
/// let pair = DistributionPair::dense(&teacher, &student).unwrap();
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = ReverseKl.forward(&pair, &mask).unwrap();
/// // The student is uniform: ⅓ (ln ⅔ + 2 ln ⁴⁄₃).
/// let expected = ((2.0f64 / 3.0).ln() + 2.0 * (4.0f64 / 3.0).ln()) / 3.0;
/// assert!((loss.mean_nats().unwrap() - expected).abs() < 1e-6);
/// ```
///
/// # References
/// Gu et al. 2024 (MiniLLM), arXiv:2306.08543. PyTorch's `kl_div(input, target)` takes the teacher
/// as `input` for this direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReverseKl;

impl Divergence for ReverseKl {
    fn name(&self) -> &'static str {
        "reverse_kl"
    }

    fn needs_teacher_mass(&self) -> bool {
        true
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        relative_entropy(pair.student(), pair.teacher())
    }
}
