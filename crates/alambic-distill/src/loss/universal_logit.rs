//! Universal logit distillation.

use burn::tensor::Tensor;

use super::divergence::sum_outcomes;
use super::{AlignedPair, LabelMask, LossError, TokenLoss};

/// Universal logit distillation (ULD): the distance between sorted probabilities, without a unit.
///
/// `ULD = Σᵢ |p₍ᵢ₎ − q₍ᵢ₎|`
///
/// over the ranks `i`: the most likely token of the teacher with the most likely of the student,
/// and so on; the smaller vocabulary counts as filled up with zeros. The Wasserstein distance for
/// vocabularies of which nothing is known: it sees how sure the teacher is, and not of what, so
/// that it does not change when either vocabulary is permuted.
///
/// Symmetric, 0 if and only if both have the same probabilities in some order, and at most 2; the
/// gradient is bounded and jumps where `p₍ᵢ₎ = q₍ᵢ₎`. Between [merged](AlignedPair::by_bytes)
/// distributions of which one is the larger at every rank, it is the difference of their sums, and
/// the order within the student's first distribution has no gradient. The published loss is its mean over the tokens
/// of the answer; this is a sum with a count.
///
/// # Example
/// ```
/// use alambic_distill::loss::{AlignedPair, LabelMask, LogProbs, UniversalLogit};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let teacher = LogProbs::from_logits(Tensor::from_floats([[[0.25f32.ln(), 0.75f32.ln()]]], &device));
/// let student = LogProbs::from_logits(Tensor::<3>::zeros([1, 1, 4], &device));
/// let pair = AlignedPair::by_position(&teacher, &student).unwrap();
/// let loss = UniversalLogit.forward(&pair, &LabelMask::new(&[true], [1, 1], &device)).unwrap();
/// // (¾, ¼, 0, 0) against ¼ four times.
/// assert!((loss.sum.into_scalar::<f32>() - 1.0).abs() < 1e-6);
/// ```
///
/// # References
/// Boizard et al. 2024, arXiv:2402.12030, section 3.
#[derive(Clone, Copy, Debug, Default)]
pub struct UniversalLogit;

impl UniversalLogit {
    /// The name used in recipes, metrics and messages.
    pub fn name(&self) -> &'static str {
        "universal_logit"
    }

    /// The value at every position, `[batch, positions]`, counted or not.
    pub fn per_token(&self, pair: &AlignedPair) -> Tensor<2> {
        sorted_distance(pair.teacher().clone(), pair.student().clone())
    }

    /// The sum over the counted positions.
    ///
    /// # Errors
    /// [`LossError::Shape`] if the mask covers other positions than the pair.
    pub fn forward(&self, pair: &AlignedPair, mask: &LabelMask) -> Result<TokenLoss, LossError> {
        TokenLoss::masked(self.per_token(pair), mask)
    }
}

/// `Σᵢ |p₍ᵢ₎ − q₍ᵢ₎|` of two tables of log-probabilities, `[batch, positions]`.
pub(super) fn sorted_distance(teacher: Tensor<3>, student: Tensor<3>) -> Tensor<2> {
    let (teacher, student) = (sorted_probabilities(teacher), sorted_probabilities(student));
    let ([.., teacher_vocab], [.., student_vocab]) = (teacher.dims(), student.dims());
    let shared = teacher_vocab.min(student_vocab);
    let gaps = teacher.clone().narrow(2, 0, shared) - student.clone().narrow(2, 0, shared);
    let distance = sum_outcomes(gaps.abs());
    // What the larger vocabulary has beyond meets zeros.
    let (larger, vocab) = if teacher_vocab > shared {
        (teacher, teacher_vocab)
    } else {
        (student, student_vocab)
    };
    if vocab == shared {
        return distance;
    }
    distance + sum_outcomes(larger.narrow(2, shared, vocab - shared))
}

/// Probabilities in descending order; the order is a constant to the gradient.
fn sorted_probabilities(log_probs: Tensor<3>) -> Tensor<3> {
    let (_, order) = log_probs.clone().detach().sort_descending_with_indices(2);
    log_probs.gather(2, order).exp()
}
