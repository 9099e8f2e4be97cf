//! A trainer's metrics as a line of progress.

use std::sync::Arc;

use alambic_distill::DistillError;
use alambic_distill::trainer::{MetricSink, Metrics};

use super::Progress;

/// Shows every step, with the latest validation beside it.
pub(crate) struct TrainingProgress {
    progress: Arc<dyn Progress>,
    validation: String,
}

impl TrainingProgress {
    /// Begins a line of `total_steps`.
    pub(crate) fn new(progress: Arc<dyn Progress>, total_steps: u64) -> Self {
        progress.begin("steps", Some(total_steps));
        Self {
            progress,
            validation: String::new(),
        }
    }
}

impl MetricSink for TrainingProgress {
    fn record(&mut self, metrics: &Metrics) -> Result<(), DistillError> {
        match metrics {
            Metrics::Step(step) => {
                let rate = step.tokens as f64 / step.seconds.max(f64::EPSILON);
                let message = format!(
                    "loss {:.4}, {rate:.0} tokens/s{}",
                    step.loss, self.validation
                );
                self.progress.advance(step.step, &message);
            }
            Metrics::Validation(validation) => {
                self.validation = format!(", validation NLL {:.4}", validation.nll);
                if let Some(kl) = validation.kl_to_teacher {
                    self.validation += &format!(" KL {kl:.4}");
                }
            }
        }
        Ok(())
    }
}
