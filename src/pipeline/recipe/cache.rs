//! `[cache]`: what is kept of the teacher's answers.

use std::path::PathBuf;

use alambic_cache::{MAX_DRAWS, StateType, TargetKind, ValueType};
use alambic_distill::loss::ObjectiveTerm;
use alambic_distill::teacher::Teacher;
use alambic_distill::{DistillError, hidden_targets};
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The `[cache]` section: `top_k` with `values`, or `draws` with `draw_seed`, or `hidden_states`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSection {
    /// Most likely tokens kept per label; the mass of all others is kept as one number.
    pub top_k: Option<usize>,
    /// How the log-probabilities of the most likely tokens are stored.
    pub values: Option<ValueType>,
    /// Tokens drawn per label from the teacher's distribution.
    pub draws: Option<u16>,
    /// Where the random numbers of the draws start.
    pub draw_seed: Option<u64>,
    /// How the teacher's last hidden states are stored, with its head once beside them: the whole
    /// distribution at any temperature.
    pub hidden_states: Option<StateType>,
    /// Segments per shard file: the unit of resuming and of shuffling.
    pub segments_per_shard: usize,
    /// Shares one cache between runs; inside the run directory when absent.
    pub path: Option<PathBuf>,
}

impl CacheSection {
    /// What is kept of the answers of `teacher`, whose head belongs to hidden states.
    ///
    /// # Errors
    /// [`DistillError::TeacherCannot`] for hidden states that it does not give.
    ///
    /// # Panics
    /// If the section is not valid.
    pub fn targets_of(&self, teacher: &dyn Teacher) -> Result<TargetKind, DistillError> {
        match self.hidden_states {
            Some(values) => hidden_targets(teacher, values),
            None => Ok(self.targets()),
        }
    }

    /// What is kept of a teacher's distributions.
    ///
    /// # Panics
    /// If the section is not valid, or names hidden states: see [`Self::targets_of`].
    pub(crate) fn targets(&self) -> TargetKind {
        match (self.top_k, self.values, self.draws, self.draw_seed) {
            (Some(k), Some(values), None, None) => TargetKind::TopK { k, values },
            (None, None, Some(draws), Some(seed)) => TargetKind::Sampled { draws, seed },
            other => panic!("a recipe is checked before it is used, found {other:?}"),
        }
    }

    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        if let Some(top_k) = self.top_k {
            checker.at_least(1, "cache.top_k", top_k);
        }
        if let Some(draws) = self.draws {
            checker.require(
                (1..=MAX_DRAWS).contains(&draws),
                Problem::new("cache.draws", format!("1 to {MAX_DRAWS}"), draws),
            );
        }
        self.check_kind(checker);
        checker.at_least(1, "cache.segments_per_shard", self.segments_per_shard);
        if let Some(path) = &self.path {
            checker.path("cache.path", path);
        }
    }

    /// The most likely tokens, drawn ones or hidden states, with all that belongs to them.
    fn check_kind(&self, checker: &mut Checker) {
        let keys = [
            "cache.top_k",
            "cache.values",
            "cache.draws",
            "cache.draw_seed",
            "cache.hidden_states",
        ];
        let given = [
            self.top_k.is_some(),
            self.values.is_some(),
            self.draws.is_some(),
            self.draw_seed.is_some(),
            self.hidden_states.is_some(),
        ];
        let whole = [
            [true, true, false, false, false],
            [false, false, true, true, false],
            [false, false, false, false, true],
        ];
        if whole.contains(&given) {
            return;
        }
        let found: Vec<&str> = keys
            .into_iter()
            .zip(given)
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
        let problem = Problem::new(
            "cache",
            "cache.top_k and cache.values, or cache.draws and cache.draw_seed, or cache.hidden_states",
            match found.is_empty() {
                true => "none of them".into(),
                false => found.join(", "),
            },
        )
        .advise(
            "keep the most likely tokens (top_k), draw tokens at random (draws), or keep the teacher's last \
             hidden states (hidden_states); an override such as cache.top_k=unset leaves a key out",
        );
        checker.require_all(&keys, false, problem);
    }

    /// Reports losses that drawn tokens cannot estimate.
    pub(super) fn check_against(&self, terms: &[ObjectiveTerm], checker: &mut Checker) {
        if self.draws.is_none() {
            return;
        }
        for (index, term) in terms.iter().enumerate() {
            let Err(error) = term.kind.check_linear() else {
                continue;
            };
            let key = format!("objective.terms.{index}.kind");
            let problem = Problem::new(
                &key,
                "forward_kl or cross_entropy, because cache.draws is given",
                format!("{:?}", term.kind.name()),
            )
            .advise(error.to_string());
            checker.require_all(&["cache.draws"], false, problem);
        }
    }
}
