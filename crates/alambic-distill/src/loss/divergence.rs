//! The trait of all divergences between teacher and student.

use burn::tensor::Tensor;

use super::{DistributionPair, LabelMask, LossError, TokenLoss};

/// A distance from the student to the teacher, in nats where it is made of logarithms.
///
/// A divergence knows two distributions over the same outcomes and nothing of where they come
/// from: [`DistributionPair`] says what the outcomes of a truncated teacher are.
pub trait Divergence {
    /// The name used in recipes, metrics and messages.
    fn name(&self) -> &'static str;

    /// Whether the value is infinite where the student has mass and the teacher has none.
    fn needs_teacher_mass(&self) -> bool;

    /// The value at every position, `[batch, seq]`, counted or not.
    fn per_token(&self, pair: &DistributionPair) -> Tensor<2>;

    /// The sum over the counted labels.
    ///
    /// # Errors
    /// [`LossError::Shape`] if the mask covers other positions than the pair;
    /// [`LossError::NoTeacherMass`] if the divergence is infinite on this pair by construction,
    /// as the reverse KL divergence is where a truncated teacher has no tail.
    fn forward(&self, pair: &DistributionPair, mask: &LabelMask) -> Result<TokenLoss, LossError> {
        if let Some(treatment) = pair.tail_treatment() {
            treatment.check(self)?;
        }
        TokenLoss::masked(self.per_token(pair), mask)
    }
}

/// `Σ x` over the outcomes, `[batch, seq]`.
pub(super) fn sum_outcomes(terms: Tensor<3>) -> Tensor<2> {
    terms.sum_dim(2).squeeze_dim::<2>(2)
}

/// `Σ a (ln a − ln b)` over the outcomes of two tables of log-probabilities, `[batch, seq]`.
pub(super) fn relative_entropy(of: &Tensor<3>, to: &Tensor<3>) -> Tensor<2> {
    sum_outcomes(of.clone().exp() * (of.clone() - to.clone()))
}

/// `ln (w a + (1 − w) b)` of two tables of log-probabilities, for `w` from 0 to less than 1.
pub(super) fn log_mixture(weight: f64, first: &Tensor<3>, second: &Tensor<3>) -> Tensor<3> {
    if weight == 0.0 {
        return second.clone();
    }
    let first = first.clone() + weight.ln();
    let second = second.clone() + (1.0 - weight).ln();
    let largest = first.clone().max_pair(second.clone()).detach();
    let sum = (first - largest.clone()).exp() + (second - largest.clone()).exp();
    sum.log() + largest
}
