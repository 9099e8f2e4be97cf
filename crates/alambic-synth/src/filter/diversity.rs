//! How different the texts of a collection are from each other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::markdown::cell;
use super::min_hash::MinHasher;
use super::normalised_words::{ngram_hashes, word_hashes};
use super::shingles::{ShingleUnit, Shingling};

/// n-grams of 1 to this many words are counted.
const MAX_NGRAM_WORDS: usize = 3;
/// The sets whose similarity is measured: three words in a row.
const SHINGLING: Shingling = Shingling {
    unit: ShingleUnit::Words,
    size: 3,
};
/// Hash functions of the mean similarity.
const PERMUTATIONS: usize = 128;
/// What the hash functions follow from.
const SEED: u64 = 17;

/// How diverse a collection of texts is.
///
/// All three measures depend on the size of the collection: compare collections of similar numbers of words.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Texts.
    pub texts: usize,
    /// Their words.
    pub words: usize,
    /// Different n-grams of 1, 2 and 3 words, divided by all: distinct-n (Li et al. 2016, arXiv:1510.03055, section 5.2). More
    /// is more diverse.
    pub distinct: [f64; MAX_NGRAM_WORDS],
    /// Bytes of all texts, a line break between two, divided by their bytes after gzip (Shaib et al. 2024, arXiv:2403.00553). Less
    /// is more diverse. gzip sees repetition within 32 KiB only.
    pub compression_ratio: f64,
    /// Mean Jaccard similarity of all pairs of different texts, as sets of three words in a row, estimated by MinHash; `None` for
    /// fewer than two texts. Less is more diverse.
    pub mean_jaccard: Option<f64>,
}

impl Diversity {
    /// Measures `texts`.
    ///
    /// The mean over pairs takes no pairs: per hash function, the share of pairs that agree follows from how many texts have
    /// each least hash.
    ///
    /// # Memory
    /// 8 bytes for each different n-gram, and 512 for each text.
    ///
    /// ```
    /// let same = alambic_synth::Diversity::of(&["a b c d", "a b c d"]);
    /// assert_eq!(same.distinct, [0.5, 0.5, 0.5]);
    /// assert_eq!(same.mean_jaccard, Some(1.0));
    /// let different = alambic_synth::Diversity::of(&["a b c d", "e f g h"]);
    /// assert_eq!(different.distinct, [1.0, 1.0, 1.0]);
    /// assert_eq!(different.mean_jaccard, Some(0.0));
    /// ```
    #[must_use]
    pub fn of(texts: &[&str]) -> Self {
        let words: Vec<Vec<u64>> = texts.par_iter().map(|text| word_hashes(text)).collect();
        Self {
            texts: texts.len(),
            words: words.iter().map(Vec::len).sum(),
            distinct: [1, 2, 3].map(|size| distinct(&words, size)),
            compression_ratio: compression_ratio(texts),
            mean_jaccard: mean_jaccard(texts),
        }
    }
}

/// Different n-grams over all n-grams; 0 if there are none.
fn distinct(texts: &[Vec<u64>], size: usize) -> f64 {
    let (mut seen, mut all) = (HashSet::new(), 0usize);
    for words in texts {
        for ngram in ngram_hashes(words, size) {
            seen.insert(ngram);
            all += 1;
        }
    }
    seen.len() as f64 / all.max(1) as f64
}

fn compression_ratio(texts: &[&str]) -> f64 {
    let mut bytes = 0;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for text in texts {
        bytes += text.len() + 1;
        for part in [text.as_bytes(), b"\n"] {
            encoder.write_all(part).expect("memory takes all bytes");
        }
    }
    let compressed = encoder.finish().expect("memory takes all bytes");
    bytes as f64 / compressed.len() as f64
}

fn mean_jaccard(texts: &[&str]) -> Option<f64> {
    let pairs = texts.len() as f64 * (texts.len() as f64 - 1.0) / 2.0;
    if pairs < 1.0 {
        return None;
    }
    let hasher = MinHasher::new(PERMUTATIONS, SEED);
    let signature = |text: &&str| hasher.signature(&SHINGLING.shingles(text));
    let signatures: Vec<Vec<u32>> = texts.par_iter().map(signature).collect();
    let equal_pairs = |component: usize| {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for signature in &signatures {
            *counts.entry(signature[component]).or_insert(0) += 1;
        }
        counts
            .values()
            .map(|count| count * (count - 1) / 2)
            .sum::<u64>()
    };
    let equal: u64 = (0..PERMUTATIONS).into_par_iter().map(equal_pairs).sum();
    Some(equal as f64 / (pairs * PERMUTATIONS as f64))
}

