//! Never taking more than was allowed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::answer::Usage;
use crate::writer::endpoint_config::Budget;

/// What was taken, and what requests that are under way may still take.
#[derive(Debug)]
pub(super) struct Purse {
    budget: Budget,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug)]
struct State {
    /// With the bounds of all requests that are under way.
    taken: Usage,
    under_way: usize,
}

impl Purse {
    /// A budget of which something was taken before.
    pub(super) fn new(budget: Budget, taken: Usage) -> Self {
        Self {
            budget,
            state: Mutex::new(State {
                taken,
                under_way: 0,
            }),
            settled: Notify::new(),
        }
    }

    /// Sets an upper bound aside, if need be once requests that are under way have taken less than theirs; false if the budget
    /// does not allow it.
    pub(super) async fn reserve(&self, bound: Usage) -> bool {
        loop {
            // Before looking, so that nothing is settled between looking and waiting.
            let settled = self.settled.notified();
            match self.try_reserve(bound) {
                Some(reserved) => return reserved,
                None => settled.await,
            }
        }
    }

    /// None if it may become possible.
    fn try_reserve(&self, bound: Usage) -> Option<bool> {
        let mut state = self.state();
        let mut all = state.taken;
        all += bound;
        let tokens_fit = self
            .budget
            .tokens
            .is_none_or(|tokens| all.tokens() <= tokens);
        if tokens_fit && self.budget.cost.is_none_or(|cost| self.cost(all) <= cost) {
            state.taken = all;
            state.under_way += 1;
            return Some(true);
        }
        (state.under_way == 0).then_some(false)
    }

    /// Puts what was taken in the place of its bound.
    pub(super) fn settle(&self, bound: Usage, used: Usage) {
        let mut state = self.state();
        let taken = &mut state.taken;
        taken.prompt_tokens = taken.prompt_tokens - bound.prompt_tokens + used.prompt_tokens;
        taken.answer_tokens = taken.answer_tokens - bound.answer_tokens + used.answer_tokens;
        state.under_way -= 1;
        drop(state);
        self.settled.notify_waiters();
    }

    fn cost(&self, usage: Usage) -> f64 {
        let Some(prices) = self.budget.prices else {
            return 0.0;
        };
        (usage.prompt_tokens as f64 * prices.million_prompt_tokens
            + usage.answer_tokens as f64 * prices.million_answer_tokens)
            / 1e6
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::Prices;

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
        assert_eq!(purse.try_reserve(usage(20, 30)), Some(true));
        // It may fit once the first has taken less.
        assert_eq!(purse.try_reserve(usage(20, 40)), None);
        purse.settle(usage(20, 30), usage(12, 8));
        assert_eq!(purse.try_reserve(usage(20, 40)), Some(true));
        purse.settle(usage(20, 40), usage(20, 40));
        assert_eq!(purse.try_reserve(usage(1, 0)), Some(false));
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
        assert_eq!(purse.try_reserve(usage(200_000, 200_000)), Some(true));
        assert_eq!(purse.try_reserve(usage(1, 0)), None);
    }
}
