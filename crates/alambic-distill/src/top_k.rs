//! Selecting a teacher's most likely tokens on the host.

use alambic_cache::TopKTargets;

/// Collects truncated distributions row by row.
#[derive(Debug)]
pub(crate) struct TopKSelector {
    k: usize,
    ranks: Vec<u64>,
    probs: Vec<f32>,
    targets: TopKTargets,
}

impl TopKSelector {
    /// A selector of the `k` most likely tokens.
    pub(crate) fn new(k: usize) -> Self {
        let targets = TopKTargets {
            k,
            token_ids: Vec::new(),
            log_probs: Vec::new(),
            tail_mass: Vec::new(),
            entropy: Vec::new(),
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
            self.targets.log_probs.push(log_probs[id as usize].min(0.0));
        }
        self.probs.clear();
        self.probs.extend(log_probs.iter().map(|l| l.exp()));
        let probs = &self.probs;
        let tail: f64 = others
            .iter()
            .map(|&rank| f64::from(probs[id_of(rank) as usize]))
            .sum();
        self.targets.tail_mass.push(tail.min(1.0) as f32);
        self.targets.entropy.push(entropy(log_probs, probs) as f32);
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

/// `−Σ p ln p` in nats.
fn entropy(log_probs: &[f32], probs: &[f32]) -> f64 {
    let sum: f64 = log_probs
        .iter()
        .zip(probs)
        .filter(|(log_prob, _)| log_prob.is_finite())
        .map(|(&log_prob, &prob)| -f64::from(prob) * f64::from(log_prob))
        .sum();
    sum.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_likely_tokens_come_first_and_ties_go_to_the_lower_id() {
        let probs = [0.1f32, 0.3, 0.3, 0.2, 0.1];
        let mut selector = TopKSelector::new(3);
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
        let mut selector = TopKSelector::new(2);
        selector.push(&[0.5f32.ln(), 0.5f32.ln()]);
        let targets = selector.finish();
        assert_eq!(targets.tail_mass, [0.0]);
        assert!((targets.entropy[0] - 2f32.ln()).abs() < 1e-6);
    }
}