/// Diversity of a whole collection, and of its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiversityTable {
    /// All texts.
    pub all: Diversity,
    /// Texts by label, such as `topic: tides`.
    pub parts: BTreeMap<String, Diversity>,
}

impl DiversityTable {
    /// Measures texts, each of which belongs to the parts of its labels, such as
    /// [`GridPrompt::labels`](super::textbook_grid::GridPrompt::labels).
    #[must_use]
    pub fn new<L: AsRef<[String]>>(texts: &[(L, &str)]) -> Self {
        let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (labels, text) in texts {
            for label in labels.as_ref() {
                parts.entry(label).or_default().push(text);
            }
        }
        let all: Vec<&str> = texts.iter().map(|(_, text)| *text).collect();
        let measured = parts
            .into_iter()
            .map(|(label, texts)| (label.to_owned(), Diversity::of(&texts)));
        Self {
            all: Diversity::of(&all),
            parts: measured.collect(),
        }
    }

    /// The table as Markdown, with the whole collection first.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut table = String::from(
            "| texts of | texts | words | distinct-1 | distinct-2 | distinct-3 | compression ratio | mean Jaccard |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        let parts = self
            .parts
            .iter()
            .map(|(label, part)| (label.as_str(), part));
        for (label, part) in std::iter::once(("all", &self.all)).chain(parts) {
            let [one, two, three] = part.distinct;
            let jaccard = part
                .mean_jaccard
                .map_or("".into(), |mean| format!("{mean:.4}"));
            let _ = writeln!(
                table,
                "| {} | {} | {} | {one:.3} | {two:.3} | {three:.3} | {:.2} | {jaccard} |",
                cell(label),
                part.texts,
                part.words,
                part.compression_ratio,
            );
        }
        table
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::min_hash::estimated_jaccard;
    use super::*;

    #[test]
    fn the_mean_over_pairs_is_that_of_comparing_every_pair() {
        let texts = [
            "a b c d e",
            "a b c d f",
            "x y z",
            "a b c d e",
            "x y z w",
            "",
        ];
        let hasher = MinHasher::new(PERMUTATIONS, SEED);
        let signatures = texts.map(|text| hasher.signature(&SHINGLING.shingles(text)));
        let mut sum = 0.0;
        for (i, first) in signatures.iter().enumerate() {
            sum += signatures[..i]
                .iter()
                .map(|second| estimated_jaccard(first, second))
                .sum::<f64>();
        }
        assert!((mean_jaccard(&texts).unwrap() - sum / 15.0).abs() < 1e-12);
    }

    #[test]
    fn repetition_compresses_and_variety_does_not() {
        let same = vec!["The fox and the hen went to the river to look for the boat."; 50];
        let different: Vec<String> = (0..50u64)
            .map(|i| format!("{:x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect();
        let different: Vec<&str> = different.iter().map(String::as_str).collect();
        assert!(Diversity::of(&same).compression_ratio > 10.0);
        assert!(Diversity::of(&different).compression_ratio < 2.5);
    }

    #[test]
    fn a_text_counts_in_every_part_that_it_belongs_to() {
        let labels = |names: [&str; 2]| names.map(String::from);
        let texts = [
            (labels(["topic: a", "form: x"]), "one two three"),
            (labels(["topic: b", "form: x"]), "one two four"),
        ];
        let table = DiversityTable::new(&texts);
        assert_eq!(table.parts["form: x"].texts, 2);
        assert_eq!(table.parts["topic: a"].mean_jaccard, None);
        assert_eq!(table.to_markdown().lines().count(), 2 + 1 + 3);
    }

    #[test]
    fn no_texts_have_no_figures_that_are_not_numbers() {
        let nothing = Diversity::of(&[]);
        assert_eq!((nothing.distinct, nothing.mean_jaccard), ([0.0; 3], None));
        assert_eq!(nothing.compression_ratio, 0.0);
    }
}
