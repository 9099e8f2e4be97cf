//! Texts as sets of overlapping n-grams.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::normalised_words::{for_each_word, ngram_hashes, word_hashes};

/// What shingles are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShingleUnit {
    /// Words: runs of letters and digits in lower case after NFKC, and operators of formulas.
    Words,
    /// The characters of these words, with one space between two words.
    Characters,
}

/// How a text becomes a set of overlapping n-grams (Broder 1997, section 2).
///
/// A text with fewer units than `size` has one shingle, all of it; a text without words has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shingling {
    /// What a shingle is made of.
    pub unit: ShingleUnit,
    /// Units in a shingle; at least 1.
    pub size: usize,
}

impl Shingling {
    /// The hashes of a text's shingles, sorted, each once.
    ///
    /// # Panics
    /// If `size` is 0, which no validated configuration has.
    #[must_use]
    pub fn shingles(&self, text: &str) -> Vec<u64> {
        let units = match self.unit {
            ShingleUnit::Words => word_hashes(text),
            ShingleUnit::Characters => character_hashes(text),
        };
        if units.is_empty() {
            return Vec::new();
        }
        let mut shingles: Vec<u64> = ngram_hashes(&units, self.size.min(units.len())).collect();
        shingles.sort_unstable();
        shingles.dedup();
        shingles
    }
}

fn character_hashes(text: &str) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(text.len());
    let hash = |character: char| XxHash3_64::oneshot(&u32::from(character).to_le_bytes());
    for_each_word(text, |word| {
        if !hashes.is_empty() {
            hashes.push(hash(' '));
        }
        hashes.extend(word.chars().map(hash));
    });
    hashes
}

/// The Jaccard similarity |A ∩ B| / |A ∪ B| of two sorted sets; 1 if both are empty.
pub(crate) fn jaccard(first: &[u64], second: &[u64]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0usize);
    while let (Some(a), Some(b)) = (first.get(i), second.get(j)) {
        i += usize::from(a <= b);
        j += usize::from(b <= a);
        shared += usize::from(a == b);
    }
    let union = first.len() + second.len() - shared;
    if union == 0 {
        return 1.0;
    }
    shared as f64 / union as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(size: usize) -> Shingling {
        let unit = ShingleUnit::Words;
        Shingling { unit, size }
    }

    #[test]
    fn a_text_of_n_words_has_n_minus_size_plus_one_shingles() {
        assert_eq!(words(3).shingles("a b c d e").len(), 3);
        assert_eq!(words(1).shingles("a b a b").len(), 2);
        assert_eq!(words(9).shingles("a b c d e").len(), 1);
        assert!(words(9).shingles("…").is_empty());
    }

    #[test]
    fn characters_see_one_space_between_words() {
        let unit = ShingleUnit::Characters;
        let shingling = Shingling { unit, size: 2 };
        assert_eq!(shingling.shingles("Ab,  c"), shingling.shingles("ab c"));
        assert_eq!(shingling.shingles("ab c").len(), 3);
    }

    #[test]
    fn jaccard_is_shared_over_all() {
        assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!(jaccard(&[1], &[2]), 0.0);
        assert_eq!(jaccard(&[], &[2]), 0.0);
        assert_eq!(jaccard(&[], &[]), 1.0);
    }
}
