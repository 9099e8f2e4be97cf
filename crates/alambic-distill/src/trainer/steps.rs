//! The step-granular strategy: burn-train's learner, driven one optimizer step at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::data::dataloader::Progress;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use burn::train::{
    EventProcessorTraining, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
};

use super::aligned_teacher::{AlignedReader, AlignedReading};
use super::checkpoint::{CheckpointState, CheckpointStore};
use super::live_teacher::LiveTeacher;
use super::loss_scale::LossScale;
use super::metrics::{MetricSink, Metrics, StepMetrics, ValidationMetrics};
use super::student::{MicroBatch, PassOutput, Student};
use super::{BestStep, RunSettings, StopReason, TrainerConfig, gradients, validation::validate};
use crate::loss::Head;
use crate::windows::WindowSource;
use crate::{DistillError, StopHandle, TargetSequence, TrainingSource, Window};

/// Everything a run owns while it trains.
pub(crate) struct Run {
    pub(crate) config: TrainerConfig,
    pub(crate) settings: RunSettings,
    pub(crate) device: Device,
    pub(crate) windows: Box<dyn WindowSource>,
    /// What makes distributions of the hidden states of the windows, if they have any.
    pub(crate) teacher_head: Option<Head>,
    /// The teacher of another vocabulary, if the student learns from one.
    pub(crate) aligned_teacher: Option<AlignedReader>,
    /// Whose layers the student imitates, if it does.
    pub(crate) live_teacher: Option<LiveTeacher>,
    pub(crate) validation: Option<Arc<dyn TrainingSource>>,
    /// The same for the validation data.
    pub(crate) validation_head: Option<Head>,
    pub(crate) store: CheckpointStore,
    pub(crate) sinks: Vec<Box<dyn MetricSink>>,
    pub(crate) stop: StopHandle,
    pub(crate) state: CheckpointState,
}

/// How the steps ended.
pub(crate) struct RunEnd {
    pub(crate) reason: StopReason,
    pub(crate) state: CheckpointState,
}

/// The strategy that burn-train calls; holds the run going in and its end coming out.
pub(crate) struct StepGranular {
    run: Mutex<Option<Run>>,
    end: Mutex<Option<Result<RunEnd, DistillError>>>,
}

impl StepGranular {
    pub(crate) fn new(run: Run) -> Self {
        Self {
            run: Mutex::new(Some(run)),
            end: Mutex::new(None),
        }
    }

    /// The result, once burn-train has returned.
    pub(crate) fn take_end(&self) -> Option<Result<RunEnd, DistillError>> {
        self.end.lock().expect("no holder panics").take()
    }
}

impl SupervisedLearningStrategy<Student> for StepGranular {
    fn fit(
        &self,
        mut components: TrainingComponents<Student>,
        mut learner: Learner<Student>,
        _train: TrainLoader<Student>,
        _valid: ValidLoader<Student>,
        _first: usize,
    ) -> (Student, SupervisedTrainingEventProcessor<Student>) {
        let run = self
            .run
            .lock()
            .expect("no holder panics")
            .take()
            .expect("a strategy fits once");
        let end = run.train(&mut learner, &mut components);
        *self.end.lock().expect("no holder panics") = Some(end);
        (learner.model(), components.event_processor)
    }
}

/// What all passes of a window give.
struct Passes {
    term_means: Vec<f64>,
    loss: f64,
    gradients: GradientsParams,
}

/// One optimizer step's numbers, read back from the device.
struct StepResult {
    term_means: Vec<f64>,
    loss: f64,
    gradient_norm: f64,
    /// Of the gradients that were used, where they are scaled.
    loss_scale: Option<f64>,
}

impl Run {
    fn train(
        mut self,
        learner: &mut Learner<Student>,
        components: &mut TrainingComponents<Student>,
    ) -> Result<RunEnd, DistillError> {
        let started = Instant::now();
        let seconds_before = self.state.seconds;
        let mut saved = self.state.step;
        self.start_dashboard(components);
        let reason = loop {
            if self.state.step >= self.config.total_steps {
                break StopReason::Finished;
            }
            // Here and not behind the evaluation, so that a run that ended is found ended.
            if self.patience_is_over() {
                break StopReason::NoImprovement;
            }
            if self.stop.is_stopped() {
                break StopReason::Interrupted;
            }
            let window = self.windows.next_window()?;
            let step = self.state.step + 1;
            let result = self.optimize(learner, components, &window, step)?;
            self.state.step = step;
            self.state.tokens += window.num_labels;
            self.state.position = self.windows.position();
            self.state.seconds = seconds_before + started.elapsed().as_secs_f64();
            self.record_step(learner, &result)?;
            let last = step == self.config.total_steps;
            if last || step.is_multiple_of(self.settings.evaluate_every_steps) {
                self.evaluate(learner)?;
            }
            if last
                || self.patience_is_over()
                || step.is_multiple_of(self.settings.checkpoint_every_steps)
                || self.is_best(step)
            {
                self.save(learner, components)?;
                saved = step;
            }
        };
        if saved != self.state.step {
            self.save(learner, components)?;
        }
        Ok(RunEnd {
            reason,
            state: self.state,
        })
    }

