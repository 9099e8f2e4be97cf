//! Learning-rate schedules: pure functions of the step.

use burn::optim::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use serde::{Deserialize, Serialize};

use crate::DistillError;

/// The learning rate over a run.
///
/// With the 0-based step `s`, warm-up is `peak · (s + 1) / warmup_steps` for `s < warmup_steps`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Linear warm-up, then half a cosine down to `min_ratio · peak`:
    /// `peak · (min + (1 − min) · ½ · (1 + cos(π (s − warmup) / (total − warmup))))`.
    Cosine {
        /// Highest learning rate.
        peak: f64,
        /// Steps of warm-up.
        warmup_steps: u64,
        /// Where the cosine ends, as a share of the peak.
        min_ratio: f64,
    },
    /// Warm-up, stable, decay (Hu et al. 2024, arXiv:2404.06395): linear warm-up, the peak, and a
    /// linear decay to `min_ratio · peak` over the last `decay_steps`.
    Wsd {
        /// Highest learning rate.
        peak: f64,
        /// Steps of warm-up.
        warmup_steps: u64,
        /// Steps of decay at the end.
        decay_steps: u64,
        /// Where the decay ends, as a share of the peak.
        min_ratio: f64,
    },
}

impl Schedule {
    /// The learning rate of the 0-based `step` in a run of `total_steps`.
    pub fn learning_rate(&self, step: u64, total_steps: u64) -> f64 {
        let (peak, warmup_steps) = (self.peak(), self.warmup_steps());
        if step < warmup_steps {
            return peak * (step + 1) as f64 / warmup_steps as f64;
        }
        match *self {
            Self::Cosine { min_ratio, .. } => {
                let span = (total_steps - warmup_steps).max(1) as f64;
                let progress = (step - warmup_steps) as f64 / span;
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
                peak * (min_ratio + (1.0 - min_ratio) * cosine)
            }
            Self::Wsd {
                decay_steps,
                min_ratio,
                ..
            } => {
                let decay_start = total_steps - decay_steps;
                if step < decay_start {
                    return peak;
                }
                let progress = (step - decay_start + 1) as f64 / decay_steps as f64;
                peak * (1.0 - (1.0 - min_ratio) * progress)
            }
        }
    }

    fn peak(&self) -> f64 {
        match *self {
            Self::Cosine { peak, .. } | Self::Wsd { peak, .. } => peak,
        }
    }

    fn warmup_steps(&self) -> u64 {
        match *self {
            Self::Cosine { warmup_steps, .. } | Self::Wsd { warmup_steps, .. } => warmup_steps,
        }
    }

    /// Checks the schedule against the length of the run.
    pub(crate) fn validate(&self, total_steps: u64) -> Result<(), DistillError> {
        let setting = |key, found: String, expected| {
            Err(DistillError::Setting {
                key,
                found,
                expected,
            })
        };
        let (min_ratio, decay_steps) = match *self {
            Self::Cosine { min_ratio, .. } => (min_ratio, 0),
            Self::Wsd {
                min_ratio,
                decay_steps,
                ..
            } => (min_ratio, decay_steps),
        };
        let peak = self.peak();
        if !peak.is_finite() || peak <= 0.0 {
            return setting("learning_rate", peak.to_string(), "a positive number");
        }
        if !(0.0..=1.0).contains(&min_ratio) {
            return setting("min_learning_rate_ratio", min_ratio.to_string(), "0 to 1");
        }
        if self.warmup_steps() + decay_steps > total_steps {
            let found = format!("{} + {decay_steps}", self.warmup_steps());
            return setting("warmup_steps + decay_steps", found, "at most total_steps");
        }
        Ok(())
    }
}

/// A [`Schedule`] as burn's scheduler: it counts steps from where the run resumes.
#[derive(Clone, Debug)]
pub(crate) struct ScheduledRate {
    pub(crate) schedule: Schedule,
    pub(crate) total_steps: u64,
    pub(crate) next_step: u64,
}

/// The one number of a [`ScheduledRate`] that changes.
const NEXT_STEP_KEY: &str = "next_step";

impl LrScheduler for ScheduledRate {
    fn step(&mut self) -> f64 {
        let rate = self
            .schedule
            .learning_rate(self.next_step, self.total_steps);
        self.next_step += 1;
        rate
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar(NEXT_STEP_KEY, self.next_step)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(next_step) = record.scalar(NEXT_STEP_KEY) {
            self.next_step = next_step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_warms_up_linearly_and_ends_near_its_minimum() {
        let schedule = Schedule::Cosine {
            peak: 3e-3,
            warmup_steps: 4,
            min_ratio: 0.1,
        };
        assert!((schedule.learning_rate(0, 20) - 7.5e-4).abs() < 1e-12);
        assert!((schedule.learning_rate(3, 20) - 3e-3).abs() < 1e-12);
        assert!((schedule.learning_rate(4, 20) - 3e-3).abs() < 1e-12);
        assert!((schedule.learning_rate(12, 20) - 1.65e-3).abs() < 1e-12);
    }

    #[test]
    fn wsd_is_flat_between_warmup_and_decay_and_ends_at_its_minimum() {
        let schedule = Schedule::Wsd {
            peak: 1.0,
            warmup_steps: 2,
            decay_steps: 4,
            min_ratio: 0.2,
        };
        assert_eq!(schedule.learning_rate(0, 10), 0.5);
        assert_eq!(schedule.learning_rate(2, 10), 1.0);
        assert_eq!(schedule.learning_rate(5, 10), 1.0);
        assert!((schedule.learning_rate(6, 10) - 0.8).abs() < 1e-12);
        assert!((schedule.learning_rate(9, 10) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn a_schedule_longer_than_the_run_is_refused() {
        let schedule = Schedule::Wsd {
            peak: 1.0,
            warmup_steps: 8,
            decay_steps: 4,
            min_ratio: 0.2,
        };
        assert!(schedule.validate(10).is_err());
    }
}
