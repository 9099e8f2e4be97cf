//! Teacher and student over vocabularies of their own.

use burn::tensor::Tensor;

use super::{AlignedGroups, LogProbs, LossError};

/// The teacher's and the student's distributions at positions that mean the same.
///
/// Where a [`DistributionPair`](super::DistributionPair) has one set of outcomes, each side of this
/// one has the tokens of its own vocabulary.
///
/// # Shapes
/// `[batch, positions, teacher_vocab]` and `[batch, positions, student_vocab]`, log-probabilities
/// in nats. Merged ones do not sum to 1: see [`by_bytes`](Self::by_bytes).
#[derive(Clone, Debug)]
pub struct AlignedPair {
    teacher: Tensor<3>,
    student: Tensor<3>,
}

impl AlignedPair {
    /// Position by position: the `t`-th of the teacher with the `t`-th of the student.
    ///
    /// Right for tokenizers that cut the text alike; that is for the caller to know.
    ///
    /// # Errors
    /// [`LossError::Shape`] when the positions differ.
    pub fn by_position(teacher: &LogProbs, student: &LogProbs) -> Result<Self, LossError> {
        let [batch, seq, _] = student.dims();
        let [teacher_batch, teacher_seq, _] = teacher.dims();
        let found = [teacher_batch, teacher_seq];
        LossError::check_shape("the teacher's distributions", found, [batch, seq])?;
        Ok(Self {
            teacher: teacher.tensor().clone(),
            student: student.tensor().clone(),
        })
    }

    /// One position for each group of tokens that stand for the same bytes, `[1, groups, vocab]`.
    ///
    /// A group of the tokens `y₁ … yₙ` gets `p(· | before y₁) · Πᵢ₌₂ p(yᵢ | before yᵢ)`: the first
    /// distribution, times the probabilities of the later tokens that the text has. Its entry at
    /// `y₁` is the probability of the group's text; all entries sum to the product. The gradient
    /// flows through every factor.
    ///
    /// # Memory
    /// One row of the vocabulary for each group and side.
    ///
    /// # Errors
    /// [`LossError::Shape`] and [`LossError::VocabularySize`] when the distributions are not those
    /// of the batches that the groups were made for.
    pub fn by_bytes(
        teacher: &LogProbs,
        student: &LogProbs,
        groups: &AlignedGroups,
    ) -> Result<Self, LossError> {
        let sides = [
            (
                "the student's distributions",
                "student",
                student,
                groups.student(),
            ),
            (
                "the teacher's distributions",
                "teacher",
                teacher,
                groups.teacher(),
            ),
        ];
        for (what, side, log_probs, rows) in sides {
            let [batch, seq, vocab] = rows.dims();
            let [found_batch, found_seq, found] = log_probs.dims();
            LossError::check_shape(what, [found_batch, found_seq], [batch, seq])?;
            LossError::check_vocabulary(side, found, vocab)?;
        }
        Ok(Self {
            teacher: groups.teacher().merge(teacher),
            student: groups.student().merge(student),
        })
    }

    /// The teacher's log-probabilities, `[batch, positions, teacher_vocab]`.
    pub fn teacher(&self) -> &Tensor<3> {
        &self.teacher
    }

    /// The student's log-probabilities, `[batch, positions, student_vocab]`.
    pub fn student(&self) -> &Tensor<3> {
        &self.student
    }
}
