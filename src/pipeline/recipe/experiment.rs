//! `[experiment]`: seeds and learning rates of a repeated comparison.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::data::DataSection;
use super::problem::Problem;
use super::{Recipe, ScheduleKind};

/// The optional `[experiment]` section, read by `alambic experiment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentSection {
    /// Seeds of the repeated runs, each once.
    pub seeds: Vec<u64>,
    /// Peak learning rates searched per arm, each once.
    pub learning_rates: Vec<f64>,
    /// Steps of a search run; `training.total_steps` when absent.
    pub search_steps: Option<usize>,
    /// Whether the baseline is also trained for the distilled arm's wall-clock, capture included.
    pub equal_time: bool,
}

impl ExperimentSection {
    /// Reports what is wrong inside this section and between it and the rest of the recipe.
    pub(super) fn check(&self, recipe: &Recipe, checker: &mut Checker) {
        each_once("experiment.seeds", &self.seeds, checker);
        each_once("experiment.learning_rates", &self.learning_rates, checker);
        for (index, rate) in self.learning_rates.iter().enumerate() {
            checker.positive(&format!("experiment.learning_rates.{index}"), *rate);
        }
        if let Some(reason) = recipe.data.why_validation_is_empty() {
            let count = self.learning_rates.len();
            checker.require_all(
                &DataSection::VALIDATION_KEYS,
                count < 2,
                Problem::new(
                    "experiment.learning_rates",
                    format!("one rate, because {reason}"),
                    format!("{count} rates"),
                )
                .advise("the search compares rates on the validation split: hold something out"),
            );
        }
        checker.require_all(
            &["baseline.enabled"],
            !self.equal_time || recipe.baseline.enabled,
            Problem::new(
                "experiment.equal_time",
                "false, because baseline.enabled is false",
                true,
            )
            .advise("the comparison at equal time is one with the baseline"),
        );
        self.check_search_steps(recipe, checker);
    }

    fn check_search_steps(&self, recipe: &Recipe, checker: &mut Checker) {
        let Some(steps) = self.search_steps else {
            return;
        };
        checker.at_least(1, "experiment.search_steps", steps);
        let total_steps = recipe.training.total_steps;
        checker.require_all(
            &["training.total_steps"],
            steps <= total_steps,
            Problem::new(
                "experiment.search_steps",
                format!("at most training.total_steps ({total_steps})"),
                steps,
            ),
        );
        let schedule = &recipe.schedule;
        let decay_steps = match schedule.kind {
            ScheduleKind::Cosine => 1,
            ScheduleKind::Wsd => schedule.decay_steps.unwrap_or(1).max(1),
        };
        let needed = schedule.warmup_steps.saturating_add(decay_steps);
        checker.require_all(
            &[
                "schedule.warmup_steps",
                "schedule.decay_steps",
                "schedule.kind",
                "training.total_steps",
            ],
            needed > total_steps || steps >= needed,
            Problem::new(
                "experiment.search_steps",
                format!(
                    "at least {needed}, what schedule.warmup_steps and the decay after it need"
                ),
                steps,
            )
            .advise("a search run follows the whole schedule, only shorter"),
        );
    }
}

/// Reports an empty list and values that stand in it twice.
fn each_once<T: PartialEq + std::fmt::Debug>(key: &str, values: &[T], checker: &mut Checker) {
    checker.require(
        !values.is_empty(),
        Problem::new(key, "at least one value", "an empty array"),
    );
    for (index, value) in values.iter().enumerate() {
        if values[..index].contains(value) {
            checker.report(
                Problem::new(
                    format!("{key}.{index}"),
                    "each value once",
                    format!("{value:?} again"),
                )
                .advise("the same run twice says nothing new"),
            );
        }
    }
}
