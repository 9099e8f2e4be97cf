//! Choosing the next token from logits, on the host.

use std::cmp::Ordering;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{GenerationConfig, Sampling};

/// Chooses the tokens of one row, with its own stream of random numbers.
#[derive(Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    repetition_penalty: Option<f64>,
    random: ChaCha8Rng,
}

/// A token that may be drawn, and its weight; weights need not sum to one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    token: u32,
    weight: f64,
}

impl Sampler {
    pub(super) fn new(config: &GenerationConfig) -> Self {
        Self {
            sampling: config.sampling,
            repetition_penalty: config.repetition_penalty,
            random: ChaCha8Rng::seed_from_u64(config.seed),
        }
    }

    /// Chooses a token; `logits` are finite, and `history` holds the tokens so far.
    pub(super) fn choose(&mut self, logits: &mut [f32], history: &[u32]) -> u32 {
        if let Some(penalty) = self.repetition_penalty {
            penalise(logits, history, penalty);
        }
        match self.sampling {
            Sampling::Greedy => most_probable(logits),
            Sampling::Sample {
                temperature,
                top_k,
                top_p,
                min_p,
            } => {
                let filters = Filters {
                    top_k,
                    top_p,
                    min_p,
                };
                let candidates = candidates(logits, temperature, filters);
                draw(&candidates, self.random.random())
            }
        }
    }
}

/// Makes tokens that already occur less probable, each once however often it occurs.
fn penalise(logits: &mut [f32], history: &[u32], penalty: f64) {
    let mut tokens = history.to_vec();
    tokens.sort_unstable();
    tokens.dedup();
    for token in tokens {
        let logit = &mut logits[token as usize];
        *logit = if *logit < 0.0 {
            (f64::from(*logit) * penalty) as f32
        } else {
            (f64::from(*logit) / penalty) as f32
        };
    }
}

