//! Forward Kullback–Leibler divergence.

use burn::tensor::Tensor;

use super::divergence::relative_entropy;
use super::{DistributionPair, Divergence};

/// Forward Kullback–Leibler divergence, KL(teacher ‖ student), summed over tokens.
///
/// `KL = Σ p (ln p − ln q)`
///
/// On a dense teacher this is the exact divergence. On a truncated one, with its tail bucket, it is
/// a lower bound of it (the divergence of the coarse-grained distributions). It is 0 if and only if
/// both agree on all outcomes. It is a true divergence, not the cross-entropy `−Σ p ln q` that some
/// libraries return under this name.
///
/// # Conventions
/// Nats, `0 · ln 0 = 0`, an all-zero mask gives the sum 0 and 0 tokens. Targets stored as `f16` are
/// rounded, so the value of a perfect student is zero only up to about `1e-3` nats and can be
/// slightly negative.
///
/// # Example
/// ```
/// use alambic_distill::loss::{
///     DistributionPair, Divergence, ForwardKl, LabelMask, LogProbs, TailTreatment, TopKTargetBatch,
/// };
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// // Teacher (1/2, 1/4, 1/4), all of it stored; student uniform over three tokens.
/// let targets = TopKTargetBatch::from_host(
///     vec![0, 1, 2],
///     vec![0.5f32.ln(), 0.25f32.ln(), 0.25f32.ln()],
///     vec![0.0],
///     vec![1.5 * 2f32.ln()],
///     [1, 1, 3],
///     &device,
/// );
/// let student = LogProbs::from_logits(Tensor::zeros([1, 1, 3], &device));
/// let pair = DistributionPair::top_k(&targets, &student, TailTreatment::TailBucket).unwrap();
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = ForwardKl.forward(&pair, &mask).unwrap();
/// let expected = 3f64.ln() - 1.5 * 2f64.ln(); // cross-entropy ln 3 minus teacher entropy
/// assert!((loss.mean_nats().unwrap() - expected).abs() < 1e-6);
/// ```
///
/// # References
/// Hinton et al. 2015, arXiv:1503.02531.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardKl;

impl Divergence for ForwardKl {
    fn name(&self) -> &'static str {
        "forward_kl"
    }

    fn needs_teacher_mass(&self) -> bool {
        false
    }

    fn per_token(&self, pair: &DistributionPair) -> Tensor<2> {
        relative_entropy(pair.teacher(), pair.student())
    }
}
