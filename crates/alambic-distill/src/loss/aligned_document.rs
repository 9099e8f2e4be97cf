//! A document as two models read it.

use std::ops::Range;

use super::{AlignmentError, ByteAlignment, ByteGroup};

/// The tokens of a document, and where they stand in a model's batch.
#[derive(Clone, Copy, Debug)]
pub struct PlacedTokens<'a> {
    /// Row of the batch.
    pub row: usize,
    /// Position of the first token in the row.
    pub start: usize,
    /// The tokens.
    pub token_ids: &'a [u32],
}

/// A document as both models read it.
#[derive(Clone, Copy, Debug)]
pub struct AlignedDocument<'a> {
    /// Which tokens stand for the same bytes.
    pub alignment: &'a ByteAlignment,
    /// The student's tokens.
    pub student: PlacedTokens<'a>,
    /// The teacher's tokens.
    pub teacher: PlacedTokens<'a>,
    /// One flag for each token of the student: whether it is a counted label.
    pub loss_mask: &'a [bool],
}

impl AlignedDocument<'_> {
    /// The groups that are compared.
    pub(super) fn groups(&self) -> impl Iterator<Item = &ByteGroup> {
        self.alignment.groups().iter().filter(|group| {
            let counted = &self.loss_mask[group.student.clone()];
            let is_predicted = group.student.start > 0 && group.teacher.start > 0;
            group.is_comparable() && is_predicted && counted.iter().all(|counted| *counted)
        })
    }

    /// That the parts fit each other, and the batches `[batch, seq, vocab]` of both models.
    pub(super) fn check(
        &self,
        document: usize,
        student: [usize; 3],
        teacher: [usize; 3],
    ) -> Result<(), AlignmentError> {
        let (students, teachers) = (self.student.token_ids.len(), self.teacher.token_ids.len());
        let aligned = self.alignment;
        let lengths = [
            ("student's tokens", students, aligned.student_tokens()),
            (
                "student's loss mask",
                self.loss_mask.len(),
                aligned.student_tokens(),
            ),
            ("teacher's tokens", teachers, aligned.teacher_tokens()),
        ];
        for (what, found, expected) in lengths {
            if found != expected {
                return Err(AlignmentError::DocumentLength {
                    document,
                    what,
                    expected,
                    found,
                });
            }
        }
        self.student.check(document, "student", student)?;
        self.teacher.check(document, "teacher", teacher)
    }
}

impl PlacedTokens<'_> {
    /// The positions of `batch · seq` that predict some of the tokens, each with its token.
    pub(super) fn predictions(&self, tokens: Range<usize>, seq: usize) -> Vec<(usize, u32)> {
        let position = |token: usize| self.row * seq + self.start + token - 1;
        tokens
            .map(|token| (position(token), self.token_ids[token]))
            .collect()
    }

    fn check(
        &self,
        document: usize,
        side: &'static str,
        [batch, seq, vocab]: [usize; 3],
    ) -> Result<(), AlignmentError> {
        let end = self.start + self.token_ids.len();
        let places = [("row", self.row, batch - 1), ("end in the row", end, seq)];
        for (what, found, most) in places {
            if found > most {
                return Err(AlignmentError::DocumentPlace {
                    document,
                    side,
                    what,
                    most,
                    found,
                });
            }
        }
        let mut ids = self.token_ids.iter().map(|&id| id as usize);
        match ids.find(|&id| id >= vocab) {
            Some(found) => Err(AlignmentError::TokenId { side, found, vocab }),
            None => Ok(()),
        }
    }
}
