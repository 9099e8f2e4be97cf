//! The order in which an epoch visits the segments of a cache.

use sha2::{Digest, Sha256};

/// Separates this hash from every other use of SHA-256 in the project.
const DOMAIN: &[u8] = b"alambic epoch order 1\0";
/// Rounds of the Feistel network, one 32-bit key each.
const NUM_ROUNDS: usize = 8;

/// A permutation of `0..len` for one epoch, from a seed; nothing of it is stored.
///
/// Any position is computed by itself, in constant memory and time, so a run that resumes in the
/// middle of an epoch, or one of several readers that takes every n-th position, goes straight to
/// it. Equal seeds, epochs and lengths give equal orders, on every machine and in every version.
///
/// # The permutation
/// A balanced Feistel network of eight rounds (Luby & Rackoff 1988) over the `2b`-bit numbers, `b`
/// the smallest of 1, 2, ... with `4ᵇ ≥ len`, walked along its cycle until the result is below
/// `len` (Black & Rogaway 2002), less than four times on average. The round keys `k₀ … k₇` are the
/// eight little-endian u32 of `SHA-256("alambic epoch order 1\0" ‖ seed ‖ epoch)`, both u64 in
/// little-endian. Round `i` turns the halves `(l, r)` into `(r, l ⊕ F)`, where `F` is the upper `b`
/// bits of the finaliser of SplitMix64 (Steele, Lea & Flood 2014) applied to `2³² kᵢ + r`; the
/// upper half of a number is `l` before the first round and after the last.
///
/// ```
/// use alambic_cache::EpochOrder;
/// let order = EpochOrder::new(17, 0, 10);
/// assert_eq!(order.collect::<Vec<_>>(), [2, 7, 9, 3, 1, 6, 8, 4, 5, 0]);
/// assert_eq!(EpochOrder::new(17, 0, 10).get(3), Some(3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochOrder {
    len: u64,
    half_bits: u32,
    keys: [u32; NUM_ROUNDS],
    next: u64,
}

impl EpochOrder {
    /// The order of `len` segments in one epoch.
    ///
    /// ```
    /// use alambic_cache::EpochOrder;
    /// assert_ne!(EpochOrder::new(17, 0, 100), EpochOrder::new(17, 1, 100)); // the next epoch
    /// assert_eq!(EpochOrder::new(17, 0, 0).next(), None);
    /// ```
    pub fn new(seed: u64, epoch: u64, len: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(seed.to_le_bytes());
        hash.update(epoch.to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let (words, _) = digest.as_chunks();
        let mut keys = [0; NUM_ROUNDS];
        for (key, word) in keys.iter_mut().zip(words) {
            *key = u32::from_le_bytes(*word);
        }
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        Self {
            len,
            half_bits: bits.div_ceil(2).max(1),
            keys,
            next: 0,
        }
    }

    /// The segment at a position of the epoch; `None` past its end.
    ///
    /// ```
    /// use alambic_cache::EpochOrder;
    /// let order = EpochOrder::new(17, 3, 1_000_000_000_000);
    /// assert!(order.get(999_999_999_999).is_some());
    /// assert_eq!(order.get(1_000_000_000_000), None);
    /// ```
    pub fn get(&self, position: u64) -> Option<u64> {
        if position >= self.len {
            return None;
        }
        let mut index = self.permuted(position);
        while index >= self.len {
            index = self.permuted(index);
        }
        Some(index)
    }

    fn permuted(&self, number: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for &key in &self.keys {
            let round = mix(u64::from(key) << 32 | right) >> (u64::BITS - self.half_bits);
            (left, right) = (right, left ^ round);
        }
        left << self.half_bits | right
    }
}

impl Iterator for EpochOrder {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let index = self.get(self.next)?;
        self.next += 1;
        Some(index)
    }

    /// Goes there at once.
    fn nth(&mut self, skipped: usize) -> Option<u64> {
        self.next = self.next.saturating_add(skipped as u64);
        self.next()
    }
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_segment_once() {
        for len in (0..70).chain([255, 256, 257, 1000, 4096, 4097]) {
            let mut visited: Vec<u64> = EpochOrder::new(5, len, len).collect();
            visited.sort_unstable();
            assert!(visited.into_iter().eq(0..len), "{len}");
        }
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_and_on_nothing_else() {
        let order = |seed, epoch| EpochOrder::new(seed, epoch, 50).collect::<Vec<_>>();
        assert_eq!(order(1, 2), order(1, 2));
        for other in [order(2, 1), order(1, 3), order(0, 2)] {
            assert_ne!(order(1, 2), other);
        }
    }

    #[test]
    fn a_position_is_reached_without_the_ones_before() {
        let whole: Vec<u64> = EpochOrder::new(9, 4, 777).collect();
        let order = EpochOrder::new(9, 4, 777);
        for position in [0, 1, 400, 776] {
            assert_eq!(order.get(position as u64), Some(whole[position]));
            assert_eq!(order.clone().nth(position), Some(whole[position]));
        }
        // Every third position, from the second on: one of three readers.
        let third: Vec<u64> = order.clone().skip(1).step_by(3).collect();
        assert!(third.iter().eq(whole.iter().skip(1).step_by(3)));
        assert_eq!(order.clone().nth(777), None);
        assert_eq!(EpochOrder::new(1, 1, u64::MAX).get(u64::MAX), None);
        assert!(EpochOrder::new(1, 1, u64::MAX).get(u64::MAX - 1).is_some());
    }

    /// 99.99 % of samples of that many degrees of freedom lie below: Wilson & Hilferty 1931.
    fn chi_square_bound(degrees: f64) -> f64 {
        let spread = (2.0 / (9.0 * degrees)).sqrt();
        degrees * (1.0 - 2.0 / (9.0 * degrees) + 3.719 * spread).powi(3)
    }

    #[test]
    fn every_segment_is_equally_likely_at_every_position() {
        const EPOCHS: u64 = 6000;
        for len in [3u64, 10, 17] {
            let mut counts = vec![0u32; (len * len) as usize];
            for epoch in 0..EPOCHS {
                for (position, index) in EpochOrder::new(11, epoch, len).enumerate() {
                    counts[position * len as usize + index as usize] += 1;
                }
            }
            let expected = EPOCHS as f64 / len as f64;
            let statistic: f64 = counts
                .iter()
                .map(|&count| (f64::from(count) - expected).powi(2) / expected)
                .sum();
            let degrees = (len as f64 - 1.0).powi(2);
            assert!(
                statistic < chi_square_bound(degrees),
                "{len}: {statistic} of {degrees}"
            );
        }
    }

    #[test]
    fn neighbours_are_as_far_apart_as_two_random_segments() {
        const LEN: u64 = 10_000;
        let order: Vec<u64> = EpochOrder::new(3, 0, LEN).collect();
        let distances = order.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
        let mean = distances.sum::<u64>() as f64 / (LEN - 1) as f64;
        // A third of the length; the mean of so many has a standard deviation of 0.24 % of it.
        assert!((mean / LEN as f64 - 1.0 / 3.0).abs() < 0.01, "{mean}");
    }
}
