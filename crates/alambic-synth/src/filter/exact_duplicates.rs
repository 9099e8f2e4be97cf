//! Duplicates of a whole text, found while reading.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use super::normalised_words::for_each_word;

/// What makes two texts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameText {
    /// The same bytes.
    Bytes,
    /// The same words and operators in the same order: letters and digits in lower case after NFKC, whatever punctuation and white
    /// space stands between them. `7 + 5` is not `7 - 5`.
    Words,
}

/// Options of [`ExactDuplicates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactDuplicatesConfig {
    /// What is compared.
    pub same: SameText,
}

/// Finds texts that were there before, by a 128-bit hash (XXH3) of what is compared.
///
/// The first of equal texts is kept. Two different texts among a million have the same hash with a probability of about
/// 10⁻²⁷; the hash is not made against people who construct collisions.
///
/// # Memory
/// 24 bytes for each distinct text, in a table that is between 7/16 and 7/8 full: 29 to 57 bytes, and half as much again
/// while it grows. Texts are not kept.
///
/// ```
/// use alambic_synth::{ExactDuplicates, ExactDuplicatesConfig, SameText};
/// let mut seen = ExactDuplicates::new(ExactDuplicatesConfig { same: SameText::Words });
/// assert_eq!(seen.first_of("What is 7 + 5?"), None);
/// assert_eq!(seen.first_of("What is 7 + 6?"), None);
/// assert_eq!(seen.first_of("what is  7+5"), Some(0));
/// ```
#[derive(Clone, Debug)]
pub struct ExactDuplicates {
    config: ExactDuplicatesConfig,
    first_with: HashMap<[u64; 2], u64>,
    texts: u64,
}

impl ExactDuplicates {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(config: ExactDuplicatesConfig) -> Self {
        Self {
            config,
            first_with: HashMap::new(),
            texts: 0,
        }
    }

    /// The position, counted from 0, of the first text that is the same; `None` if this is the first.
    pub fn first_of(&mut self, text: &str) -> Option<u64> {
        self.first_at(self.texts, text)
    }

    /// [`first_of`](Self::first_of) for a text at a position of the caller's; positions rise.
    pub(crate) fn first_at(&mut self, position: u64, text: &str) -> Option<u64> {
        self.texts = position + 1;
        match self.first_with.entry(self.hash(text)) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(position);
                None
            }
        }
    }

    fn hash(&self, text: &str) -> [u64; 2] {
        let hash = match self.config.same {
            SameText::Bytes => XxHash3_128::oneshot(text.as_bytes()),
            SameText::Words => {
                let mut words = String::with_capacity(text.len());
                for_each_word(text, |word| {
                    words.push_str(word);
                    words.push(' ');
                });
                XxHash3_128::oneshot(words.as_bytes())
            }
        };
        [(hash >> 64) as u64, hash as u64]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firsts(same: SameText, texts: &[&str]) -> Vec<Option<u64>> {
        let mut seen = ExactDuplicates::new(ExactDuplicatesConfig { same });
        texts.iter().map(|text| seen.first_of(text)).collect()
    }

    #[test]
    fn the_first_of_equal_texts_is_kept_and_named() {
        let texts = ["a b", "c", "a b", "c", "A, b!", "ab"];
        assert_eq!(
            firsts(SameText::Bytes, &texts),
            [None, None, Some(0), Some(1), None, None]
        );
        assert_eq!(
            firsts(SameText::Words, &texts),
            [None, None, Some(0), Some(1), Some(0), None]
        );
    }

    #[test]
    fn texts_without_words_are_the_same_by_words_and_different_by_bytes() {
        assert_eq!(
            firsts(SameText::Words, &["", "…", "?!"]),
            [None, Some(0), Some(0)]
        );
        assert_eq!(
            firsts(SameText::Bytes, &["", "…", "?!"]),
            [None, None, None]
        );
    }
}
