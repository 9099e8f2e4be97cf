//! `[schedule]`: the learning rate over the steps.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The `[schedule]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSection {
    /// The form of the curve after the warm-up.
    pub kind: ScheduleKind,
    /// Steps over which the rate rises linearly to its peak.
    pub warmup_steps: usize,
    /// The last rate as a share of the peak, in `[0, 1]`.
    pub min_learning_rate_ratio: f64,
    /// Steps of the final decay: required for `wsd`, forbidden for `cosine`.
    pub decay_steps: Option<usize>,
}

/// The learning-rate curves a recipe can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Half a cosine from the peak to the last rate.
    Cosine,
    /// Warm-up, stable, decay: the peak is held until the last `decay_steps`.
    Wsd,
}

impl ScheduleSection {
    /// Reports what is wrong inside this section and between it and the number of steps.
    pub(super) fn check(&self, total_steps: usize, checker: &mut Checker) {
        let ratio = self.min_learning_rate_ratio;
        checker.require(
            (0.0..=1.0).contains(&ratio),
            Problem::new(
                "schedule.min_learning_rate_ratio",
                "a number from 0 to 1",
                format!("{ratio:?}"),
            ),
        );
        checker.require_all(
            &["training.total_steps"],
            self.warmup_steps < total_steps,
            Problem::new(
                "schedule.warmup_steps",
                format!("fewer steps than training.total_steps ({total_steps})"),
                self.warmup_steps,
            ),
        );
        self.check_decay(total_steps, checker);
    }

    fn check_decay(&self, total_steps: usize, checker: &mut Checker) {
        match (self.kind, self.decay_steps) {
            (ScheduleKind::Wsd, None) => checker.require_all(
                &["schedule.kind"],
                false,
                Problem::new(
                    "schedule.decay_steps",
                    "the number of decaying steps, because schedule.kind is \"wsd\"",
                    "nothing",
                )
                .advise("a tenth to a fifth of training.total_steps is usual"),
            ),
            (ScheduleKind::Cosine, Some(steps)) => checker.require_all(
                &["schedule.kind"],
                false,
                Problem::new(
                    "schedule.decay_steps",
                    "nothing, because schedule.kind is \"cosine\"",
                    steps,
                )
                .advise("a cosine decays from the warm-up to the end: remove the key"),
            ),
            (ScheduleKind::Cosine, None) => {}
            (ScheduleKind::Wsd, Some(steps)) => {
                checker.at_least(1, "schedule.decay_steps", steps);
                let left = total_steps.saturating_sub(self.warmup_steps);
                checker.require_all(
                    &["training.total_steps", "schedule.warmup_steps"],
                    left == 0 || steps <= left,
                    Problem::new(
                        "schedule.decay_steps",
                        format!("at most {left}, training.total_steps less schedule.warmup_steps"),
                        steps,
                    ),
                );
            }
        }
    }
}
