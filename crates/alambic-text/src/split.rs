//! Assigning documents to training, validation and test.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::conversation::Message;
use crate::document::Document;
use crate::error::TextError;

/// Which part of the data a document belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Learned from.
    Train,
    /// Measured while training, for example to stop early.
    Validation,
    /// Measured once, at the end.
    Test,
}

/// How documents are divided into splits.
///
/// A document's split depends on its content and the seed alone: not on its place in a file, nor
/// on the other documents. Equal documents are therefore always in the same split, and adding
/// files later moves no document from one split to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Expected share of documents for validation, 0 to 1.
    pub validation_fraction: f64,
    /// Expected share of documents for testing, 0 to 1.
    pub test_fraction: f64,
    /// Another seed gives another division.
    pub seed: u64,
}

impl SplitConfig {
    /// Checks that the fractions leave something to train on.
    ///
    /// # Errors
    /// [`TextError::InvalidOption`] if a fraction is negative or not a number, or if both together
    /// reach 1.
    pub fn validate(&self) -> Result<(), TextError> {
        let fractions = [
            ("validation_fraction", self.validation_fraction),
            ("test_fraction", self.test_fraction),
            (
                "validation_fraction + test_fraction",
                self.validation_fraction + self.test_fraction,
            ),
        ];
        for (option, fraction) in fractions {
            if !(0.0..1.0).contains(&fraction) {
                return Err(TextError::InvalidOption {
                    option,
                    expected: "at least 0 and less than 1",
                    found: fraction.to_string(),
                });
            }
        }
        Ok(())
    }

    /// The split of a document, from the SHA-256 of the seed and its content.
    ///
    /// A conversation counts with its messages; [`PromptErasing`](crate::PromptErasing) does not
    /// matter.
    ///
    /// ```
    /// use alambic_text::{Document, Split, SplitConfig};
    ///
    /// let config = SplitConfig { validation_fraction: 0.0, test_fraction: 0.5, seed: 7 };
    /// let split = config.split_of(&Document::Text("Once upon a time".into()));
    /// assert_eq!(split, config.split_of(&Document::Text("Once upon a time".into())));
    /// assert_ne!(split, Split::Validation);
    /// ```
    #[must_use]
    pub fn split_of(&self, document: &Document) -> Split {
        let position = self.position_of(document);
        if position < self.validation_fraction {
            Split::Validation
        } else if position < self.validation_fraction + self.test_fraction {
            Split::Test
        } else {
            Split::Train
        }
    }

    /// A number in `[0, 1)`, uniform over documents.
    fn position_of(&self, document: &Document) -> f64 {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_le_bytes());
        match document {
            Document::Text(text) => {
                hasher.update(b"text");
                hasher.update(text);
            }
            Document::Conversation(conversation) => {
                hasher.update(b"conversation");
                for Message { role, content } in &conversation.messages {
                    hasher.update(role.as_str());
                    // The length keeps one message apart from two.
                    hasher.update((content.len() as u64).to_le_bytes());
                    hasher.update(content);
                }
            }
        }
        let digest = hasher.finalize();
        let leading = digest[..8]
            .iter()
            .fold(0u64, |n, &byte| n << 8 | u64::from(byte));
        // An f64 holds 53 bits exactly.
        (leading >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::conversation::{Conversation, PromptErasing, Role};

    fn text(n: usize) -> Document {
        Document::Text(format!("document {n}"))
    }

    #[test]
    fn fractions_are_met_on_average() {
        let config = SplitConfig {
            validation_fraction: 0.1,
            test_fraction: 0.2,
            seed: 3,
        };
        let count = |split| {
            (0..10_000)
                .filter(|&n| config.split_of(&text(n)) == split)
                .count()
        };
        // Five standard deviations of a binomial with 10 000 draws.
        assert!(count(Split::Validation).abs_diff(1_000) < 150);
        assert!(count(Split::Test).abs_diff(2_000) < 200);
    }

    #[test]
    fn another_seed_gives_another_division() {
        let config = |seed| SplitConfig {
            validation_fraction: 0.0,
            test_fraction: 0.5,
            seed,
        };
        assert!((0..100).any(|n| config(0).split_of(&text(n)) != config(1).split_of(&text(n))));
    }

    #[test]
    fn zero_fractions_leave_everything_to_training() {
        let config = SplitConfig {
            validation_fraction: 0.0,
            test_fraction: 0.0,
            seed: 0,
        };
        config.validate().unwrap();
        assert!((0..100).all(|n| config.split_of(&text(n)) == Split::Train));
    }

    #[test]
    fn erasing_does_not_move_a_conversation_but_another_role_may() {
        let config = SplitConfig {
            validation_fraction: 0.0,
            test_fraction: 0.5,
            seed: 0,
        };
        let conversation = |role, erasing| {
            Document::Conversation(Conversation {
                messages: vec![Message::new(role, "hello")],
                erasing,
            })
        };
        let kept = conversation(Role::User, PromptErasing::Keep);
        let erased = conversation(Role::User, PromptErasing::RemoveSystem);
        assert_eq!(config.position_of(&kept), config.position_of(&erased));
        let assistant = conversation(Role::Assistant, PromptErasing::Keep);
        assert_ne!(config.position_of(&kept), config.position_of(&assistant));
    }

    #[test]
    fn impossible_fractions_are_refused_by_name() {
        for (validation_fraction, test_fraction, name) in [
            (-0.1, 0.0, "validation_fraction"),
            (0.0, f64::NAN, "test_fraction"),
            (0.5, 0.5, "validation_fraction + test_fraction"),
        ] {
            let config = SplitConfig {
                validation_fraction,
                test_fraction,
                seed: 0,
            };
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(name), "{message}");
        }
    }
}
