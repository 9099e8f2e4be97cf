//! Settings of a training run.

use alambic_transformer::Precision;
use serde::{Deserialize, Serialize};

use super::{AdamWSettings, Schedule};
use crate::loss::{HeadPass, Objective};
use crate::{DistillError, WindowConfig};

/// Everything that decides a run's result; stored in its checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerConfig {
    /// What is minimised.
    pub objective: Objective,
    /// The optimizer.
    pub optimizer: AdamWSettings,
    /// Learning rate over the steps.
    pub schedule: Schedule,
    /// The data's order and shape.
    pub windows: WindowConfig,
    /// Gradients whose global norm is larger are scaled down to it; `None` leaves them.
    pub max_gradient_norm: Option<f64>,
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// What is multiplied while the student is trained and validated is rounded to it. In [`Precision::F16`] the loss is
    /// scaled, so that small gradients do not vanish: by a power of two, halved when a gradient overflows, whereupon the
    /// step is computed again.
    #[serde(default)]
    pub precision: Precision,
    /// Early stopping: evaluations without a better validation NLL before the run ends.
    pub early_stopping_patience: Option<u64>,
}

/// Settings that cost or save memory, time or disk, but do not change the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// Sequences per forward pass; must divide the window's sequences.
    pub micro_batch_sequences: usize,
    /// How many of a forward pass's logits exist at one time.
    pub head_pass: HeadPass,
    /// Whether what is inside of a layer is computed again when its gradients are, rather than kept from the forward
    /// pass: a third more time, and memory for one layer at a time ([`Recomputation`](alambic_transformer::Recomputation)).
    pub recompute_layers: bool,
    /// A checkpoint is written every so many steps, and at the end.
    pub checkpoint_every_steps: u64,
    /// How many of the latest checkpoints stay on disk, besides the best one.
    pub keep_checkpoints: usize,
    /// The validation cache is read every so many steps, and at the end.
    pub evaluate_every_steps: u64,
    /// burn's terminal dashboard instead of a progress line; needs the feature `tui`.
    pub dashboard: bool,
}

impl TrainerConfig {
    /// Checks everything that would otherwise fail in the middle of a run.
    ///
    /// # Errors
    /// [`DistillError::Setting`] naming the first impossible setting.
    pub fn validate(&self, settings: &RunSettings) -> Result<(), DistillError> {
        let setting = |key, found: String, expected| {
            Err(DistillError::Setting {
                key,
                found,
                expected,
            })
        };
        if self.total_steps == 0 {
            return setting("total_steps", "0".into(), "at least 1");
        }
        if let Some(norm) = self
            .max_gradient_norm
            .filter(|norm| norm.is_nan() || *norm <= 0.0)
        {
            return setting("max_gradient_norm", norm.to_string(), "a positive number");
        }
        let (micro, window) = (
            settings.micro_batch_sequences,
            self.windows.sequences_per_step,
        );
        if micro == 0 || !window.is_multiple_of(micro) {
            return setting(
                "micro_batch_sequences",
                micro.to_string(),
                "a divisor of sequences_per_step",
            );
        }
        if settings.head_pass == (HeadPass::Chunked { chunk_bytes: 0 }) {
            return setting("chunk_bytes", "0".into(), "at least 1");
        }
        for (key, value) in [
            ("checkpoint_every_steps", settings.checkpoint_every_steps),
            ("evaluate_every_steps", settings.evaluate_every_steps),
            ("keep_checkpoints", settings.keep_checkpoints as u64),
        ] {
            if value == 0 {
                return setting(key, "0".into(), "at least 1");
            }
        }
        if settings.dashboard && !cfg!(feature = "tui") {
            return setting(
                "dashboard",
                "true".into(),
                "false, or a build with the feature `tui`",
            );
        }
        self.schedule.validate(self.total_steps)?;
        self.optimizer.validate()
    }
}
