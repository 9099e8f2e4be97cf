//! The trainer: burn-train's `Learner`, one optimizer step at a time.
//!
//! burn-train counts in epochs; a distillation run counts in steps. So the loop is our own
//! strategy, with checkpoints that are whole or absent, exact resume, global-norm clipping, and
//! gradients normalised by the labels of the whole accumulation window.

mod aligned_teacher;
mod checkpoint;
mod config;
mod gradients;
mod label_list;
mod live_teacher;
mod loss_scale;
mod metrics;
mod no_items;
mod optimizer;
mod renderer;
mod schedule;
mod steps;
mod student;
#[cfg(test)]
mod tests;
mod validation;

use std::path::Path;
use std::sync::Arc;

use alambic_cache::TargetKind;
use alambic_transformer::{Decoder, Precision};
use burn::module::Module;
use burn::tensor::Device;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{LossMetric, store::EventStoreClient};
use burn::train::{Learner, SupervisedTraining, TrainingStrategy};

pub use aligned_teacher::AlignedTeacher;
pub use checkpoint::BestStep;
pub use config::{RunSettings, TrainerConfig};
pub use live_teacher::model_shape;
pub use metrics::{
    JsonlMetrics, MetricSink, Metrics, StepMetrics, ValidationMetrics, read_metrics,
};
pub use optimizer::AdamWSettings;
pub use schedule::Schedule;

use crate::loss::{
    AlignedObjective, Head, LayerObjective, Objective, TailTreatment, is_kept_temperature,
};
use crate::teacher::{DecoderTeacher, Teacher};
use crate::teacher_head::head_for;
use crate::{
    DistillError, RunLock, StopHandle, StoredTargets, TrainingSource, WindowConfig, Windows,
};
use aligned_teacher::aligned_objective;
use checkpoint::{CheckpointState, CheckpointStore, PARTS, RunIdentity};
use live_teacher::{LiveTeacher, layer_objective};
use schedule::ScheduledRate;
use steps::{Run, RunEnd, StepGranular};
pub(crate) use student::{MicroBatch, Student};

/// Why a run returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// All steps were taken.
    Finished,
    /// A stop was requested; training the same directory again continues.
    Interrupted,
    /// Validation did not improve for as long as patience lasts.
    NoImprovement,
}

/// What a run leaves.
#[derive(Debug)]
pub struct TrainingOutcome {
    /// The student on the plain device: the last step's, or with early stopping the best one's; with its adapters, if it
    /// had some, and computing in f32.
    pub student: Decoder,
    /// Why the run returned.
    pub reason: StopReason,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Labels trained on.
    pub tokens: u64,
    /// Seconds of training, resumed parts included.
    pub seconds: f64,
    /// The step with the lowest validation NLL.
    pub best: Option<BestStep>,
}

/// Trains a student from a cache, or on plain text without a teacher.
///
/// The directory holds `metrics.jsonl` and `checkpoints/`; when it has a checkpoint, the run
/// continues from there, bit for bit as if it had not been interrupted.
pub struct Trainer {
    config: TrainerConfig,
    settings: RunSettings,
    sinks: Vec<Box<dyn MetricSink>>,
    stop: StopHandle,
    teacher: Option<DecoderTeacher>,
    aligned_teacher: Option<AlignedTeacher>,
}

impl Trainer {
    /// A trainer with checked settings.
    ///
    /// # Errors
    /// [`DistillError::Setting`] naming the first impossible setting.
    pub fn try_new(config: TrainerConfig, settings: RunSettings) -> Result<Self, DistillError> {
        config.validate(&settings)?;
        Ok(Self {
            config,
            settings,
            sinks: Vec::new(),
            stop: StopHandle::new(),
            teacher: None,
            aligned_teacher: None,
        })
    }