    /// All passes of a window, clipping, and the optimizer step.
    fn optimize(
        &mut self,
        learner: &mut Learner<Student>,
        components: &mut TrainingComponents<Student>,
        window: &Window,
        step: u64,
    ) -> Result<StepResult, DistillError> {
        let model = learner.model();
        let (passes, scale, gradient_norm) = loop {
            let scale = self.state.loss_scale.map_or(1.0, LossScale::factor);
            let passes = self.passes(learner, components, window, step, scale)?;
            let norm = gradients::global_norm(&model, &passes.gradients) / scale;
            let halved = |scale: &mut LossScale| !norm.is_finite() && scale.halve();
            if !self.state.loss_scale.as_mut().is_some_and(halved) {
                break (passes, scale, norm);
            }
        };
        self.check_finite(step, "gradient norm", gradient_norm, &window.sequences)?;
        let loss_scale = self.state.loss_scale.as_mut().map(|loss_scale| {
            loss_scale.step();
            scale
        });
        let clipping = self.config.max_gradient_norm;
        let clipping = clipping.map_or(1.0, |max| gradients::clip_factor(gradient_norm, max));
        learner.lr_step();
        learner.optimizer_step(gradients::scaled(
            &model,
            passes.gradients,
            clipping / scale,
        ));
        Ok(StepResult {
            term_means: passes.term_means,
            loss: passes.loss,
            gradient_norm,
            loss_scale,
        })
    }

    /// All passes of a window; the gradients are those of the loss times `scale`.
    fn passes(
        &self,
        learner: &Learner<Student>,
        components: &mut TrainingComponents<Student>,
        window: &Window,
        step: u64,
        scale: f64,
    ) -> Result<Passes, DistillError> {
        let model = learner.model();
        let mut accumulator = GradientsAccumulator::<Student>::new();
        let objective = &self.config.objective;
        let labels = window.num_labels;
        let factors = objective.factors(step);
        let aligned_terms = objective.aligned_terms().iter();
        let aligned_factors: Vec<f64> = aligned_terms.map(|term| term.weight_at(step)).collect();
        let layer_terms = objective.layer_terms().iter();
        let layer_factors: Vec<f64> = layer_terms.map(|term| term.weight_at(step)).collect();
        let scaled = |factors: &[f64]| -> Vec<f64> {
            let scaled = factors.iter().map(|factor| factor * scale);
            scaled.collect()
        };
        let parts = || window.sequences.chunks(self.settings.micro_batch_sequences);
        // The whole window is aligned before the first pass, so that its groups are counted.
        let aligned = self.aligned_teacher.as_ref();
        let readings = aligned.map(|teacher| parts().map(|part| teacher.read(part)).collect());
        let readings: Vec<_> = readings.transpose()?.unwrap_or_default();
        let groups = readings.iter().map(AlignedReading::num_groups).sum();
        let mut sums = vec![0.0; factors.len() + aligned_factors.len() + layer_factors.len()];
        for (index, sequences) in parts().enumerate() {
            let head = self.teacher_head.as_ref();
            let mut batch =
                MicroBatch::new(sequences, &scaled(&factors), labels, head, &self.device);
            if let (Some(teacher), Some(reading)) = (aligned, readings.get(index)) {
                let factors = scaled(&aligned_factors);
                batch = batch.with_aligned_teacher(teacher, reading, &factors, groups);
            }
            if let Some(teacher) = &self.live_teacher {
                batch = batch.with_live_teacher(teacher, &scaled(&layer_factors), labels);
            }
            let pass = learner.train_step(batch);
            accumulator.accumulate(&model, pass.grads);
            let read = pass.item.term_sums.clone().into_data().convert::<f32>();
            let read = read.try_to_vec::<f32>().expect("just converted");
            for (sum, value) in sums.iter_mut().zip(read) {
                self.check_finite(step, "loss", f64::from(value), sequences)?;
                *sum += f64::from(value);
            }
            self.show(components, pass.item, scale, step, learner);
        }
        // Terms between vocabularies are means over groups, all others over labels.
        let of_vocabularies = factors.len()..factors.len() + aligned_factors.len();
        let mean = |(term, sum): (usize, f64)| {
            let count = match of_vocabularies.contains(&term) {
                true => groups,
                false => labels,
            };
            sum / count.max(1) as f64
        };
        let term_means: Vec<f64> = sums.into_iter().enumerate().map(mean).collect();
        let all_factors = factors.iter().chain(&aligned_factors).chain(&layer_factors);
        let weighted = term_means.iter().zip(all_factors);
        let loss = weighted.map(|(mean, factor)| mean * factor).sum();
        Ok(Passes {
            term_means,
            loss,
            gradients: accumulator.grads(),
        })
    }

