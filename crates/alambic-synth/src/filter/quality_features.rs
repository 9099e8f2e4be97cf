//! Features of a text that need no model: statistics, and hashed n-grams of its words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config_problems::ConfigProblems;
use super::feature_vector::FeatureVector;
use super::normalised_words::{ngram_hashes, word_hashes};
use super::repetition::RepetitionRule;
use super::text_statistics::TextStatistics;

/// Most bits of a hash bucket, so that weights stay a few megabytes.
const MAX_BUCKET_BITS: usize = 22;

/// Dense features of a text.
pub(crate) const DENSE_FEATURES: usize = 15;

/// How a text becomes features, in the manner of fastText's classifiers (Joulin et al. 2017, arXiv:1607.01759): counts of words
/// and of n-grams in hash buckets, divided by their Euclidean norm; and, as dense features, what the heuristics measure.
///
/// Two n-grams may share a bucket; more bits make that rarer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityFeatures {
    /// n-grams of 1 to this many words are features.
    pub max_ngram_words: usize,
    /// There are 2 to this power of buckets.
    pub bucket_bits: usize,
}

impl Default for QualityFeatures {
    fn default() -> Self {
        Self {
            max_ngram_words: 2,
            bucket_bits: 16,
        }
    }
}

impl QualityFeatures {
    /// The features of `text`.
    ///
    /// ```
    /// let features = alambic_synth::QualityFeatures::default().of("A fox and a hen.");
    /// // a, fox, and, hen; a fox, fox and, and a, a hen
    /// assert_eq!(features.sparse.len(), 8);
    /// ```
    #[must_use]
    pub fn of(&self, text: &str) -> FeatureVector {
        FeatureVector {
            dense: dense(text).to_vec(),
            sparse: self.buckets(text),
        }
    }

    fn buckets(&self, text: &str) -> BTreeMap<u32, f64> {
        let words = word_hashes(text);
        let mask = (1u64 << self.bucket_bits) - 1;
        let mut counts = BTreeMap::new();
        for size in 1..=self.max_ngram_words {
            for hash in ngram_hashes(&words, size) {
                let bucket = (hash & mask) as u32;
                *counts.entry(bucket).or_insert(0.0) += 1.0;
            }
        }
        let norm = counts
            .values()
            .map(|count: &f64| count * count)
            .sum::<f64>()
            .sqrt();
        counts.values_mut().for_each(|count| *count /= norm);
        counts
    }

    pub(crate) fn check(&self, problems: &mut ConfigProblems) {
        problems.at_least("features.max_ngram_words", self.max_ngram_words, 1);
        problems.expect(
            (1..=MAX_BUCKET_BITS).contains(&self.bucket_bits),
            "features.bucket_bits",
            &format!("1 to {MAX_BUCKET_BITS}"),
            self.bucket_bits,
        );
    }
}

/// What the heuristics measure; counts as ln (1 + count).
fn dense(text: &str) -> [f64; DENSE_FEATURES] {
    let found = TextStatistics::new(text);
    let logarithm = |count: usize| (count as f64).ln_1p();
    [
        logarithm(found.words),
        found.mean_word_characters,
        found.hash_word_ratio,
        found.ellipsis_word_ratio,
        found.bullet_line_ratio,
        found.ellipsis_line_ratio,
        found.alphabetic_word_ratio,
        found.stop_words as f64,
        logarithm(found.sentences),
        found.terminal_line_ratio,
        logarithm(found.curly_brackets),
        RepetitionRule::MaxDuplicateLineRatio.value(text),
        RepetitionRule::MaxTop2Gram.value(text),
        RepetitionRule::MaxDuplicate5Gram.value(text),
        RepetitionRule::MaxEndLoopCharacters.value(text).ln_1p(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_features_have_unit_length_and_do_not_depend_on_case() {
        let features = QualityFeatures::default();
        let found = features.of("The fox, the hen and the fox.");
        let norm: f64 = found.sparse.values().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-12);
        assert_eq!(
            found.sparse,
            features.of("the FOX the hen and the fox").sparse
        );
    }

    #[test]
    fn a_text_without_words_has_no_sparse_features_and_finite_dense_ones() {
        let found = QualityFeatures::default().of("…");
        assert!(found.sparse.is_empty());
        assert!(found.dense.iter().all(|value| value.is_finite()));
    }
}