/// The token of the largest logit; of equals, the lowest id.
pub(super) fn most_probable(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

/// What keeps improbable tokens from being drawn.
#[derive(Clone, Copy, Default)]
struct Filters {
    top_k: Option<usize>,
    top_p: Option<f64>,
    min_p: Option<f64>,
}

/// The tokens that temperature and filters leave, with their weights.
///
/// In the order of their ids, or with top-k or top-p the most probable first.
fn candidates(logits: &[f32], temperature: f64, filters: Filters) -> Vec<Candidate> {
    let Filters {
        top_k,
        top_p,
        min_p,
    } = filters;
    let largest = f64::from(logits[most_probable(logits) as usize]);
    let mut candidates: Vec<Candidate> = (0..)
        .zip(logits)
        .map(|(token, &logit)| Candidate {
            token,
            weight: ((f64::from(logit) - largest) / temperature).exp(),
        })
        .collect();
    if let Some(top_k) = top_k.filter(|&k| k < logits.len()) {
        candidates.select_nth_unstable_by(top_k - 1, |a, b| by_logit(logits, a, b));
        candidates.truncate(top_k);
    }
    if top_k.is_some() || top_p.is_some() {
        candidates.sort_unstable_by(|a, b| by_logit(logits, a, b));
    }
    if let Some(top_p) = top_p {
        keep_nucleus(&mut candidates, top_p);
    }
    if let Some(min_p) = min_p {
        // The weight of the most probable token is 1.
        candidates.retain(|candidate| candidate.weight >= min_p);
    }
    candidates
}

/// `ln p` of a token under the distribution of these logits.
pub(super) fn log_prob(logits: &[f32], token: u32) -> f32 {
    let largest = logits[most_probable(logits) as usize];
    let distance = |logit: f32| f64::from(logit) - f64::from(largest);
    let sum: f64 = logits.iter().map(|&logit| distance(logit).exp()).sum();
    (distance(logits[token as usize]) - sum.ln()) as f32
}

/// Larger logits first; of equals, lower ids. (Weights may be equal where logits are not.)
fn by_logit(logits: &[f32], left: &Candidate, right: &Candidate) -> Ordering {
    let logit = |candidate: &Candidate| logits[candidate.token as usize];
    logit(right)
        .total_cmp(&logit(left))
        .then(left.token.cmp(&right.token))
}

/// Keeps the shortest prefix whose share of the weights reaches `top_p`.
fn keep_nucleus(sorted: &mut Vec<Candidate>, top_p: f64) {
    let total: f64 = sorted.iter().map(|candidate| candidate.weight).sum();
    let mut sum = 0.0;
    let reaching = sorted.iter().position(|candidate| {
        sum += candidate.weight;
        sum >= top_p * total
    });
    if let Some(last) = reaching {
        sorted.truncate(last + 1);
    }
}

/// The candidate at `share` of the weights, where `share` is in [0, 1).
fn draw(candidates: &[Candidate], share: f64) -> u32 {
    let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
    let mut rest = share * total;
    for candidate in candidates {
        rest -= candidate.weight;
        if rest < 0.0 {
            return candidate.token;
        }
    }
    // Rounding can leave a rest after the last weight; the most probable token always has one.
    most_weighty(candidates)
}

fn most_weighty(candidates: &[Candidate]) -> u32 {
    candidates
        .iter()
        .max_by(|a, b| a.weight.total_cmp(&b.weight).then(b.token.cmp(&a.token)))
        .map_or(0, |candidate| candidate.token)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Logits on a coarse grid, so that ties are common.
    fn logits() -> impl Strategy<Value = Vec<f32>> {
        prop::collection::vec((-40i8..40).prop_map(|step| f32::from(step) / 8.0), 1..60)
    }

    fn tokens(candidates: &[Candidate]) -> Vec<u32> {
        candidates.iter().map(|candidate| candidate.token).collect()
    }

    fn top_k(k: usize) -> Filters {
        Filters {
            top_k: Some(k),
            ..Filters::default()
        }
    }

    fn top_p(p: f64) -> Filters {
        Filters {
            top_p: Some(p),
            ..Filters::default()
        }
    }

    /// All tokens, most probable first, of equals the lowest id first.
    fn ranked(logits: &[f32]) -> Vec<u32> {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        order
    }

    proptest! {
        #[test]
        fn top_k_keeps_the_k_most_probable_tokens(logits in logits(), k in 1usize..70) {
            let kept = tokens(&candidates(&logits, 0.7, top_k(k)));
            prop_assert_eq!(kept, &ranked(&logits)[..k.min(logits.len())]);
        }

        #[test]
        fn top_p_keeps_the_shortest_sufficient_prefix(logits in logits(), p in 0.01f64..1.0) {
            let all = candidates(&logits, 1.0, Filters::default());
            let total: f64 = all.iter().map(|candidate| candidate.weight).sum();
            let kept = candidates(&logits, 1.0, top_p(p));
            let order = ranked(&logits);
            prop_assert_eq!(tokens(&kept), &order[..kept.len()]);
            let share = |count: usize| -> f64 {
                let weights = order[..count].iter().map(|&token| all[token as usize].weight);
                weights.sum::<f64>() / total
            };
            const ROUNDING: f64 = 1e-12;
            prop_assert!(share(kept.len()) >= p - ROUNDING);
            prop_assert!(share(kept.len() - 1) < p + ROUNDING);
        }

        #[test]
        fn top_p_applies_to_what_top_k_left(logits in logits(), k in 1usize..9) {
            let both = tokens(&candidates(&logits, 1.0, Filters { top_p: Some(1.0), ..top_k(k) }));
            prop_assert_eq!(both, tokens(&candidates(&logits, 1.0, top_k(k))));
        }

        #[test]
        fn min_p_keeps_the_tokens_of_that_share_of_the_most_probable(logits in logits(), p in 0.001f64..1.0) {
            let all = candidates(&logits, 0.8, Filters::default());
            let filters = Filters { min_p: Some(p), ..Filters::default() };
            let kept = candidates(&logits, 0.8, filters);
            let probable = all.iter().filter(|candidate| candidate.weight >= p).copied();
            prop_assert_eq!(kept, probable.collect::<Vec<_>>());
        }

        #[test]
        fn probabilities_of_all_tokens_add_up_to_one(logits in logits()) {
            let tokens = 0..logits.len() as u32;
            let total: f64 = tokens.map(|token| f64::from(log_prob(&logits, token)).exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-5);
        }

        #[test]
        fn every_draw_is_one_of_the_candidates(logits in logits(), k in 1usize..9, share in 0.0f64..1.0) {
            let candidates = candidates(&logits, 0.3, Filters { top_p: Some(0.9), min_p: Some(0.01), ..top_k(k) });
            prop_assert!(tokens(&candidates).contains(&draw(&candidates, share)));
        }

        #[test]
        fn top_k_of_one_is_greedy(logits in logits(), share in 0.0f64..1.0) {
            let candidates = candidates(&logits, 2.0, top_k(1));
            prop_assert_eq!(draw(&candidates, share), most_probable(&logits));
        }
    }

    #[test]
    fn greedy_takes_the_lowest_id_of_equals() {
        assert_eq!(most_probable(&[0.0, 2.0, 1.0, 2.0]), 1);
    }

    #[test]
    fn a_penalty_divides_positive_and_multiplies_negative_logits_once() {
        let mut logits = [3.0, -3.0, 3.0];
        penalise(&mut logits, &[0, 1, 0], 1.5);
        assert_eq!(logits, [2.0, -4.5, 3.0]);
    }

    #[test]
    fn a_draw_follows_the_weights() {
        let candidates = [(5, 1.0), (7, 3.0)].map(|(token, weight)| Candidate { token, weight });
        assert_eq!(draw(&candidates, 0.0), 5);
        assert_eq!(draw(&candidates, 0.2499), 5);
        assert_eq!(draw(&candidates, 0.25), 7);
        assert_eq!(draw(&candidates, 0.9999), 7);
    }

    #[test]
    fn temperature_divides_the_logits() {
        let cold = candidates(&[0.0, 1.0], 0.5, Filters::default());
        assert!((cold[0].weight - (-2.0f64).exp()).abs() < 1e-12);
    }
}
