//! How far a student's hidden state is from its teacher's.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::divergence::sum_outcomes;
use super::widened::widened;
use super::{LabelMask, LossError, TokenLoss};

/// A distance between the hidden states of two models at the same position.
///
/// # Shapes
/// Student and teacher `[batch, seq, width]`, any float type, computed in at least `f32`; a
/// student of another width goes through a [`LayerProjection`](super::LayerProjection) first.
///
/// # Conventions
/// No unit: hidden states have none. The state at position `t` predicts the token after it, so a
/// [`LabelMask`] counts the states that losses on labels count; one made of all tokens that are
/// not padding counts those. Every distance obeys it, also the cosine, whose mask other libraries
/// ignore. A mask without ones gives the sum 0 and 0 tokens.
///
/// # Example
/// ```
/// use alambic_distill::loss::{HiddenDistance, LabelMask};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let student = Tensor::<3>::from_floats([[[3.0, 4.0], [9.0, 9.0]]], &device);
/// let teacher = Tensor::<3>::from_floats([[[4.0, 3.0], [0.0, 1.0]]], &device);
/// let first_only = LabelMask::new(&[true, false], [1, 2], &device);
/// let sum = |distance: HiddenDistance| {
///     let loss = distance.forward(student.clone(), teacher.clone(), &first_only).unwrap();
///     loss.sum.into_scalar::<f32>()
/// };
/// assert!((sum(HiddenDistance::MeanSquared) - 1.0).abs() < 1e-6);
/// assert!((sum(HiddenDistance::Cosine) - (1.0 - 24.0 / 25.0)).abs() < 1e-6);
/// ```
///
/// # References
/// Mean squared error: Jiao et al. 2020 (TinyBERT), arXiv:1909.10351, eq. 8. Cosine: Sanh et al.
/// 2019 (DistilBERT), arXiv:1910.01108, section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenDistance {
    /// `(1 ÷ width) Σ (s − t)²`: 0 if and only if the states are equal.
    MeanSquared,
    /// `1 − s · t ÷ (‖s‖ ‖t‖)`, 0 to 2: 0 if and only if the states have one direction.
    ///
    /// A state of zeros has no direction: it costs 1, and the gradient draws it along the teacher's.
    Cosine,
}

impl HiddenDistance {
    /// Every distance.
    pub const ALL: [Self; 2] = [Self::MeanSquared, Self::Cosine];

    /// The name used in recipes, metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::MeanSquared => "mean_squared",
            Self::Cosine => "cosine",
        }
    }

    /// The value at every position, `[batch, seq]`, counted or not.
    ///
    /// # Errors
    /// [`LossError::Shape`] when the states cover different positions, [`LossError::StateWidth`]
    /// when their widths differ.
    pub fn per_token(self, student: Tensor<3>, teacher: Tensor<3>) -> Result<Tensor<2>, LossError> {
        let [batch, seq, width] = student.dims();
        let [teacher_batch, teacher_seq, teacher_width] = teacher.dims();
        let found = [teacher_batch, teacher_seq];
        LossError::check_shape("the teacher's hidden states", found, [batch, seq])?;
        LossError::check_width("the teacher's hidden states", teacher_width, width)?;
        let (student, teacher) = (widened(student), widened(teacher));
        Ok(match self {
            Self::MeanSquared => {
                sum_outcomes((student - teacher).square()) * (width as f64).recip()
            }
            Self::Cosine => one_minus_cosine(student, teacher),
        })
    }

    /// The sum over the counted positions.
    ///
    /// # Errors
    /// As [`per_token`](Self::per_token); [`LossError::Shape`] if the mask covers other positions.
    pub fn forward(
        self,
        student: Tensor<3>,
        teacher: Tensor<3>,
        mask: &LabelMask,
    ) -> Result<TokenLoss, LossError> {
        TokenLoss::masked(self.per_token(student, teacher)?, mask)
    }
}

fn one_minus_cosine(student: Tensor<3>, teacher: Tensor<3>) -> Tensor<2> {
    let lengths = length(&student) * length(&teacher);
    (sum_outcomes(student * teacher) / lengths).neg() + 1.0
}

/// The Euclidean length; 1 of a state of zeros, whose own has no gradient.
fn length(states: &Tensor<3>) -> Tensor<2> {
    let square = sum_outcomes(states.clone().square());
    let nothing = square.clone().detach().equal_elem(0.0);
    square.mask_fill(nothing, 1.0).sqrt()
}