    /// Adds a receiver of metrics, besides `metrics.jsonl`.
    pub fn with_sink(mut self, sink: impl MetricSink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// Lets `stop` end the run cleanly.
    pub fn with_stop(mut self, stop: StopHandle) -> Self {
        self.stop = stop;
        self
    }

    /// Lets `teacher` answer while the student trains, for the objective's
    /// [layer terms](Objective::layer_terms); it reads what the student reads.
    pub fn with_teacher(mut self, teacher: DecoderTeacher) -> Self {
        self.teacher = Some(teacher);
        self
    }

    /// Lets `teacher`, of another vocabulary, answer while the student trains, for the objective's
    /// [aligned terms](Objective::aligned_terms).
    pub fn with_aligned_teacher(mut self, teacher: AlignedTeacher) -> Self {
        self.aligned_teacher = Some(teacher);
        self
    }

    /// Trains `student` (on a plain device) on `train`, reading `validation` now and then; it computes in the
    /// [precision](TrainerConfig::precision) of the settings, whatever it did before.
    ///
    /// # Errors
    /// [`DistillError::NotFinite`] when the loss or the gradient is not a number: the last
    /// checkpoint stays whole. [`DistillError::CheckpointMismatch`] when the directory belongs to
    /// another configuration, [`DistillError::Locked`] when another process uses it;
    /// [`DistillError::Setting`] for data, or a teacher, that the objective cannot read;
    /// [`DistillError::Loss`] for layers that a model does not have; [`DistillError::Model`] for a precision that the
    /// device does not compute in.
    pub fn train(
        mut self,
        student: Decoder,
        train: Arc<dyn TrainingSource>,
        validation: Option<Arc<dyn TrainingSource>>,
        directory: &Path,
    ) -> Result<TrainingOutcome, DistillError> {
        check_source(
            &student,
            &*train,
            &self.config.objective,
            &self.config.windows,
        )?;
        if let Some(validation) = &validation {
            check_vocabulary(student.config().vocab_size, &**validation)?;
        }
        let student = student.computing_in(self.config.precision)?;
        let _lock = RunLock::acquire(directory)?;
        let store = CheckpointStore::open(&directory.join("checkpoints"))?;
        let plain = student.device();
        let layers = layer_objective(
            &self.config.objective,
            &student,
            self.teacher.as_ref(),
            &self.config.windows,
        )?;
        let live_teacher = layers.as_ref().zip(self.teacher.as_ref());
        let live_teacher = live_teacher.map(|(layers, teacher)| {
            LiveTeacher::new(teacher.decoder().clone().to_device(&plain), layers)
        });
        let aligned = aligned_objective(
            &self.config.objective,
            &student,
            self.aligned_teacher.as_ref(),
        )?;
        let (aligned, aligned_teacher) = aligned.unzip();
        let state = self.resume_state(&store, &student, &*train)?;
        let learner = self.learner(student, aligned, layers, &store, &state)?;
        let log = JsonlMetrics::open(&directory.join("metrics.jsonl"), state.step)?;
        self.sinks.insert(0, Box::new(log));
        let with_targets = self.config.objective.needs_targets();
        let (teacher_head, validation_head) =
            teacher_heads(&*train, validation.as_deref(), &plain)?;
        let windows = Windows::try_new(
            train,
            self.config.windows.clone(),
            state.position,
            with_targets,
        )?;
        let run = Run {
            config: self.config,
            settings: self.settings,
            device: plain.autodiff(),
            windows: Box::new(windows),
            teacher_head,
            aligned_teacher,
            live_teacher,
            validation,
            validation_head,
            store,
            sinks: self.sinks,
            stop: self.stop,
            state,
        };
        launch(run, learner, directory)
    }

    /// The state of the newest checkpoint, or that of a run that begins.
    fn resume_state(
        &self,
        store: &CheckpointStore,
        student: &Decoder,
        train: &dyn TrainingSource,
    ) -> Result<CheckpointState, DistillError> {
        let identity = RunIdentity {
            config: self.config.clone(),
            student: student.config().clone(),
            lora: student.lora().cloned(),
            data: train.identity(),
            teacher: self.live_identity(),
        };
        let Some(step) = store.latest()? else {
            return Ok(CheckpointState::new(0, Default::default(), identity));
        };
        let state = store.state(step)?;
        let differs = |field, found: String, expected: String| DistillError::CheckpointMismatch {
            path: store.directory(step),
            field,
            found,
            expected,
        };
        if state.identity.config != identity.config {
            return Err(differs(
                "settings",
                to_json(&state.identity.config),
                to_json(&identity.config),
            ));
        }
        if state.identity.student != identity.student {
            return Err(differs(
                "student",
                to_json(&state.identity.student),
                to_json(&identity.student),
            ));
        }
        if state.identity.lora != identity.lora {
            return Err(differs(
                "adapters",
                to_json(&state.identity.lora),
                to_json(&identity.lora),
            ));
        }
        if state.identity.data != identity.data {
            return Err(differs("data", state.identity.data, identity.data));
        }
        if state.identity.teacher != identity.teacher {
            return Err(differs(
                "teacher",
                to_json(&state.identity.teacher),
                to_json(&identity.teacher),
            ));
        }
        Ok(state)
    }

    /// Names the live teachers that the objective reads.
    fn live_identity(&self) -> Option<String> {
        let objective = &self.config.objective;
        let imitated = self.teacher.as_ref();
        let imitated = imitated.filter(|_| !objective.layer_terms().is_empty());
        let aligned = self.aligned_teacher.as_ref();
        let aligned = aligned.filter(|_| !objective.aligned_terms().is_empty());
        let names = [
            imitated.map(|teacher| teacher.fingerprint().to_owned()),
            aligned.map(AlignedTeacher::identity),
        ];
        let names: Vec<String> = names.into_iter().flatten().collect();
        (!names.is_empty()).then(|| names.join(" "))
    }

    /// The learner at the state's step.
    fn learner(
        &self,
        student: Decoder,
        aligned: Option<AlignedObjective>,
        layers: Option<LayerObjective>,
        store: &CheckpointStore,
        state: &CheckpointState,
    ) -> Result<Learner<Student>, DistillError> {
        let device = student.device();
        let objective = self.config.objective.clone();
        let recomputes = self.settings.recompute_layers;
        let model = Student::new(student, objective, self.settings.head_pass);
        let model = model.with_recomputation(recomputes);
        let model = match aligned {
            Some(aligned) => model.with_aligned(aligned),
            None => model,
        };
        let model = match layers {
            Some(layers) => model.with_layers(layers),
            None => model,
        }
        .train();
        let optimizer = self.config.optimizer.init(&model, &device);
        let rate = ScheduledRate {
            schedule: self.config.schedule,
            total_steps: self.config.total_steps,
            next_step: state.step,
        };
        let mut learner = Learner::new(model, optimizer, rate);
        if state.step > 0 {
            learner.load_model(store.record(state.step, PARTS[0])?);
            learner.load_optim(store.record(state.step, PARTS[1])?);
        }
        Ok(learner)
    }
}

/// The heads that make distributions of hidden states; one, where both sources have the same.
fn teacher_heads(
    train: &dyn TrainingSource,
    validation: Option<&dyn TrainingSource>,
    device: &Device,
) -> Result<(Option<Head>, Option<Head>), DistillError> {
    let head = head_for(train, device)?;
    let fingerprint = |source: &dyn TrainingSource| match source.targets()?.kind {
        TargetKind::Hidden { head, .. } => Some(head),
        _ => None,
    };
    let of_validation = match validation {
        Some(source) if fingerprint(source) == fingerprint(train) => head.clone(),
        Some(source) => head_for(source, device)?,
        None => None,
    };
    Ok((head, of_validation))
}

/// Runs the steps under burn-train and collects what they leave.
fn launch(
    run: Run,
    learner: Learner<Student>,
    directory: &Path,
) -> Result<TrainingOutcome, DistillError> {
    let early_stopping = run.config.early_stopping_patience.is_some();
    let checkpoints = directory.join("checkpoints");
    let (dashboard, stop) = (run.settings.dashboard, run.stop.clone());
    let [model, optimizer, scheduler] = PARTS.map(|part| run.store.part(part));
    let strategy = Arc::new(StepGranular::new(run));
    let mut training = SupervisedTraining::new(
        directory,
        Arc::new(no_items::NoItems),
        Arc::new(no_items::NoItems),
    )
    .with_application_logger(None)
    .with_metric_logger(InMemoryMetricLogger::new())
    .with_custom_checkpointers(model, optimizer, scheduler)
    .with_checkpointing_strategy(SaveWhenAsked)
    .with_interrupter(stop.interrupter())
    .with_training_strategy(TrainingStrategy::Custom(strategy.clone()));
    training = if dashboard {
        training.metric_train_numeric(LossMetric::new())
    } else {
        training.renderer(Box::new(renderer::Quiet))
    };
    let result = training.launch(learner);
    let end = strategy.take_end().ok_or_else(|| {
        framework(
            result
                .error
                .as_deref()
                .map(|error| error as &dyn std::error::Error),
        )
    })??;
    if let Some(error) = result.error {
        return Err(framework(Some(&*error)));
    }
    outcome(result.model, end, early_stopping, &checkpoints)
}

fn outcome(
    model: Student,
    end: RunEnd,
    early_stopping: bool,
    checkpoints: &Path,
) -> Result<TrainingOutcome, DistillError> {
    let RunEnd { reason, state } = end;
    let best = state
        .best
        .filter(|best| early_stopping && best.step != state.step);
    let model = match best {
        Some(best) => {
            let store = CheckpointStore::open(checkpoints)?;
            store.state(best.step)?; // verifies the files
            model.load_record(store.record(best.step, PARTS[0])?)
        }
        None => model,
    };
    Ok(TrainingOutcome {
        student: model.into_decoder().computing_in(Precision::F32)?,
        reason,
        steps: state.step,
        tokens: state.tokens,
        seconds: state.seconds,
        best: state.best,
    })
}

fn framework(error: Option<&dyn std::error::Error>) -> DistillError {
    let message = error.map_or("it returned without a result".into(), |error| {
        error.to_string()
    });
    DistillError::Framework { message }
}

/// Refuses data of another tokenizer than the student's.
fn check_vocabulary(vocab: usize, source: &dyn TrainingSource) -> Result<(), DistillError> {
    if vocab == source.vocab_size() {
        return Ok(());
    }
    Err(DistillError::Setting {
        key: "student.vocab_size",
        found: format!("{vocab}, for data of {} tokens", source.vocab_size()),
        expected: "the vocabulary size of the data's tokenizer",
    })
}

/// Refuses data that the student cannot learn from.
pub(crate) fn check_source(
    student: &Decoder,
    train: &dyn TrainingSource,
    objective: &Objective,
    windows: &WindowConfig,
) -> Result<(), DistillError> {
    let vocab = student.config().vocab_size;
    check_vocabulary(vocab, train)?;
    if objective.needs_targets() && !train.has_targets() {
        return Err(DistillError::Setting {
            key: "objective",
            found: "a term that reads teacher targets".into(),
            expected: "cross_entropy alone for data without a teacher",
        });
    }
    if let Some(stored) = train.targets() {
        check_targets(objective, &stored, vocab)?;
    }
    let (window, limit) = (
        windows.sequence_tokens,
        student.config().max_batched_tokens(),
    );
    if window > limit {
        return Err(DistillError::Setting {
            key: "sequence_tokens",
            found: window.to_string(),
            expected: "at most student.max_position_embeddings",
        });
    }
    Ok(())
}

/// Refuses an objective that the stored targets cannot serve.
fn check_targets(
    objective: &Objective,
    stored: &StoredTargets,
    vocab: usize,
) -> Result<(), DistillError> {
    if let TargetKind::Hidden { .. } = stored.kind {
        return Ok(()); // whole distributions, and the logits that they are made of
    }
    if objective.needs_logits() {
        return Err(DistillError::Setting {
            key: "objective",
            found: "logit_mse, which reads the teacher's raw logits".into(),
            expected: "a divergence such as forward_kl, or hidden states, of which logits are made",
        });
    }
    if !objective.compares_distributions() {
        return Ok(());
    }
    if let TargetKind::Sampled { .. } | TargetKind::HeadPlusSampledTail { .. } = stored.kind {
        for term in objective.terms() {
            term.kind
                .check_linear()
                .map_err(|error| DistillError::Setting {
                    key: "objective",
                    found: error.to_string(),
                    expected: "forward_kl or cross_entropy for drawn tokens",
                })?;
        }
    }
    if let TargetKind::HeadOnly { k, .. } = stored.kind
        && k < vocab
        && objective.tail() == TailTreatment::TailBucket
    {
        return Err(DistillError::Setting {
            key: "objective.tail",
            found: "tail_bucket, for targets that were converted from a format without a tail"
                .into(),
            expected: "renormalise_teacher, renormalise_both or zero_fill: the teacher's mass outside \
                       of the stored entries is not known",
        });
    }
    let temperature = objective.temperature().value();
    let mut answered = stored.temperatures.iter();
    if !answered.any(|&stored| is_kept_temperature(stored, temperature)) {
        return Err(DistillError::Setting {
            key: "objective.temperature",
            found: format!("{temperature}, for targets at {:?}", stored.temperatures),
            expected: "a temperature of the targets: 1 for the most likely tokens and those that were \
                       declared at capture, at no other is their tail known; that of the draws for \
                       drawn ones",
        });
    }
    Ok(())
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("settings are plain data")
}

/// Our strategy decides when to save; burn-train's checkpointer only does it.
#[derive(Clone)]
struct SaveWhenAsked;

impl CheckpointingStrategy for SaveWhenAsked {
    fn checkpointing(
        &mut self,
        _step: usize,
        _store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        vec![CheckpointingAction::Save]
    }
}
