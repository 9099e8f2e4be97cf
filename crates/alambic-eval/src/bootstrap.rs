//! How sure a mean is.

use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How often the questions are drawn again.
const RESAMPLES: usize = 10_000;
/// What the interval leaves out on each side.
const TAIL: f64 = 0.025;

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, low, high } = self;
        write!(f, "{mean:.3} ({low:.3} to {high:.3})")
    }
}

/// The share of right answers, with the interval that holds 95 % of the shares of as many answers drawn from these with
/// replacement: the percentile bootstrap (Efron 1979). The same seed draws the same.
///
/// # Panics
/// If there are no answers.
///
/// ```
/// use alambic_eval::accuracy;
/// let answers: Vec<bool> = (0..100).map(|index| index % 4 == 0).collect();
/// let accuracy = accuracy(&answers, 17);
/// assert_eq!(accuracy.mean, 0.25);
/// // The normal approximation has 0.25 ± 0.085.
/// assert!((accuracy.low - 0.165).abs() < 0.02 && (accuracy.high - 0.335).abs() < 0.02);
/// ```
pub fn accuracy(answers: &[bool], seed: u64) -> Interval {
    let values: Vec<f64> = answers
        .iter()
        .map(|&right| f64::from(u8::from(right)))
        .collect();
    mean(&values, seed)
}

/// The mean of some values, with the interval that holds 95 % of the means of as many values drawn from these with replacement,
/// as [`accuracy`] has it.
///
/// # Panics
/// If there are no values.
///
/// ```
/// let interval = alambic_eval::mean(&[0.5, 1.0, 0.0, 0.7], 17);
/// assert!((interval.mean - 0.55).abs() < 1e-12);
/// assert!(interval.low < 0.55 && 0.55 < interval.high);
/// ```
pub fn mean(values: &[f64], seed: u64) -> Interval {
    assert!(!values.is_empty(), "a mean of no values");
    let count = values.len();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let draws = (0..count).map(|_| values[random.random_range(0..count)]);
            draws.sum::<f64>() / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |quantile: f64| means[((RESAMPLES - 1) as f64 * quantile).round() as usize];
    Interval {
        mean: values.iter().sum::<f64>() / count as f64,
        low: at(TAIL),
        high: at(1.0 - TAIL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_mean_and_is_sure_where_all_answers_agree() {
        for right in [0, 1, 7, 19, 20] {
            let answers: Vec<bool> = (0..20).map(|index| index < right).collect();
            let found = accuracy(&answers, 3);
            assert!(found.low <= found.mean && found.mean <= found.high);
            assert_eq!(found.low == found.high, right == 0 || right == 20);
            assert_eq!(found, accuracy(&answers, 3));
        }
    }

    /// Of samples of a known share, about 95 in 100 intervals hold it.
    #[test]
    fn about_nineteen_of_twenty_intervals_hold_the_truth() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let holds = (0..100u64).filter(|&seed| {
            let answers: Vec<bool> = (0..60).map(|_| random.random_bool(0.6)).collect();
            let found = accuracy(&answers, seed);
            found.low <= 0.6 && 0.6 <= found.high
        });
        let holds = holds.count();
        assert!((86..=100).contains(&holds), "{holds} of 100");
    }
}
