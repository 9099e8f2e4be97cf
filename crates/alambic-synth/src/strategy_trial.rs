//! Which strategy suits a kind of tasks, by trying.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::SynthError;
use crate::checked_answer::CheckedAnswer;
use crate::plan::request;
use crate::prompt::Prompt;
use crate::request::{AnswerRequest, Sampling};
use crate::strategy::Strategy;
use crate::strategy_map::StrategyMap;

/// How often a strategy's answers passed all checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyScore {
    /// The strategy's name.
    pub strategy: String,
    /// Answers that passed.
    pub passed: usize,
    /// Answers that were asked for.
    pub answers: usize,
}

/// What the strategies are worth for each kind of tasks: all of them are tried on a few prompts, and the one whose answers are right most
/// often is taken for the rest (Mitra et al. 2023, Orca 2, arXiv:2311.11045, section 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyTrial {
    /// By kind, in the order in which the strategies were given.
    pub kinds: BTreeMap<String, Vec<StrategyScore>>,
}

impl StrategyTrial {
    /// The prompts that strategies are tried on: of each kind the first so many whose right answer is known.
    ///
    /// # Errors
    /// [`SynthError::Strategy`] for a kind that has fewer.
    pub fn prompts(prompts: &[Prompt], per_kind: usize) -> Result<Vec<Prompt>, SynthError> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut chosen = Vec::new();
        for prompt in prompts {
            let count = counts.entry(&prompt.kind).or_default();
            if *count < per_kind && prompt.accepted.is_some() {
                *count += 1;
                chosen.push(prompt.clone());
            }
        }
        match counts.iter().find(|(_, count)| **count < per_kind) {
            Some((kind, count)) => Err(SynthError::Strategy {
                origin: format!("kind `{kind}`"),
                problem: format!(
                    "{count} prompts with a known answer, expected {per_kind} to try strategies on"
                ),
            }),
            None => Ok(chosen),
        }
    }

    /// The requests of a trial: one answer to each of the prompts under each strategy.
    #[must_use]
    pub fn requests(
        prompts: &[Prompt],
        strategies: &[Strategy],
        sampling: &Sampling,
    ) -> Vec<AnswerRequest> {
        let tried = prompts.iter().flat_map(|prompt| {
            let strategies = strategies.iter();
            strategies.map(move |strategy| request(prompt, Some(strategy), 0, sampling))
        });
        tried.collect()
    }

    /// Counts the answers that passed.
    #[must_use]
    pub fn new(prompts: &[Prompt], strategies: &[Strategy], checked: &[CheckedAnswer]) -> Self {
        let mut kinds: BTreeMap<String, Vec<StrategyScore>> = BTreeMap::new();
        for answer in checked {
            let name = answer.record.delivery.request.strategy.as_deref();
            let Some(place) = strategies
                .iter()
                .position(|it| Some(it.name.as_str()) == name)
            else {
                continue;
            };
            let kind = prompts[answer.prompt].kind.clone();
            let scores = kinds.entry(kind).or_insert_with(|| {
                let score = |strategy: &Strategy| StrategyScore {
                    strategy: strategy.name.clone(),
                    passed: 0,
                    answers: 0,
                };
                strategies.iter().map(score).collect()
            });
            scores[place].answers += 1;
            scores[place].passed += usize::from(answer.passes());
        }
        Self { kinds }
    }

    /// The strategy that was right most often for each kind; of equals, the one that was given first.
    #[must_use]
    pub fn map(&self) -> StrategyMap {
        let best = self.kinds.iter().filter_map(|(kind, scores)| {
            // Of equals `max_by_key` takes the last.
            let best = scores.iter().rev().max_by_key(|score| score.passed)?;
            Some((kind.clone(), best.strategy.clone()))
        });
        StrategyMap {
            kinds: best.collect(),
            ..StrategyMap::default()
        }
    }

    /// A table of kinds and strategies; the best of each kind is bold.
    #[must_use]
    pub fn markdown(&self) -> String {
        let map = self.map();
        let mut text = "| kind |".to_owned();
        let first = self.kinds.values().next();
        let names = first.into_iter().flatten().map(|score| &score.strategy);
        for name in names.clone() {
            let _ = write!(text, " {name} |");
        }
        text += "\n|---|";
        text += &"---:|".repeat(names.count());
        text.push('\n');
        for (kind, scores) in &self.kinds {
            let _ = write!(text, "| {kind} |");
            for score in scores {
                let share = format!("{} of {}", score.passed, score.answers);
                let _ = match map.kinds.get(kind) == Some(&score.strategy) {
                    true => write!(text, " **{share}** |"),
                    false => write!(text, " {share} |"),
                };
            }
            text.push('\n');
        }
        text
    }
}
