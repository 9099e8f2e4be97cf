//! Forward Kullback–Leibler divergence from a truncated teacher, with a tail bucket.

use alambic_kernels::{Computation, log_mass_outside};
use burn::tensor::Tensor;

use super::{LabelMask, LogProbs, LossError, TokenLoss, TopKTargetBatch};

/// Smallest tail mass whose logarithm is taken; below it the tail term is zero to `f32`.
const SMALLEST_TAIL_MASS: f32 = 1.0e-37;

/// Forward Kullback–Leibler divergence, KL(teacher ‖ student), summed over tokens.
///
/// For each counted label, over the `K` stored entries plus one bucket for the rest:
///
/// `KL = Σₖ pₖ (ln pₖ − ln qₖ) + p_tail (ln p_tail − ln q_tail)`
///
/// With `K = V` this is the exact divergence; with `K < V` it is a lower bound on it (the
/// divergence of the coarse-grained distributions). It is 0 if and only if both agree on the
/// stored entries and on the tail mass. It is a true divergence, not the cross-entropy
/// `−Σ p ln q` that some libraries return under this name.
///
/// # Shapes
/// - `student`: `[batch, seq, vocab]`
/// - `targets`: `[batch, seq, k]`
/// - `mask`: `[batch, seq]`
///
/// # Conventions
/// Nats, temperature 1, `0 · ln 0 = 0`, an all-zero mask gives the sum 0 and 0 tokens. Targets
/// stored as `f16` are rounded, so the value of a perfect student is zero only up to about `1e-3`
/// nats and can be slightly negative.
///
/// # Memory
/// On the CPU backend flex no copy of the log-probabilities; elsewhere one `[batch, seq, vocab]` mask and
/// one masked copy when `K < V`.
///
/// # Errors
/// [`LossError::Shape`] when batch or sequence lengths differ, [`LossError::TooManyEntries`] when
/// `k > vocab`.
///
/// # Example
/// ```
/// use alambic_distill::loss::{ForwardKl, LabelMask, LogProbs, TopKTargetBatch};
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
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = ForwardKl.forward(&student, &targets, &mask).unwrap();
/// let expected = 3f64.ln() - 1.5 * 2f64.ln(); // cross-entropy ln 3 minus teacher entropy
/// assert!((loss.mean_nats().unwrap() - expected).abs() < 1e-6);
/// ```
///
/// # References
/// Hinton et al. 2015, arXiv:1503.02531.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardKl;

impl ForwardKl {
    /// The summed divergence; see [`ForwardKl`].
    pub fn forward(
        &self,
        student: &LogProbs,
        targets: &TopKTargetBatch,
        mask: &LabelMask,
    ) -> Result<TokenLoss, LossError> {
        let [batch, seq, vocab] = student.dims();
        let [target_batch, target_seq, k] = targets.dims();
        if [batch, seq] != [target_batch, target_seq] {
            return Err(LossError::Shape {
                what: "teacher targets",
                expected: [batch, seq],
                found: [target_batch, target_seq],
            });
        }
        if k > vocab {
            return Err(LossError::TooManyEntries { k, vocab });
        }
        let stored = stored_terms(student, targets);
        let per_token = if k == vocab {
            stored
        } else {
            stored + tail_term(student, targets)
        };
        Ok(TokenLoss::masked(per_token, mask))
    }
}

/// `Σₖ pₖ (ln pₖ − ln qₖ)`, `[batch, seq]`.
fn stored_terms(student: &LogProbs, targets: &TopKTargetBatch) -> Tensor<2> {
    let student_at_targets = student
        .tensor()
        .clone()
        .gather(2, targets.token_ids.clone());
    let probs = targets.log_probs.clone().exp();
    (probs * (targets.log_probs.clone() - student_at_targets))
        .sum_dim(2)
        .squeeze_dim::<2>(2)
}

/// `p_tail (ln p_tail − ln q_tail)`, `[batch, seq]`.
fn tail_term(student: &LogProbs, targets: &TopKTargetBatch) -> Tensor<2> {
    let tail = targets.tail_mass.clone();
    let log_tail = tail.clone().clamp_min(SMALLEST_TAIL_MASS).log();
    let student_tail = log_mass_outside(
        student.tensor().clone(),
        targets.token_ids.clone(),
        Computation::Fastest,
    );
    tail * (log_tail - student_tail.squeeze_dim::<2>(2))
}
