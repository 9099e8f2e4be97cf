//! Drawing tokens from a teacher's distributions on the host.

use std::iter::repeat_n;

use alambic_cache::{DrawMethod, DrawnRow, SampledTargets, SegmentKey};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws tokens row by row.
///
/// Drawing in proportion to the teacher's own probabilities makes the share of every token an
/// unbiased estimate of its probability, by either [`DrawMethod`].
#[derive(Debug)]
pub(crate) struct TokenSampler {
    random: ChaCha8Rng,
    method: DrawMethod,
    temperature: f64,
    /// The row's largest log-probability.
    largest: f32,
    /// The row's last token with any probability.
    last_possible: usize,
    /// The row's probabilities, added up.
    up_to: Vec<f64>,
    /// The row's random numbers, ascending.
    draws: Vec<f64>,
    /// What was drawn for the row.
    row: Vec<(u32, u16)>,
    targets: SampledTargets,
}

impl TokenSampler {
    /// A sampler whose draws depend on `seed` and the segment alone.
    pub(crate) fn new(
        draws: u16,
        method: DrawMethod,
        temperature: f32,
        seed: u64,
        segment: &SegmentKey,
    ) -> Self {
        let mut bytes = *segment.as_bytes();
        for (byte, of_seed) in bytes.iter_mut().zip(seed.to_le_bytes()) {
            *byte ^= of_seed;
        }
        Self {
            random: ChaCha8Rng::from_seed(bytes),
            method,
            temperature: f64::from(temperature),
            largest: f32::NEG_INFINITY,
            last_possible: 0,
            up_to: Vec::new(),
            draws: vec![0.0; usize::from(draws)],
            row: Vec::new(),
            targets: SampledTargets::empty(draws, temperature),
        }
    }

    /// Adds one row of log-probabilities over the whole vocabulary, at temperature 1.
    pub(crate) fn push(&mut self, log_probs: &[f32]) {
        let entropy = self.begin_row(log_probs);
        self.row.clear();
        let mut id = 0;
        for &draw in &self.draws {
            // The last token with any probability takes what rounding leaves over.
            id += self.up_to[id..].partition_point(|&sum| sum <= draw);
            let token = id.min(self.last_possible) as u32;
            match self.row.last_mut() {
                Some((last, count)) if *last == token => *count += 1,
                _ => self.row.push((token, 1)),
            }
        }
        self.targets.drawn.push_row(self.row.iter().copied());
        self.targets.entropy.push(entropy as f32);
    }

    /// Adds a row without any draws; its random numbers are used up all the same.
    pub(crate) fn push_nothing(&mut self, log_probs: &[f32]) {
        let entropy = self.begin_row(log_probs);
        self.targets.drawn.push_row([]);
        self.targets.entropy.push(entropy as f32);
    }

    /// Takes the random numbers of the next row and adds up its probabilities; its entropy, nats.
    ///
    /// A row without a distribution, of what is not a number or of nothing possible, gives an
    /// entropy that is not a number, which no cache takes.
    pub(crate) fn begin_row(&mut self, log_probs: &[f32]) -> f64 {
        // With the largest exponent at 0 the sum is at least 1, whatever the temperature.
        self.largest = log_probs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (mut total, mut weighted) = (0.0, 0.0);
        self.last_possible = 0;
        self.up_to.clear();
        for (id, &log_prob) in log_probs.iter().enumerate() {
            let exponent = self.exponent(log_prob);
            let weight = exponent.exp();
            total += weight;
            if weight != 0.0 {
                weighted += weight * exponent;
                self.last_possible = id;
            }
            self.up_to.push(total);
        }
        self.take_random_numbers(total);
        f64::ln(total) - weighted / total
    }

    /// Random numbers from 0 to `total`, ascending: each as likely to be anywhere.
    fn take_random_numbers(&mut self, total: f64) {
        match self.method {
            DrawMethod::Independent => {
                for draw in &mut self.draws {
                    *draw = self.random.random::<f64>() * total;
                }
                self.draws.sort_unstable_by(f64::total_cmp);
            }
            DrawMethod::Systematic => {
                let step = total / self.draws.len() as f64;
                let first = self.random.random::<f64>();
                for (index, draw) in self.draws.iter_mut().enumerate() {
                    *draw = (index as f64 + first) * step;
                }
            }
        }
    }

