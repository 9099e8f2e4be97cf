//! Selecting a teacher's most likely tokens on the host.

use alambic_cache::TopKTargets;

/// Collects truncated distributions row by row.
#[derive(Debug)]
pub(crate) struct TopKSelector {
    k: usize,
    order: Vec<u32>,
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
            order: Vec::new(),
            targets,
        }
    }

    /// Adds one row of log-probabilities over the whole vocabulary.
    ///
    /// Ties are broken by the lower id, so that the result does not depend on the machine.
    pub(crate) fn push(&mut self, log_probs: &[f32]) {
        let by_probability = |a: &u32, b: &u32| {
            log_probs[*b as usize]
                .total_cmp(&log_probs[*a as usize])
                .then(a.cmp(b))
        };
        self.order.clear();
        self.order.extend(0..log_probs.len() as u32);
        if self.k < log_probs.len() {
            self.order.select_nth_unstable_by(self.k, by_probability);
        }
        self.order[..self.k].sort_unstable_by(by_probability);
        for &id in &self.order[..self.k] {
            self.targets.token_ids.push(id);
            self.targets.log_probs.push(log_probs[id as usize].min(0.0));
        }
        let tail: f64 = self.order[self.k..]
            .iter()
            .map(|&id| f64::from(log_probs[id as usize]).exp())
            .sum();
        self.targets.tail_mass.push(tail.min(1.0) as f32);
        self.targets.entropy.push(entropy(log_probs) as f32);
    }

    /// Everything collected.
    pub(crate) fn finish(self) -> TopKTargets {
        self.targets
    }
}

/// `−Σ p ln p` in nats.
fn entropy(log_probs: &[f32]) -> f64 {
    let sum: f64 = log_probs
        .iter()
        .map(|&log_prob| f64::from(log_prob))
        .filter(|log_prob| log_prob.is_finite())
        .map(|log_prob| -log_prob.exp() * log_prob)
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
    fn with_k_equal_to_the_vocabulary_nothing_is_left() {
        let mut selector = TopKSelector::new(2);
        selector.push(&[0.5f32.ln(), 0.5f32.ln()]);
        let targets = selector.finish();
        assert_eq!(targets.tail_mass, [0.0]);
        assert!((targets.entropy[0] - 2f32.ln()).abs() < 1e-6);
    }
}
