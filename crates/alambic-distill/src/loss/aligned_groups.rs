//! The aligned groups of tokens of a batch of documents.

use burn::tensor::Device;

use super::merged_rows::MergedRows;
use super::{AlignedDocument, AlignmentError, LabelMask};

/// The groups of a batch that are compared, and the positions that predict them.
///
/// A group is compared if it is [comparable](super::ByteGroup::is_comparable), if all of the
/// student's tokens in it are counted labels, and if both models have a token of the document
/// before it from which to predict it. Student and teacher may be packed in different ways; neither
/// batch has to hold a document at the same place.
///
/// A batch without any such group has one that does not count.
///
/// # Example
/// ```
/// use alambic_distill::loss::{AlignedDocument, AlignedGroups, ByteAlignment, PlacedTokens};
/// use burn::tensor::Device;
///
/// // "abc", each behind a beginning of text: "ab", "c" for the student; "a", "bc" for the teacher.
/// let student = [(0, 0), (0, 2), (2, 3)];
/// let teacher = [(0, 0), (0, 1), (1, 3)];
/// let alignment = ByteAlignment::try_new(&student, &teacher).unwrap();
/// let document = AlignedDocument {
///     alignment: &alignment,
///     student: PlacedTokens { row: 0, start: 0, token_ids: &[1, 5, 6] },
///     teacher: PlacedTokens { row: 0, start: 0, token_ids: &[0, 3, 4] },
///     loss_mask: &[false, true, true],
/// };
/// let groups = AlignedGroups::try_new(&[document], [1, 3, 8], [1, 3, 8], &Device::flex()).unwrap();
/// assert_eq!(groups.mask().num_tokens(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct AlignedGroups {
    student: MergedRows,
    teacher: MergedRows,
    mask: LabelMask,
}

impl AlignedGroups {
    /// Collects the groups of documents whose distributions are `[batch, seq, vocab]`.
    ///
    /// # Errors
    /// [`AlignmentError::DocumentLength`] when tokens, mask and alignment of a document are not of
    /// one length, [`AlignmentError::DocumentPlace`] when it does not lie in the batch,
    /// [`AlignmentError::TokenId`] for an id that is not in the vocabulary.
    ///
    /// # Panics
    /// If a batch has no position.
    pub fn try_new(
        documents: &[AlignedDocument<'_>],
        student: [usize; 3],
        teacher: [usize; 3],
        device: &Device,
    ) -> Result<Self, AlignmentError> {
        for dims in [student, teacher] {
            assert!(dims.iter().all(|&size| size > 0), "a batch of {dims:?}");
        }
        let device = device.clone().without_autodiff();
        let (mut of_student, mut of_teacher) = (Vec::new(), Vec::new());
        for (index, document) in documents.iter().enumerate() {
            document.check(index, student, teacher)?;
            for group in document.groups() {
                let students = document
                    .student
                    .predictions(group.student.clone(), student[1]);
                let teachers = document
                    .teacher
                    .predictions(group.teacher.clone(), teacher[1]);
                of_student.push(students);
                of_teacher.push(teachers);
            }
        }
        let num_groups = of_student.len();
        if num_groups == 0 {
            of_student.push(vec![(0, 0)]);
            of_teacher.push(vec![(0, 0)]);
        }
        let counted: Vec<bool> = (0..of_student.len())
            .map(|group| group < num_groups)
            .collect();
        Ok(Self {
            mask: LabelMask::new(&counted, [1, counted.len()], &device),
            student: MergedRows::new(&of_student, student, &device),
            teacher: MergedRows::new(&of_teacher, teacher, &device),
        })
    }

    /// Which groups count, `[1, groups]`: all, unless there is none.
    pub fn mask(&self) -> &LabelMask {
        &self.mask
    }

    pub(super) fn student(&self) -> &MergedRows {
        &self.student
    }

    pub(super) fn teacher(&self) -> &MergedRows {
        &self.teacher
    }
}
