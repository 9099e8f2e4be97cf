//! Selecting a teacher's most likely tokens on the host.

use alambic_cache::{TemperedTail, TopKTargets};

/// Collects truncated distributions row by row.
#[derive(Debug)]
pub(crate) struct TopKSelector {
    k: usize,
    ranks: Vec<u64>,
    probs: Vec<f32>,
    targets: TopKTargets,
}

impl TopKSelector {
    /// A selector of the `k` most likely tokens, with the mass of the rest at these further
    /// temperatures.
    pub(crate) fn new(k: usize, further_temperatures: &[f32]) -> Self {
        let targets = TopKTargets {
            k,
            token_ids: Vec::new(),
            log_probs: Vec::new(),
            tail_mass: Vec::new(),
            entropy: Vec::new(),
            tempered: TemperedTail::empty(further_temperatures),
        };
        Self {
            k,
            ranks: Vec::new(),
            probs: Vec::new(),
            targets,
        }
    }

    /// Adds one row of log-probabilities over the whole vocabulary.
    ///
    /// Ties are broken by the lower id, so that the result does not depend on the machine.
    pub(crate) fn push(&mut self, log_probs: &[f32]) {
        self.ranks.clear();
        self.ranks
            .extend((0u32..).zip(log_probs).map(|(id, &l)| rank(l, id)));
        if self.k < log_probs.len() {
            self.ranks.select_nth_unstable(self.k);
        }
        let (kept, others) = self.ranks.split_at_mut(self.k);
        kept.sort_unstable();
        for &mut rank in kept {
            let id = id_of(rank);
            self.targets.token_ids.push(id);
            self.targets
                .log_probs
                .push(at_most(log_probs[id as usize], 0.0));
        }
        self.probs.clear();
        self.probs.extend(log_probs.iter().map(|l| l.exp()));
        let probs = &self.probs;
        let tail: f64 = others
            .iter()
            .map(|&rank| f64::from(probs[id_of(rank) as usize]))
            .sum();
        self.targets.tail_mass.push(at_most(tail as f32, 1.0));
        self.targets.entropy.push(entropy(log_probs, probs) as f32);
        for tempered in &mut self.targets.tempered {
            let others = others.iter().map(|&rank| log_probs[id_of(rank) as usize]);
            let (tail_mass, entropy) = at_temperature(tempered.temperature, log_probs, others);
            tempered.tail_mass.push(tail_mass as f32);
            tempered.entropy.push(entropy as f32);
        }
    }

    /// What was collected so far.
    pub(crate) fn targets(&self) -> &TopKTargets {
        &self.targets
    }

    /// Everything collected.
    pub(crate) fn finish(self) -> TopKTargets {
        self.targets
    }
}

/// A number that is smaller for a token that is more likely or, where two are equally likely, has
/// the lower id: the log-probability's place in the total order of floats, downwards, then the id.
fn rank(log_prob: f32, id: u32) -> u64 {
    let bits = log_prob.to_bits();
    let upwards = if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    };
    u64::from(!upwards) << 32 | u64::from(id)
}

fn id_of(rank: u64) -> u32 {
    rank as u32
}

/// The mass of some tokens, and the entropy of all, where a probability `p` becomes
/// `p^(1/T) ÷ Σ_v p_v^(1/T)`.
fn at_temperature(
    temperature: f32,
    log_probs: &[f32],
    others: impl Iterator<Item = f32>,
) -> (f64, f64) {
    let highest = log_probs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Relative to the most likely token, so that no sum is 0.
    let softened =
        |log_prob: f32| (f64::from(log_prob) - f64::from(highest)) / f64::from(temperature);
    let (mut partition, mut weighted) = (0.0, 0.0);
    for &log_prob in log_probs {
        let log_weight = softened(log_prob);
        let weight = log_weight.exp();
        partition += weight;
        if log_weight > f64::NEG_INFINITY {
            weighted += weight * log_weight;
        }
    }
    // From +0: the sum of no f64 is -0.
    let tail = others.fold(0.0, |tail, log_prob| tail + softened(log_prob).exp());
    (tail / partition, partition.ln() - weighted / partition)
}

/// `−Σ p ln p` in nats.
fn entropy(log_probs: &[f32], probs: &[f32]) -> f64 {
    let sum: f64 = log_probs
        .iter()
        .zip(probs)
        .filter(|(log_prob, _)| **log_prob > f32::NEG_INFINITY || log_prob.is_nan())
        .map(|(&log_prob, &prob)| -f64::from(prob) * f64::from(log_prob))
        .sum();
    // What is not a number stays so, and no cache takes it.
    if sum < 0.0 { 0.0 } else { sum }
}

