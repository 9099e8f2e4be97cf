//! Segments: the units of capture, cache and packing.

use crate::document::DocumentSource;
use crate::error::TextError;
use crate::masked_tokens::{StudentTokens, TeacherTokens};

/// A document, or a part of one, short enough for the models.
///
/// Teacher and student view have the same labels in the same order: target row `j` of a cache
/// belongs to the `j`-th label of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    teacher: TeacherTokens,
    student: StudentTokens,
    source: DocumentSource,
}

impl Segment {
    /// Joins the two views.
    ///
    /// # Errors
    /// [`TextError::LabelsDiffer`] if their labels are not the same; [`TextError::NoLabels`] if
    /// there are none.
    pub fn try_new(
        teacher: TeacherTokens,
        student: StudentTokens,
        source: DocumentSource,
    ) -> Result<Self, TextError> {
        if !teacher.labels().eq(student.labels()) {
            let same = teacher.labels().zip(student.labels());
            return Err(TextError::LabelsDiffer {
                place: source,
                teacher_labels: teacher.num_labels(),
                student_labels: student.num_labels(),
                first_difference: same
                    .take_while(|(teacher, student)| teacher == student)
                    .count(),
            });
        }
        if teacher.num_labels() == 0 {
            return Err(TextError::NoLabels {
                place: source,
                tokens: teacher.token_ids().len(),
            });
        }
        Ok(Self {
            teacher,
            student,
            source,
        })
    }

    /// What the teacher scores.
    #[must_use]
    pub fn teacher(&self) -> &TeacherTokens {
        &self.teacher
    }

    /// What the student is trained on.
    #[must_use]
    pub fn student(&self) -> &StudentTokens {
        &self.student
    }

    /// The document it was cut from.
    #[must_use]
    pub fn source(&self) -> &DocumentSource {
        &self.source
    }

    /// The two views and the document, by value.
    #[must_use]
    pub fn into_parts(self) -> (TeacherTokens, StudentTokens, DocumentSource) {
        (self.teacher, self.student, self.source)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn join(teacher: (&[u32], &[bool]), student: (&[u32], &[bool])) -> Result<Segment, TextError> {
        Segment::try_new(
            TeacherTokens::try_new(teacher.0.to_vec(), teacher.1.to_vec()).unwrap(),
            StudentTokens::try_new(student.0.to_vec(), student.1.to_vec()).unwrap(),
            DocumentSource {
                path: "a.jsonl".into(),
                record: 4,
            },
        )
    }

    #[test]
    fn views_with_the_same_labels_make_a_segment() {
        let teacher = (&[1, 2, 3, 4][..], &[false, false, true, true][..]);
        let student = (&[9, 3, 4][..], &[false, true, true][..]);
        let segment = join(teacher, student).unwrap();
        assert_eq!(
            segment.teacher().num_labels(),
            segment.student().num_labels()
        );
    }

    #[test]
    fn views_with_different_labels_are_refused_with_the_place() {
        let error = join(
            (&[1, 2, 3], &[false, true, true]),
            (&[1, 2], &[false, true]),
        );
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with("a.jsonl, record 4"), "{message}");
        assert!(
            message.contains("2 and 1 labels, first different at label 1"),
            "{message}"
        );
    }

    #[test]
    fn a_segment_without_labels_is_refused() {
        let tokens = (&[1, 2][..], &[false, false][..]);
        assert!(matches!(
            join(tokens, tokens),
            Err(TextError::NoLabels { tokens: 2, .. })
        ));
    }
}