    /// Of a log-probability of the row, at the temperature: 0 for the largest.
    fn exponent(&self, log_prob: f32) -> f64 {
        f64::from(log_prob - self.largest) / self.temperature
    }

    /// The row's probabilities added up from the first token to each, 1 at the last.
    pub(crate) fn cumulated(&self) -> impl Iterator<Item = f64> {
        let total = self.up_to.last().copied().unwrap_or(0.0);
        self.up_to.iter().map(move |sum| sum / total)
    }

    /// How far the row's cumulated probabilities would have to move for these tokens to be drawn
    /// with its random numbers: 0 for the tokens that [`push`](Self::push) draws, infinite where one
    /// of them has no probability.
    pub(crate) fn distance(&self, log_probs: &[f32], drawn: &DrawnRow<'_>) -> f64 {
        let is_possible = |&id: &u32| {
            let log_prob = log_probs.get(id as usize).copied();
            log_prob.is_some_and(|log_prob| self.exponent(log_prob).exp() > 0.0)
        };
        if !drawn.token_ids.iter().all(is_possible) {
            return f64::INFINITY;
        }
        let total = self.up_to.last().copied().unwrap_or(0.0);
        let ids = drawn.token_ids.iter().zip(drawn.counts);
        let ids = ids.flat_map(|(&id, &count)| repeat_n(id as usize, usize::from(count)));
        let missed = self.draws.iter().zip(ids).map(|(&draw, id)| {
            let below = id.checked_sub(1).map_or(0.0, |below| self.up_to[below]);
            (below - draw).max(draw - self.up_to[id])
        });
        missed.fold(0.0, f64::max) / total
    }