/// A number that rounding may have carried beyond its bound; what is not a number stays so.
fn at_most(value: f32, bound: f32) -> f32 {
    if value > bound { bound } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_not_hidden() {
        for row in [
            [f32::NAN, -0.7, -0.7],
            [-0.7, f32::NAN, -0.7],
            [f32::NEG_INFINITY, f32::NAN, 0.0],
        ] {
            let mut selector = TopKSelector::new(1, &[2.0]);
            selector.push(&row);
            let targets = selector.finish();
            assert!(targets.entropy[0].is_nan(), "{row:?}");
            assert!(targets.tempered[0].entropy[0].is_nan(), "{row:?}");
        }
    }

    #[test]
    fn the_most_likely_tokens_come_first_and_ties_go_to_the_lower_id() {
        let probs = [0.1f32, 0.3, 0.3, 0.2, 0.1];
        let mut selector = TopKSelector::new(3, &[]);
        selector.push(&probs.map(f32::ln));
        let targets = selector.finish();
        assert_eq!(targets.token_ids, [1, 2, 3]);
        assert!((targets.tail_mass[0] - 0.2).abs() < 1e-6);
    }

    #[test]
    fn ranks_follow_the_total_order_of_floats() {
        let falling = [0.5, 0.0, -0.0, -1e-30, -1.0, -2.0, -1e30, f32::NEG_INFINITY];
        for pair in falling.windows(2) {
            assert!(rank(pair[0], 9) < rank(pair[1], 0), "{pair:?}");
        }
        assert!(rank(-1.0, 3) < rank(-1.0, 4));
        assert_eq!(id_of(rank(-1.0, u32::MAX)), u32::MAX);
    }

    #[test]
    fn with_k_equal_to_the_vocabulary_nothing_is_left() {
        let mut selector = TopKSelector::new(2, &[2.0]);
        selector.push(&[0.5f32.ln(), 0.5f32.ln()]);
        let targets = selector.finish();
        assert_eq!(targets.tail_mass, [0.0]);
        assert!((targets.entropy[0] - 2f32.ln()).abs() < 1e-6);
        assert_eq!(targets.tempered[0].tail_mass, [0.0]);
    }

    /// Probabilities 1/2, 1/4, 1/8, 1/8 become their squares or their square roots.
    #[test]
    fn tails_and_entropies_at_further_temperatures_are_those_of_the_whole_distribution() {
        let probs = [0.125f64, 0.5, 0.125, 0.25, 0.0];
        let mut selector = TopKSelector::new(2, &[2.0, 0.5]);
        selector.push(&probs.map(|p| p.ln() as f32));
        let targets = selector.finish();
        for (tempered, power) in targets.tempered.iter().zip([0.5, 2.0]) {
            let partition: f64 = probs.map(|p| p.powf(power)).iter().sum();
            let softened = probs.map(|p| p.powf(power) / partition);
            let tail = softened[0] + softened[2];
            assert!((f64::from(tempered.tail_mass[0]) - tail).abs() < 1e-7);
            let entropy: f64 = softened
                .iter()
                .filter(|p| **p > 0.0)
                .map(|p| -p * p.ln())
                .sum();
            assert!((f64::from(tempered.entropy[0]) - entropy).abs() < 1e-6);
        }
    }

    /// What underflows at temperature 1 has its mass at a high one.
    #[test]
    fn a_tail_that_is_no_number_at_1_is_one_at_a_high_temperature() {
        let mut selector = TopKSelector::new(1, &[1000.0]);
        selector.push(&[0.0, -1000.0, -1000.0]);
        let targets = selector.finish();
        assert_eq!(targets.tail_mass, [0.0]);
        let expected = 2.0 / (2.0 + 1f64.exp());
        assert!((f64::from(targets.tempered[0].tail_mass[0]) - expected).abs() < 1e-6);
    }

    #[test]
    fn a_row_that_is_no_distribution_has_no_entropy_at_any_temperature() {
        let mut selector = TopKSelector::new(1, &[2.0]);
        selector.push(&[0.5f32.ln(), f32::NAN]);
        assert!(selector.finish().tempered[0].tail_mass[0].is_nan());
    }
}
