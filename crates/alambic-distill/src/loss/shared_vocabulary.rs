//! What two vocabularies have in common.

use std::collections::HashMap;

use super::AlignmentError;

/// The tokens of two vocabularies that stand for the same bytes, and those that do not.
///
/// # Example
/// ```
/// use alambic_distill::loss::SharedVocabulary;
///
/// let student = [Some("a"), Some("b"), None, Some("ab")];
/// let teacher = [None, Some("ab"), Some("a")];
/// let vocabulary = SharedVocabulary::try_new(&student, &teacher).unwrap();
/// assert_eq!(vocabulary.matched(), [(0, 2), (3, 1)]);
/// assert_eq!(vocabulary.student_rest(), [1, 2]);
/// assert_eq!(vocabulary.teacher_rest(), [0]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedVocabulary {
    matched: Vec<(usize, usize)>,
    student_rest: Vec<usize>,
    teacher_rest: Vec<usize>,
}

impl SharedVocabulary {
    /// Matches tokens, by id, by the bytes that they stand for.
    ///
    /// `None` is a token without a partner: one that stands for no text, fills up the vocabulary,
    /// or is a byte that an ordinary token stands for as well. Special tokens of one meaning match
    /// if both are given the same bytes, such as their role's name between two zero bytes.
    ///
    /// # Errors
    /// [`AlignmentError::AmbiguousToken`] when two tokens of one side stand for the same bytes;
    /// [`AlignmentError::EmptyVocabulary`] for a side without tokens.
    pub fn try_new<S: AsRef<[u8]>, T: AsRef<[u8]>>(
        student: &[Option<S>],
        teacher: &[Option<T>],
    ) -> Result<Self, AlignmentError> {
        for (side, tokens) in [("student", student.len()), ("teacher", teacher.len())] {
            if tokens == 0 {
                return Err(AlignmentError::EmptyVocabulary { side });
            }
        }
        let by_bytes = ids_by_bytes(student, "student")?;
        let teacher_ids = ids_by_bytes(teacher, "teacher")?;
        let mut matched: Vec<(usize, usize)> = teacher_ids
            .into_iter()
            .filter_map(|(bytes, teacher)| Some((*by_bytes.get(bytes)?, teacher)))
            .collect();
        matched.sort_unstable();
        let students = matched.iter().map(|pair| pair.0);
        let teachers = matched.iter().map(|pair| pair.1);
        Ok(Self {
            student_rest: rest(students, student.len()),
            teacher_rest: rest(teachers, teacher.len()),
            matched,
        })
    }

    /// Ids `(student, teacher)` of the tokens that both have, ascending by the student's.
    pub fn matched(&self) -> &[(usize, usize)] {
        &self.matched
    }

    /// The student's other ids, ascending.
    pub fn student_rest(&self) -> &[usize] {
        &self.student_rest
    }

    /// The teacher's other ids, ascending.
    pub fn teacher_rest(&self) -> &[usize] {
        &self.teacher_rest
    }

    /// Size of the student's vocabulary.
    pub fn student_vocab(&self) -> usize {
        self.matched.len() + self.student_rest.len()
    }

    /// Size of the teacher's vocabulary.
    pub fn teacher_vocab(&self) -> usize {
        self.matched.len() + self.teacher_rest.len()
    }
}

fn ids_by_bytes<'a, B: AsRef<[u8]>>(
    tokens: &'a [Option<B>],
    side: &'static str,
) -> Result<HashMap<&'a [u8], usize>, AlignmentError> {
    let mut ids = HashMap::with_capacity(tokens.len());
    for (second, token) in tokens.iter().enumerate() {
        let Some(bytes) = token else { continue };
        if let Some(first) = ids.insert(bytes.as_ref(), second) {
            return Err(AlignmentError::AmbiguousToken {
                side,
                first,
                second,
            });
        }
    }
    Ok(ids)
}

/// The ids below `vocab` that are not listed.
fn rest(listed: impl Iterator<Item = usize>, vocab: usize) -> Vec<usize> {
    let mut is_rest = vec![true; vocab];
    listed.for_each(|id| is_rest[id] = false);
    (0..vocab).filter(|&id| is_rest[id]).collect()
}
