//! MinHash signatures: sets as short rows of numbers that agree as often as the sets do.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a component of an empty set's signature is: no hash is smaller.
const NO_SHINGLE: u32 = u32::MAX;

/// Makes signatures: for each of `permutations` hash functions the smallest hash of a set's members.
///
/// Two sets agree in a component with a probability that is their Jaccard similarity (Broder 1997), so that the share of equal
/// components estimates it with a standard deviation of √(J (1 − J) / permutations): 0.035 at J = 0.8 with 128.
///
/// Hash functions are `(a x + b) >> 32` modulo 2⁶⁴ with random odd `a` and random `b` from the seed (Dietzfelbinger 1996), of
/// members that are 64-bit hashes already.
#[derive(Clone, Debug)]
pub struct MinHasher {
    functions: Vec<(u64, u64)>,
}

impl MinHasher {
    /// `permutations` hash functions, which follow from `seed`.
    #[must_use]
    pub fn new(permutations: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let functions = (0..permutations)
            .map(|_| (rng.random::<u64>() | 1, rng.random()))
            .collect();
        Self { functions }
    }

    /// Components of a signature.
    #[must_use]
    pub fn permutations(&self) -> usize {
        self.functions.len()
    }

    /// The signature of a set of hashes; all components of the empty set's are the largest number.
    ///
    /// # Memory
    /// 4 bytes for each component.
    ///
    /// ```
    /// use alambic_synth::{MinHasher, estimated_jaccard};
    /// let hasher = MinHasher::new(256, 17);
    /// let hashes = |range: std::ops::Range<u64>| range.map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect::<Vec<_>>();
    /// let (first, second) = (hasher.signature(&hashes(0..300)), hasher.signature(&hashes(100..400)));
    /// assert!((estimated_jaccard(&first, &second) - 0.5).abs() < 0.15); // 200 shared of 400, five standard deviations
    /// ```
    #[must_use]
    pub fn signature(&self, members: &[u64]) -> Vec<u32> {
        let mut signature = vec![NO_SHINGLE; self.functions.len()];
        for &member in members {
            for (least, &(a, b)) in signature.iter_mut().zip(&self.functions) {
                let hash = (a.wrapping_mul(member).wrapping_add(b) >> 32) as u32;
                *least = hash.min(*least);
            }
        }
        signature
    }
}

/// The share of components in which two signatures of one [`MinHasher`] agree; 0 if there are none.
#[must_use]
pub fn estimated_jaccard(first: &[u32], second: &[u32]) -> f64 {
    let equal = first.iter().zip(second).filter(|(a, b)| a == b).count();
    match first.len().max(second.len()) {
        0 => 0.0,
        components => equal as f64 / components as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::normalised_words::mixed;
    use super::super::shingles::jaccard;
    use super::*;

    #[test]
    fn estimates_scatter_around_the_jaccard_similarity_as_binomials_do() {
        const PERMUTATIONS: usize = 128;
        const SEEDS: u64 = 60;
        for shared in [10u64, 50, 90] {
            let first: Vec<u64> = (0..100).map(mixed).collect();
            let second: Vec<u64> = (100 - shared..200 - shared).map(mixed).collect();
            let (mut sorted_first, mut sorted_second) = (first.clone(), second.clone());
            sorted_first.sort_unstable();
            sorted_second.sort_unstable();
            let expected = jaccard(&sorted_first, &sorted_second);
            let estimates: Vec<f64> = (0..SEEDS)
                .map(|seed| {
                    let hasher = MinHasher::new(PERMUTATIONS, seed);
                    estimated_jaccard(&hasher.signature(&first), &hasher.signature(&second))
                })
                .collect();
            let mean = estimates.iter().sum::<f64>() / SEEDS as f64;
            let variance = expected * (1.0 - expected) / PERMUTATIONS as f64;
            let four_deviations = 4.0 * (variance / SEEDS as f64).sqrt();
            assert!(
                (mean - expected).abs() < four_deviations,
                "{mean} {expected}"
            );
            let squares: f64 = estimates.iter().map(|e| (e - expected).powi(2)).sum();
            let ratio = squares / SEEDS as f64 / variance;
            assert!((0.4..2.0).contains(&ratio), "variance ratio {ratio}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_signature_and_another_one_another() {
        let members: Vec<u64> = (0..50).map(mixed).collect();
        let signature = |seed| MinHasher::new(64, seed).signature(&members);
        assert_eq!(signature(3), signature(3));
        assert_ne!(signature(3), signature(4));
    }
}
