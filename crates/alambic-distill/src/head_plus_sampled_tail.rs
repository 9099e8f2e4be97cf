//! A teacher's most likely tokens with tokens drawn from among the others, on the host.

use alambic_cache::{DrawMethod, HeadPlusSampledTail, SegmentKey};

use crate::token_sampler::TokenSampler;
use crate::top_k::TopKSelector;

/// Collects heads and draws from their tails row by row.
#[derive(Debug)]
pub(crate) struct HeadPlusSampledTailSelector {
    k: usize,
    draws: u16,
    temperature: f32,
    head: TopKSelector,
    tail: TokenSampler,
}

impl HeadPlusSampledTailSelector {
    /// A selector of `k` tokens whose draws depend on `seed` and the segment alone.
    pub(crate) fn new(
        k: usize,
        draws: u16,
        method: DrawMethod,
        temperature: f32,
        seed: u64,
        segment: &SegmentKey,
    ) -> Self {
        Self {
            k,
            draws,
            temperature,
            head: TopKSelector::new(k, &[]),
            tail: TokenSampler::new(draws, method, 1.0, seed, segment),
        }
    }

    /// Adds one row of log-probabilities over the whole vocabulary, at temperature 1.
    pub(crate) fn push(&mut self, log_probs: &[f32]) {
        let mut softened = softened(log_probs, self.temperature);
        self.head.push(&softened);
        let head = self.head.targets();
        let (ids, mass) = (&head.token_ids, head.tail_mass.last().copied());
        remove(&mut softened, &ids[ids.len() - self.k..]);
        match mass {
            Some(mass) if mass > 0.0 => self.tail.push(&softened),
            _ => self.tail.push_nothing(&softened),
        }
    }

    /// Everything collected.
    pub(crate) fn finish(self) -> HeadPlusSampledTail {
        HeadPlusSampledTail {
            tail: self.tail.finish().drawn,
            ..HeadPlusSampledTail::new(self.head.finish(), self.draws, self.temperature)
        }
    }
}

/// Log-probabilities at another temperature: `ln p / T − ln Σ p^(1/T)`.
pub(crate) fn softened(log_probs: &[f32], temperature: f32) -> Vec<f32> {
    if temperature == 1.0 {
        return log_probs.to_vec();
    }
    let temperature = f64::from(temperature);
    let largest = log_probs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponents = log_probs
        .iter()
        .map(|&log_prob| f64::from(log_prob - largest) / temperature);
    let log_total = exponents.clone().map(f64::exp).sum::<f64>().ln();
    exponents
        .map(|exponent| (exponent - log_total) as f32)
        .collect()
}

/// Takes all probability from these tokens.
pub(crate) fn remove(log_probs: &mut [f32], ids: &[u32]) {
    for &id in ids {
        log_probs[id as usize] = f32::NEG_INFINITY;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PROBS: [f32; 5] = [0.05, 0.0, 0.3, 0.55, 0.1];

    fn selected(k: usize, rows: usize, draws: u16, temperature: f32) -> HeadPlusSampledTail {
        let segment = SegmentKey::of("teacher", &[1, 2], &[false, true]);
        let mut selector = HeadPlusSampledTailSelector::new(
            k,
            draws,
            DrawMethod::Independent,
            temperature,
            7,
            &segment,
        );
        (0..rows).for_each(|_| selector.push(&PROBS.map(f32::ln)));
        selector.finish()
    }

    #[test]
    fn estimates_agree_with_the_softened_probabilities_on_average() {
        const ROWS: usize = 2000;
        const DRAWS: u16 = 8;
        for temperature in [1.0f32, 2.0] {
            let softened = PROBS.map(|p| f64::from(p).powf(1.0 / f64::from(temperature)));
            let total: f64 = softened.iter().sum();
            let targets = selected(2, ROWS, DRAWS, temperature);
            let mut means = [0f64; 5];
            for row in targets.probabilities() {
                for (id, probability) in row {
                    means[id as usize] += f64::from(probability) / ROWS as f64;
                }
            }
            let tail = (softened[0] + softened[4]) / total;
            for (id, (mean, softened)) in means.into_iter().zip(softened).enumerate() {
                let expected = softened / total;
                let share = expected / tail;
                let standard_error = match id {
                    2 | 3 => 1e-6, // in the head, exactly
                    _ => tail * (share * (1.0 - share) / ROWS as f64 / f64::from(DRAWS)).sqrt(),
                };
                let error = (mean - expected).abs();
                assert!(
                    error <= 4.0 * standard_error,
                    "{id}: {error}, {standard_error}"
                );
            }
        }
    }

    #[test]
    fn the_head_is_that_of_the_most_likely_tokens_and_no_draw_falls_into_it() {
        let targets = selected(2, 20, 9, 1.0);
        let mut alone = TopKSelector::new(2, &[]);
        (0..20).for_each(|_| alone.push(&PROBS.map(f32::ln)));
        assert_eq!(targets.head, alone.finish());
        for row in targets.tail.rows() {
            assert_eq!(row.counts.iter().sum::<u16>(), 9);
            assert!(row.token_ids.iter().all(|id| [0, 4].contains(id)));
        }
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_left_and_later_rows_do_not_notice() {
        assert_eq!(selected(4, 3, 9, 1.0).tail.num_distinct, [0; 3]);
        assert_eq!(selected(5, 3, 9, 1.0).tail.num_distinct, [0; 3]);
        let segment = SegmentKey::of("teacher", &[1, 2], &[false, true]);
        let tail_of_second = |first: [f32; 5]| {
            let mut selector =
                HeadPlusSampledTailSelector::new(2, 40, DrawMethod::Systematic, 1.0, 7, &segment);
            selector.push(&first.map(f32::ln));
            selector.push(&PROBS.map(f32::ln));
            let tail = selector.finish().tail;
            let row = tail.rows().nth(1).unwrap();
            (row.token_ids.to_vec(), row.counts.to_vec())
        };
        let certain = [0.0, 0.0, 0.5, 0.5, 0.0];
        assert_eq!(tail_of_second(certain), tail_of_second(PROBS));
    }

    #[test]
    fn a_row_without_a_distribution_is_not_hidden() {
        let segment = SegmentKey::of("teacher", &[1, 2], &[false, true]);
        for row in [[f32::NAN; 3], [f32::NEG_INFINITY; 3], [0.0, f32::NAN, -1.0]] {
            let mut selector =
                HeadPlusSampledTailSelector::new(1, 4, DrawMethod::Systematic, 2.0, 1, &segment);
            selector.push(&row);
            let head = selector.finish().head;
            let missing = head.log_probs[0].exp() + head.tail_mass[0] - 1.0;
            assert!(head.entropy[0].is_nan() || missing.abs() > 0.5, "{head:?}");
        }
    }
}
