//! The random stream of one item, a pure function of (seed, split, index).

use std::ops::RangeInclusive;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::Split;

/// Separates this generator's streams from any other use of the same seed; a new version makes new text.
const STREAM_NAME: &[u8] = b"alambic textbook 1";

/// A seeded stream of choices for one textbook item.
pub(crate) struct ItemRng(ChaCha8Rng);

impl ItemRng {
    /// The stream of item `index`: seeded with SHA-256 of name, seed, split and index.
    pub(crate) fn for_item(seed: u64, split: Split, index: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(STREAM_NAME);
        hasher.update(seed.to_le_bytes());
        hasher.update([match split {
            Split::Train => 0,
            Split::Validation => 1,
            Split::Test => 2,
        }]);
        hasher.update(index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(hasher.finalize().into()))
    }

    /// A uniform number of `range`.
    pub(crate) fn number(&mut self, range: RangeInclusive<u32>) -> u32 {
        self.0.random_range(range)
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    /// True as often as false.
    pub(crate) fn coin(&mut self) -> bool {
        self.chance(0.5)
    }

    /// One of `options`, all equally likely.
    ///
    /// # Panics
    /// If `options` is empty; the textbook's lists never are.
    pub(crate) fn pick<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        &options[self.0.random_range(0..options.len())]
    }

    /// `N` different members of `options`, in random order.
    ///
    /// # Panics
    /// If there are fewer than `N` options; the textbook's lists are longer.
    pub(crate) fn pick_distinct<T: Clone, const N: usize>(&mut self, options: &[T]) -> [T; N] {
        let mut order: Vec<usize> = (0..options.len()).collect();
        self.shuffle(&mut order);
        std::array::from_fn(|place| options[order[place]].clone())
    }

    /// Puts `values` into a random order (Fisher–Yates).
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.0.random_range(0..=last));
        }
    }
}
