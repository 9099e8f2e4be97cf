//! Tokens with a loss mask, one type per view.

use crate::error::TextError;

/// Token ids and loss mask of one view of a segment: checked once, then read only.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MaskedTokens {
    token_ids: Vec<u32>,
    loss_mask: Vec<bool>,
}

impl MaskedTokens {
    fn try_new(token_ids: Vec<u32>, loss_mask: Vec<bool>) -> Result<Self, TextError> {
        let failed = |expected, found| Err(TextError::MaskedTokens { expected, found });
        if token_ids.len() != loss_mask.len() {
            return failed(
                "as many token ids as loss mask entries",
                format!("{} and {}", token_ids.len(), loss_mask.len()),
            );
        }
        match loss_mask.first() {
            None => failed("at least one token", "none".to_owned()),
            Some(true) => failed(
                "a first token that is not a label, because nothing predicts it",
                "loss_mask[0] = true".to_owned(),
            ),
            Some(false) => Ok(Self {
                token_ids,
                loss_mask,
            }),
        }
    }
}

macro_rules! view_tokens {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(MaskedTokens);

        impl $name {
            /// Token ids with their loss mask, of the same length.
            ///
            /// # Errors
            /// [`TextError::MaskedTokens`] if the lengths differ or are 0, or if the first token is
            /// marked as a label.
            pub fn try_new(token_ids: Vec<u32>, loss_mask: Vec<bool>) -> Result<Self, TextError> {
                MaskedTokens::try_new(token_ids, loss_mask).map(Self)
            }

            /// The token ids, at least one.
            #[must_use]
            pub fn token_ids(&self) -> &[u32] {
                &self.0.token_ids
            }

            /// Which tokens are counted labels; the first one never is.
            #[must_use]
            pub fn loss_mask(&self) -> &[bool] {
                &self.0.loss_mask
            }

            /// The ids of the counted labels, in order.
            pub fn labels(&self) -> impl Iterator<Item = u32> {
                let tokens = self.0.token_ids.iter().zip(&self.0.loss_mask);
                tokens.filter(|(_, counts)| **counts).map(|(id, _)| *id)
            }

            /// How many tokens are counted labels.
            #[must_use]
            pub fn num_labels(&self) -> usize {
                self.0.loss_mask.iter().filter(|&&counts| counts).count()
            }
        }
    };
}

view_tokens! {
    /// The tokens of a segment as the teacher sees them: what a teacher scores.
    TeacherTokens
}

view_tokens! {
    /// The tokens of a segment as the student sees them: what is packed and trained on.
    ///
    /// They come from a [`StudentView`](crate::StudentView) by way of a
    /// [`Segment`](crate::Segment), or back from a cache that was written from one
    /// ([`try_new`](Self::try_new)). Tokens of the teacher's view have another type, so that a
    /// strategy prompt cannot reach training by mistake:
    ///
    /// ```compile_fail,E0308
    /// use alambic_text::{Packer, TeacherTokens};
    ///
    /// let with_strategy_prompt = TeacherTokens::try_new(vec![1, 2], vec![false, true])?;
    /// let packer = Packer { sequence_tokens: 8, pad_id: 0 };
    /// packer.pack(&[&with_strategy_prompt], &[0])?; // expected `&StudentTokens`
    /// # Ok::<(), alambic_text::TextError>(())
    /// ```
    StudentTokens
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_marked_tokens() {
        let tokens = StudentTokens::try_new(vec![5, 6, 7], vec![false, false, true]).unwrap();
        assert_eq!(tokens.labels().collect::<Vec<_>>(), [7]);
        assert_eq!(tokens.num_labels(), 1);
    }

    #[test]
    fn tokens_that_break_the_rules_are_refused() {
        let refused = |ids: Vec<u32>, mask| {
            assert!(TeacherTokens::try_new(ids.clone(), Vec::clone(&mask)).is_err());
            StudentTokens::try_new(ids, mask).unwrap_err().to_string()
        };
        assert!(refused(vec![1], vec![]).contains("1 and 0"));
        assert!(refused(vec![], vec![]).contains("at least one token"));
        assert!(refused(vec![1], vec![true]).contains("loss_mask[0] = true"));
    }
}
