//! Options of the search for near-duplicates, and what they find.

use serde::{Deserialize, Serialize};

use super::config_problems::ConfigProblems;
use super::shingles::{ShingleUnit, Shingling};

/// How a pair of texts that share a band is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Not at all: texts that share a band are near-duplicates, whatever the threshold. The least memory.
    None,
    /// By the share of equal components of their signatures.
    EstimatedJaccard,
    /// By their shingles: exact, but shingles stay in memory, 8 bytes each.
    ExactJaccard,
}

/// Options of [`NearDuplicates`](super::near_duplicates::NearDuplicates).
///
/// A signature of `permutations` components is cut into `bands` of r = permutations / bands components, and two texts are
/// compared if they agree in a whole band: texts of Jaccard similarity s with the probability 1 − (1 − sʳ)ᵇ, an S-shaped curve
/// (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4) that is steepest around (1/b)^(1/r). By default:
///
/// | similarity | 0.3 | 0.4 | 0.5 | 0.6 | 0.7 | 0.8 | 0.9 |
/// |---|---|---|---|---|---|---|---|
/// | probability | 0.014 | 0.079 | 0.270 | 0.615 | 0.918 | 0.998 | 1.000 |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NearDuplicatesConfig {
    /// How a text becomes a set.
    pub shingling: Shingling,
    /// Texts of at least this Jaccard similarity are near-duplicates, in `(0, 1]`.
    pub jaccard_threshold: f64,
    /// Components of a signature, 4 bytes each.
    pub permutations: usize,
    /// Parts that a signature is cut into; divides `permutations`.
    pub bands: usize,
    /// How pairs that share a band are looked at again.
    pub verification: Verification,
    /// Most earlier texts of one band's bucket that a text is compared with; comparisons that are left out are counted.
    pub max_comparisons: usize,
    /// What the hash functions follow from.
    pub seed: u64,
}

impl Default for NearDuplicatesConfig {
    /// Sets of five words in a row (as in Lee et al. 2022, arXiv:2107.06499, appendix A) that agree by 0.8.
    fn default() -> Self {
        Self {
            shingling: Shingling {
                unit: ShingleUnit::Words,
                size: 5,
            },
            jaccard_threshold: 0.8,
            permutations: 120,
            bands: 20,
            verification: Verification::EstimatedJaccard,
            max_comparisons: 256,
            seed: 17,
        }
    }
}

impl NearDuplicatesConfig {
    /// The probability that two texts of Jaccard similarity `jaccard` are compared: 1 − (1 − sʳ)ᵇ.
    ///
    /// ```
    /// let config = alambic_synth::NearDuplicatesConfig::default();
    /// assert!((config.candidate_probability(0.8) - 0.998).abs() < 0.0005);
    /// assert!((config.candidate_probability(0.5) - 0.270).abs() < 0.0005);
    /// ```
    #[must_use]
    pub fn candidate_probability(&self, jaccard: f64) -> f64 {
        let rows = self.permutations as f64 / self.bands as f64;
        1.0 - (1.0 - jaccard.powf(rows)).powf(self.bands as f64)
    }

    pub(crate) fn check(&self, problems: &mut ConfigProblems) {
        problems.at_least("shingling.size", self.shingling.size, 1);
        problems.at_least("permutations", self.permutations, 1);
        problems.at_least("max_comparisons", self.max_comparisons, 1);
        let threshold = self.jaccard_threshold;
        problems.expect(
            threshold > 0.0 && threshold <= 1.0,
            "jaccard_threshold",
            "a number above 0 and at most 1",
            threshold,
        );
        problems.expect(
            self.bands > 0 && self.permutations.is_multiple_of(self.bands),
            "bands",
            &format!("a divisor of permutations ({})", self.permutations),
            self.bands,
        );
    }
}