    /// Stops at a value that is no number, and names the sequences that it came from.
    fn check_finite(
        &self,
        step: u64,
        quantity: &'static str,
        value: f64,
        sequences: &[TargetSequence],
    ) -> Result<(), DistillError> {
        if value.is_finite() {
            return Ok(());
        }
        let keys = sequences.iter().flat_map(|sequence| &sequence.segment_keys);
        let segments: Vec<&str> = keys.map(|key| &key[..key.len().min(12)]).collect();
        let checkpoint = self.store.latest()?.map_or("none".to_owned(), |step| {
            self.store.directory(step).display().to_string()
        });
        Err(DistillError::NotFinite {
            step,
            quantity,
            value,
            segments: segments.join(", "),
            checkpoint,
        })
    }

    fn record_step(
        &mut self,
        learner: &Learner<Student>,
        result: &StepResult,
    ) -> Result<(), DistillError> {
        let step = self.state.step;
        let objective = &self.config.objective;
        let of_head = objective.terms().iter().chain(objective.aligned_terms());
        let of_head = of_head.map(|term| {
            let ramped = term.ramp.map(|_| term.weight_at(step));
            (term.kind.name().to_owned(), ramped)
        });
        let of_layers = objective.layer_terms().iter().map(|term| {
            let ramped = term.ramp.map(|_| term.weight_at(step));
            (term.kind.name().to_owned(), ramped)
        });
        let named = of_head.chain(of_layers).zip(&result.term_means);
        let (mut terms, mut weights) = (BTreeMap::new(), BTreeMap::new());
        for ((name, ramped), &mean) in named {
            if let Some(weight) = ramped {
                weights.insert(name.clone(), weight);
            }
            terms.insert(name, mean);
        }
        self.record(Metrics::Step(StepMetrics {
            step,
            tokens: self.state.tokens,
            loss: result.loss,
            terms,
            weights,
            learning_rate: learner.lr_current().base(),
            loss_scale: result.loss_scale,
            gradient_norm: result.gradient_norm,
            seconds: self.state.seconds,
        }))
    }

    /// Reads the validation data, if there is any.
    fn evaluate(&mut self, learner: &Learner<Student>) -> Result<(), DistillError> {
        let Some(source) = self.validation.clone() else {
            return Ok(());
        };
        let model = learner.model().valid();
        let batch = self.settings.micro_batch_sequences;
        let score = validate(
            model.decoder(),
            self.settings.head_pass,
            &*source,
            self.validation_head.as_ref(),
            &self.config.windows,
            batch,
        )?;
        let (step, tokens) = (self.state.step, self.state.tokens);
        self.record(Metrics::Validation(ValidationMetrics {
            step,
            tokens,
            nll: score.nll,
            kl_to_teacher: score.kl_to_teacher,
            top1_agreement: score.top1_agreement,
        }))?;
        if self.state.best.is_none_or(|best| score.nll < best.nll) {
            self.state.best = Some(BestStep {
                step,
                nll: score.nll,
            });
            self.state.evaluations_without_improvement = 0;
        } else {
            self.state.evaluations_without_improvement += 1;
        }
        Ok(())
    }

    fn patience_is_over(&self) -> bool {
        let waited = self.state.evaluations_without_improvement;
        self.config
            .early_stopping_patience
            .is_some_and(|patience| waited >= patience)
    }

    fn is_best(&self, step: u64) -> bool {
        self.state.best.is_some_and(|best| best.step == step)
    }

    fn record(&mut self, metrics: Metrics) -> Result<(), DistillError> {
        self.sinks
            .iter_mut()
            .try_for_each(|sink| sink.record(&metrics))
    }

    fn save(
        &self,
        learner: &Learner<Student>,
        components: &mut TrainingComponents<Student>,
    ) -> Result<(), DistillError> {
        self.store.begin(self.state.step)?;
        let checkpointer = components
            .checkpointer
            .as_mut()
            .expect("the trainer registers one");
        checkpointer.checkpoint(learner, self.state.step as usize, &components.event_store);
        self.store.commit(self.state.clone())?;
        self.store.prune(
            self.settings.keep_checkpoints,
            self.state.best.map(|best| best.step),
        )
    }

    fn start_dashboard(&self, components: &mut TrainingComponents<Student>) {
        if self.settings.dashboard {
            let total_items = self.config.total_steps as usize;
            let event = LearnerEvent::StartSplit {
                epoch_number: 1,
                total_items,
            };
            components
                .interrupter
                .fail_on_error(components.event_processor.process_train(event));
        }
    }

    /// Hands a pass to burn's dashboard, if there is one; also one that is computed again at another loss scale.
    fn show(
        &self,
        components: &mut TrainingComponents<Student>,
        mut output: PassOutput,
        scale: f64,
        step: u64,
        learner: &Learner<Student>,
    ) {
        if self.settings.dashboard {
            output.total = output.total / scale;
            let progress = Progress::new(
                step as usize,
                self.config.total_steps as usize,
                Some("steps".into()),
            );
            let item = TrainingItem::new(
                output,
                progress,
                Some(step as usize),
                Some(learner.lr_current()),
            );
            let event = LearnerEvent::ProcessedItem(item);
            components
                .interrupter
                .fail_on_error(components.event_processor.process_train(event));
        }
    }
}
