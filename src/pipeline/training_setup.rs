//! From a recipe's sections to the settings of the crates below.

use alambic_distill::WindowConfig;
use alambic_distill::loss::{LossError, Objective, Temperature};
use alambic_distill::trainer::{AdamWSettings, RunSettings, Schedule, TrainerConfig};
use alambic_transformer::{Architecture, DecoderConfig};

use super::PipelineError;
use super::recipe::{
    ObjectiveSection, OptimizerSection, STUDENT_INITIALIZER_RANGE, ScheduleKind, ScheduleSection,
    StudentSection, TrainingSection,
};

impl StudentSection {
    /// The decoder that this section describes as the student of a teacher.
    pub(crate) fn student_of(&self, teacher: &DecoderConfig) -> DecoderConfig {
        let architecture = match &self.teacher_layers {
            None => Architecture::default(),
            Some(layers) => teacher.architecture.of_excerpt(self.hidden_size, layers),
        };
        DecoderConfig {
            architecture,
            ..self.decoder_config(teacher.vocab_size)
        }
    }

    /// The decoder of the sizes of this section, for a vocabulary.
    pub(crate) fn decoder_config(&self, vocab_size: usize) -> DecoderConfig {
        DecoderConfig {
            vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
            max_position_embeddings: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta: self.rope_theta,
            tie_word_embeddings: self.tie_word_embeddings,
            initializer_range: STUDENT_INITIALIZER_RANGE,
            architecture: Architecture::default(),
        }
    }
}

impl ObjectiveSection {
    /// The weighted losses.
    pub(crate) fn objective(&self) -> Result<Objective, PipelineError> {
        let factor = self.temperature_factor.unwrap_or_default();
        let objective = || -> Result<_, LossError> {
            let temperature = Temperature::try_new(self.temperature, factor)?;
            let objective = Objective::try_new(self.terms.clone(), self.tail_treatment())?;
            let objective = objective.with_temperature(temperature);
            objective.with_layer_terms(self.layer_terms().to_vec())
        };
        Ok(objective().map_err(alambic_distill::DistillError::from)?)
    }
}

/// The sections that decide how a model is trained, whatever it is trained on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrainingSections<'a> {
    pub(crate) seed: u64,
    pub(crate) optimizer: &'a OptimizerSection,
    pub(crate) schedule: &'a ScheduleSection,
    pub(crate) training: &'a TrainingSection,
}

impl TrainingSections<'_> {
    /// The trainer's settings for an objective; `pad_id` fills what packing leaves free.
    pub(crate) fn trainer_config(&self, objective: Objective, pad_id: u32) -> TrainerConfig {
        let training = self.training;
        TrainerConfig {
            objective,
            optimizer: AdamWSettings {
                betas: self.optimizer.betas,
                epsilon: self.optimizer.epsilon,
                weight_decay: self.optimizer.weight_decay,
            },
            schedule: self.schedule(),
            windows: WindowConfig {
                seed: self.seed,
                sequences_per_step: training.sequences_per_step,
                sequence_tokens: training.sequence_tokens,
                shuffle_shards: training.shuffle_shards,
                pad_id,
            },
            max_gradient_norm: Some(self.optimizer.max_gradient_norm),
            total_steps: training.total_steps as u64,
            precision: training.precision.unwrap_or_default(),
            early_stopping_patience: training
                .early_stopping_patience
                .map(|evaluations| evaluations as u64),
        }
    }

    /// The settings that do not change the result.
    pub(crate) fn run_settings(&self, dashboard: bool) -> RunSettings {
        let training = self.training;
        RunSettings {
            micro_batch_sequences: training.micro_batch_sequences,
            head_pass: training.head_pass(),
            recompute_layers: training.recompute_layers.unwrap_or_default(),
            checkpoint_every_steps: training.checkpoint_every_steps as u64,
            keep_checkpoints: training.keep_checkpoints,
            evaluate_every_steps: training.evaluate_every_steps as u64,
            dashboard,
        }
    }

    fn schedule(&self) -> Schedule {
        let (peak, section) = (self.optimizer.learning_rate, self.schedule);
        let (warmup_steps, min_ratio) =
            (section.warmup_steps as u64, section.min_learning_rate_ratio);
        match section.kind {
            ScheduleKind::Cosine => Schedule::Cosine {
                peak,
                warmup_steps,
                min_ratio,
            },
            ScheduleKind::Wsd => {
                let decay_steps = section.decay_steps.unwrap_or(0) as u64; // required by the recipe for wsd
                Schedule::Wsd {
                    peak,
                    warmup_steps,
                    decay_steps,
                    min_ratio,
                }
            }
        }
    }
}
