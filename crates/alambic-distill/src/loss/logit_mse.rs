//! Mean-squared error of the logits.

use burn::tensor::Tensor;

use super::distribution_pair::check_dense;
use super::divergence::sum_outcomes;
use super::{LabelMask, Logits, LossError, TokenLoss};

/// Mean-squared error between the raw logits of teacher and student, summed over tokens.
///
/// `MSE = (1 ÷ V) Σ (z − t)²` for the student's logits `z` and the teacher's `t`
///
/// Not a divergence: **not invariant to a shift of the logits**, which no softmax sees. A student that
/// gives the teacher's distributions from logits that are all larger by `c` has the error `c²`; the
/// loss teaches that useless number as well. It therefore needs the teacher's logits themselves, from
/// the teacher's hidden states or a live teacher; log-probabilities have forgotten them, and a
/// truncation has not got the other tokens. No temperature is applied: with one, gradients of a
/// divergence tend to those of this loss on centred logits as it grows (Hinton et al., section 2.1).
///
/// # Shapes
/// Both `[batch, seq, vocab]`.
///
/// # Conventions
/// Squared logits, not nats. The mean is over the vocabulary, the sum over counted labels; an
/// all-zero mask gives the sum 0 and 0 tokens. Equal entries count 0, also where both are negative
/// infinities, as in columns that are masked out; one infinity alone makes the error infinite.
///
/// # Example
/// ```
/// use alambic_distill::loss::{LabelMask, LogitMse, Logits};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let logits = |row: [f32; 2]| Logits::new(Tensor::from_floats([[row]], &device));
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// // The same distribution, shifted by 2.
/// let loss = LogitMse.forward(&logits([1.0, 0.0]), &logits([3.0, 2.0]), &mask).unwrap();
/// assert_eq!(loss.sum.into_scalar::<f32>(), 4.0);
/// ```
///
/// # References
/// Ba and Caruana 2014, arXiv:1312.6184, section 2.2 (there ½ of the sum over the outputs); Kim et
/// al. 2021, arXiv:2105.08919, compare it with divergences.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogitMse;

impl LogitMse {
    /// The summed loss; see [`LogitMse`].
    ///
    /// # Errors
    /// [`LossError::Shape`] if the mask covers other positions, and those of [`Self::per_token`].
    pub fn forward(
        &self,
        teacher: &Logits,
        student: &Logits,
        mask: &LabelMask,
    ) -> Result<TokenLoss, LossError> {
        TokenLoss::masked(self.per_token(teacher, student)?, mask)
    }

    /// The error at every position, counted or not: `[batch, seq]`.
    ///
    /// # Errors
    /// [`LossError::Shape`] and [`LossError::Vocabulary`] if the shapes differ.
    pub fn per_token(&self, teacher: &Logits, student: &Logits) -> Result<Tensor<2>, LossError> {
        let [_, _, vocab] = student.dims();
        check_dense(teacher.dims(), student.dims())?;
        let (teacher, student) = (teacher.tensor().clone(), student.tensor().clone());
        let same = student.clone().detach().equal(teacher.clone());
        let difference = (student - teacher).mask_fill(same, 0.0);
        Ok(sum_outcomes(difference.square()) * (1.0 / vocab as f64))
    }
}