    /// Everything drawn.
    pub(crate) fn finish(self) -> SampledTargets {
        self.targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBS: [f32; 5] = [0.05, 0.0, 0.3, 0.6, 0.05];

    const METHODS: [DrawMethod; 2] = [DrawMethod::Independent, DrawMethod::Systematic];

    fn sampler(draws: u16, method: DrawMethod, temperature: f32, seed: u64) -> TokenSampler {
        let segment = SegmentKey::of("teacher", &[1, 2], &[false, true]);
        TokenSampler::new(draws, method, temperature, seed, &segment)
    }

    fn drawn_by(
        method: DrawMethod,
        rows: usize,
        draws: u16,
        temperature: f32,
        seed: u64,
    ) -> SampledTargets {
        let mut sampler = sampler(draws, method, temperature, seed);
        (0..rows).for_each(|_| sampler.push(&PROBS.map(f32::ln)));
        sampler.finish()
    }

    fn drawn(rows: usize, draws: u16, temperature: f32, seed: u64) -> SampledTargets {
        drawn_by(DrawMethod::Independent, rows, draws, temperature, seed)
    }

    #[test]
    fn shares_agree_with_the_softened_probabilities_on_average() {
        const ROWS: usize = 2000;
        const DRAWS: u16 = 50;
        for (temperature, method) in [1.0, 2.0].into_iter().flat_map(|t| METHODS.map(|m| (t, m))) {
            let targets = drawn_by(method, ROWS, DRAWS, temperature, 7);
            let softened = PROBS.map(|p| f64::from(p).powf(1.0 / f64::from(temperature)));
            let total: f64 = softened.iter().sum();
            let mut counts = [0u64; 5];
            for (&id, &count) in targets.drawn.token_ids.iter().zip(&targets.drawn.counts) {
                counts[id as usize] += u64::from(count);
            }
            let all = ROWS as f64 * f64::from(DRAWS);
            for (count, softened) in counts.into_iter().zip(softened) {
                let expected = softened / total;
                // Of a share whose variance is the method's, over as many rows.
                let fraction = (f64::from(DRAWS) * expected).fract();
                let variance = match method {
                    DrawMethod::Independent => expected * (1.0 - expected) / f64::from(DRAWS),
                    DrawMethod::Systematic => {
                        fraction * (1.0 - fraction) / f64::from(DRAWS).powi(2)
                    }
                };
                let standard_error = (variance / ROWS as f64).sqrt().max(1e-9);
                let error = (count as f64 / all - expected).abs();
                assert!(error <= 4.0 * standard_error, "{error}: {standard_error}");
            }
            let entropy: f64 = softened
                .iter()
                .map(|p| p / total)
                .filter(|&p| p > 0.0)
                .map(|p| -p * p.ln())
                .sum();
            assert!((f64::from(targets.entropy[0]) - entropy).abs() < 1e-6);
        }
    }

    #[test]
    fn every_row_has_all_draws_and_ids_ascend() {
        for method in METHODS {
            let targets = drawn_by(method, 50, 12, 1.0, 3);
            assert_eq!(targets.num_rows(), 50);
            for row in targets.drawn.rows() {
                assert_eq!(row.counts.iter().sum::<u16>(), 12);
                assert!(row.token_ids.is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn systematic_draws_give_every_token_its_expected_count_rounded_up_or_down() {
        const DRAWS: u16 = 50;
        let targets = drawn_by(DrawMethod::Systematic, 500, DRAWS, 1.0, 3);
        for row in targets.drawn.rows() {
            for (id, &probability) in PROBS.iter().enumerate() {
                let expected = f64::from(DRAWS) * f64::from(probability);
                let found = row.token_ids.iter().position(|&drawn| drawn as usize == id);
                let found = found.map_or(0, |index| row.counts[index]);
                // Rounded as 30.0000012 is, which f32 makes of 30.
                let (low, high) = ((expected - 1e-4).floor(), (expected + 1e-4).ceil());
                let count = f64::from(found);
                assert!(
                    count >= low && count <= high,
                    "{id}: {found}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn at_a_low_temperature_only_the_most_likely_token_is_drawn() {
        let targets = drawn(5, 9, 1e-4, 3);
        assert_eq!(targets.drawn.token_ids, [3; 5]);
        assert_eq!(targets.entropy, [0.0; 5]);
    }

    #[test]
    fn a_row_without_a_distribution_is_not_hidden() {
        let rows = [[f32::NAN; 3], [f32::NEG_INFINITY; 3], [0.0, f32::NAN, -1.0]];
        for (row, method) in rows.into_iter().flat_map(|row| METHODS.map(|m| (row, m))) {
            let mut sampler = sampler(4, method, 1.0, 1);
            sampler.push(&row);
            assert!(sampler.finish().entropy[0].is_nan(), "{row:?}");
        }
    }

    #[test]
    fn the_distance_of_drawn_tokens_is_what_the_probabilities_have_to_move() {
        METHODS.into_iter().for_each(the_distance_of_drawn_tokens);
    }

    fn the_distance_of_drawn_tokens(method: DrawMethod) {
        let sampler = || sampler(40, method, 1.0, 7);
        let log_probs = PROBS.map(f32::ln);
        let targets = drawn_by(method, 20, 40, 1.0, 7);
        let (mut same, mut moved) = (sampler(), sampler());
        // A hundredth of the mass moves from token 3 to token 0, and all sums between with it.
        let other = [0.06f32, 0.0, 0.3, 0.59, 0.05].map(f32::ln);
        let mut largest = 0f64;
        for row in targets.drawn.rows() {
            same.begin_row(&log_probs);
            assert_eq!(same.distance(&log_probs, &row), 0.0);
            moved.begin_row(&other);
            largest = largest.max(moved.distance(&other, &row));
        }
        assert!(largest > 0.0 && largest < 0.01 + 1e-6, "{largest}");
        let impossible = DrawnRow {
            token_ids: &[1],
            counts: &[40],
        };
        assert_eq!(same.distance(&log_probs, &impossible), f64::INFINITY);
    }

    #[test]
    fn draws_depend_on_the_seed_and_the_segment_alone() {
        for method in METHODS {
            let drawn = |seed| drawn_by(method, 20, 9, 1.0, seed);
            assert_eq!(drawn(3), drawn(3));
            assert_ne!(drawn(3), drawn(4));
        }
    }
}
