//! Two tokenizations of one text, aligned by the bytes that their tokens stand for.

use std::ops::Range;

use super::AlignmentError;
use super::token_cuts::{Cut, TextTokens};

/// Neighbouring tokens of student and teacher that stand for the same bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteGroup {
    /// The bytes; empty for tokens that stand for no text.
    pub bytes: Range<usize>,
    /// The student's tokens; may be empty.
    pub student: Range<usize>,
    /// The teacher's tokens; may be empty.
    pub teacher: Range<usize>,
}

impl ByteGroup {
    /// Whether both models predict the same thing here: text, or one special token each.
    ///
    /// Special tokens are opposite each other when they stand at the same place of the text. One
    /// and one, such as two ends of text, are taken to mean the same; others are not compared.
    pub fn is_comparable(&self) -> bool {
        if self.bytes.is_empty() {
            return self.student.len() == 1 && self.teacher.len() == 1;
        }
        !self.student.is_empty() && !self.teacher.is_empty()
    }
}

/// The smallest groups of tokens that stand for the same bytes, in the order of the text.
///
/// Every token of both sides is in exactly one group. A token that stands for no text (an empty
/// range: a begin or end of text that a tokenizer added) is in a group without bytes, whatever the
/// number in its range, so that a token that only one side has moves nothing. Text that one side's
/// ranges leave out (spaces that its tokenizer trims) joins the neighbouring groups where that
/// makes them equal, and is otherwise a group in which that side has no token.
///
/// Only numbers are compared: decoded strings differ in spaces, byte fallbacks and replacement
/// characters where the bytes do not.
///
/// # Example
/// ```
/// use alambic_distill::loss::{ByteAlignment, ByteGroup};
///
/// // "the cat": the student begins with a special token and cuts "cat" in two.
/// let student = [(0, 0), (0, 3), (3, 5), (5, 7)];
/// let teacher = [(0, 3), (3, 7)];
/// let alignment = ByteAlignment::try_new(&student, &teacher).unwrap();
/// assert_eq!(
///     alignment.groups(),
///     [
///         ByteGroup { bytes: 0..0, student: 0..1, teacher: 0..0 },
///         ByteGroup { bytes: 0..3, student: 1..2, teacher: 0..1 },
///         ByteGroup { bytes: 3..7, student: 2..4, teacher: 1..2 },
///     ]
/// );
/// assert!(!alignment.groups()[0].is_comparable());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteAlignment {
    groups: Vec<ByteGroup>,
    student_tokens: usize,
    teacher_tokens: usize,
}

impl ByteAlignment {
    /// Aligns tokens by the bytes `start..end` of one text that each stands for.
    ///
    /// Tokens that are parts of one character share its bytes. Linear in the number of tokens.
    ///
    /// # Errors
    /// [`AlignmentError::TokenRange`] for a range that ends before it begins, or that goes back in
    /// the text; [`AlignmentError::SpecialInsideGroup`] for a token without bytes in the midst of
    /// bytes that are one token to the other side.
    pub fn try_new(
        student: &[(usize, usize)],
        teacher: &[(usize, usize)],
    ) -> Result<Self, AlignmentError> {
        let student = TextTokens::try_new("student", student)?;
        let teacher = TextTokens::try_new("teacher", teacher)?;
        let mut groups = Vec::new();
        let mut last: Option<(Cut, Cut)> = None;
        for (at_student, at_teacher) in common(&student.cuts(), &teacher.cuts()) {
            let mut special = ByteGroup {
                bytes: at_student.place(at_teacher),
                student: student.special(at_student),
                teacher: teacher.special(at_teacher),
            };
            if let Some((from_student, from_teacher)) = last {
                let bytes = [
                    student.bytes(from_student, at_student),
                    teacher.bytes(from_teacher, at_teacher),
                ];
                let start = bytes.iter().flatten().map(|side| side.start).min();
                let end = bytes.iter().flatten().map(|side| side.end).max();
                groups.push(ByteGroup {
                    bytes: start.unwrap_or_default()..end.unwrap_or_default(),
                    student: student.text(from_student, at_student)?,
                    teacher: teacher.text(from_teacher, at_teacher)?,
                });
                // A cut that two of the other side meet has its special tokens at the first.
                if from_student == at_student {
                    special.student.start = special.student.end;
                }
                if from_teacher == at_teacher {
                    special.teacher.start = special.teacher.end;
                }
            }
            if !(special.student.is_empty() && special.teacher.is_empty()) {
                groups.push(special);
            }
            last = Some((at_student, at_teacher));
        }
        Ok(Self {
            groups,
            student_tokens: student.ranges.len(),
            teacher_tokens: teacher.ranges.len(),
        })
    }

    /// The groups, in the order of the text.
    pub fn groups(&self) -> &[ByteGroup] {
        &self.groups
    }

    /// How many tokens the student has.
    pub fn student_tokens(&self) -> usize {
        self.student_tokens
    }

    /// How many tokens the teacher has.
    pub fn teacher_tokens(&self) -> usize {
        self.teacher_tokens
    }
}

/// All pairs of cuts that meet, in order; the first and the last cuts always do.
fn common(student: &[Cut], teacher: &[Cut]) -> Vec<(Cut, Cut)> {
    let (mut at_student, mut at_teacher) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(&a), Some(&b)) = (student.get(at_student), teacher.get(at_teacher)) {
        if a.meets(b) {
            pairs.push((a, b));
        }
        // The cuts of one side are disjoint: the one that ends first meets no other.
        if a.last_byte <= b.last_byte {
            at_student += 1;
        } else {
            at_teacher += 1;
        }
    }
    pairs
}
