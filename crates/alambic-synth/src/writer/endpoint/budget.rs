//! Never taking more than was allowed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::config::Budget;
use crate::answer::Usage;

/// What was taken, and what requests that are under way may still take.
#[derive(Debug)]
pub(super) struct Purse {
    budget: Budget,
    taken: Mutex<Usage>,
}

impl Purse {
    /// A budget of which something was taken before.
    pub(super) fn new(budget: Budget, taken: Usage) -> Self {
        Self {
            budget,
            taken: Mutex::new(taken),
        }
    }

    /// Sets an upper bound aside; false if the budget does not allow it.
    pub(super) fn reserve(&self, bound: Usage) -> bool {
        let mut taken = self.taken();
        let mut all = *taken;
        all += bound;
        let tokens_fit = self
            .budget
            .tokens
            .is_none_or(|tokens| all.tokens() <= tokens);
        let fits = tokens_fit && self.budget.cost.is_none_or(|cost| self.cost(all) <= cost);
        if fits {
            *taken = all;
        }
        fits
    }

    /// Puts what was taken in the place of its bound.
    pub(super) fn settle(&self, bound: Usage, used: Usage) {
        let mut taken = self.taken();
        taken.prompt_tokens = taken.prompt_tokens - bound.prompt_tokens + used.prompt_tokens;
        taken.answer_tokens = taken.answer_tokens - bound.answer_tokens + used.answer_tokens;
    }

    fn cost(&self, usage: Usage) -> f64 {
        let Some(prices) = self.budget.prices else {
            return 0.0;
        };
        (usage.prompt_tokens as f64 * prices.million_prompt_tokens
            + usage.answer_tokens as f64 * prices.million_answer_tokens)
            / 1e6
    }

    fn taken(&self) -> MutexGuard<'_, Usage> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Prices;
    use super::*;

    fn usage(prompt_tokens: u64, answer_tokens: u64) -> Usage {
        Usage {
            prompt_tokens,
            answer_tokens,
            bounded_tokens: 0,
        }
    }

    #[test]
    fn bounds_of_requests_under_way_count_until_they_are_settled() {
        let budget = Budget {
            tokens: Some(100),
            ..Budget::default()
        };
        let purse = Purse::new(budget, usage(10, 10));
        assert!(purse.reserve(usage(20, 30)));
        assert!(!purse.reserve(usage(20, 30)));
        purse.settle(usage(20, 30), usage(12, 8));
        assert!(purse.reserve(usage(20, 40)));
        assert!(!purse.reserve(usage(1, 0)));
    }

    #[test]
    fn tokens_of_prompts_and_answers_have_their_own_prices() {
        let budget = Budget {
            tokens: None,
            cost: Some(1.0),
            prices: Some(Prices {
                million_prompt_tokens: 1.0,
                million_answer_tokens: 4.0,
            }),
        };
        let purse = Purse::new(budget, Usage::default());
        assert!(purse.reserve(usage(200_000, 200_000)));
        assert!(!purse.reserve(usage(1, 0)));
    }
}
