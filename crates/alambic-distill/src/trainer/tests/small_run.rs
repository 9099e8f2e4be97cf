//! A tiny student on a tiny cache: order of the data, resume, interruption, what stops a run.

use std::path::Path;
use std::sync::{Arc, Mutex};

use alambic_cache::{
    CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetKind, TargetRecord, TopKTargets,
    ValueType,
};
use alambic_transformer::{Architecture, Decoder, DecoderConfig, Precision};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use rand::RngExt;

use crate::loss::{HeadPass, LossKind, Objective, ObjectiveTerm, TailTreatment};
use crate::test_device::test_device;
use crate::trainer::{
    AdamWSettings, Metrics, RunSettings, Schedule, StepMetrics, StopReason, Trainer, TrainerConfig,
    TrainingOutcome,
};
use crate::{DistillError, StopHandle, WindowConfig, seeding};

pub(super) const VOCAB: usize = 23;
const K: usize = 4;
/// The same sums in another order of addition.
pub(super) const REORDERED_SUM_TOLERANCE: f64 = 5e-6;

/// Every weight of a decoder in one vector.
pub(super) fn weights(decoder: &Decoder) -> Vec<f32> {
    struct Collector(Vec<f32>);
    impl ModuleVisitor for Collector {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data().convert::<f32>();
            self.0.extend(data.try_to_vec::<f32>().unwrap());
        }
    }
    let mut collector = Collector(Vec::new());
    decoder.visit(&mut collector);
    collector.0
}

pub(super) fn record(index: u64) -> TargetRecord {
    let mut rng = seeding::stream(5, &format!("record {index}"));
    let tokens = rng.random_range(4..15usize);
    let token_ids: Vec<u32> = (0..tokens)
        .map(|_| rng.random_range(0..VOCAB as u32))
        .collect();
    let mut loss_mask = vec![true; tokens];
    loss_mask[0] = false;
    loss_mask[2] = !index.is_multiple_of(3);
    let rows = loss_mask.iter().filter(|&&counted| counted).count();
    let mut targets = TopKTargets {
        k: K,
        token_ids: vec![],
        log_probs: vec![],
        tail_mass: vec![],
        entropy: vec![],
        tempered: vec![],
    };
    for _ in 0..rows {
        let first = rng.random_range(0..(VOCAB - K) as u32);
        targets.token_ids.extend(first..first + K as u32);
        targets
            .log_probs
            .extend([0.5f32, 0.25, 0.125, 0.0625].map(f32::ln));
        targets.tail_mass.push(0.0625);
        targets.entropy.push(1.3);
    }
    TargetRecord {
        key: SegmentKey::of("teacher", &token_ids, &loss_mask),
        token_ids,
        loss_mask,
        targets: targets.into(),
    }
}

pub(super) fn cache(directory: &Path) -> Arc<CacheReader> {
    let spec = CacheSpec {
        teacher_fingerprint: "ab".repeat(32),
        tokenizer_fingerprint: "cd".repeat(32),
        vocab_size: VOCAB,
        targets: TargetKind::TopK {
            k: K,
            values: ValueType::F32,
        },
        temperatures: vec![1.0],
        segments_per_shard: 16,
    };
    let mut writer = CacheWriter::open(directory, spec).unwrap();
    for shard in 0..4 {
        let records: Vec<TargetRecord> = (shard * 16..shard * 16 + 16).map(record).collect();
        writer.write_shard(shard as usize, &records).unwrap();
    }
    writer.finish(4).unwrap();
    Arc::new(CacheReader::open(directory).unwrap())
}

/// burn's random seed belongs to the process: tests on other threads must not draw in between.
static SEED_AND_INIT: Mutex<()> = Mutex::new(());

pub(super) fn seeded(config: &DecoderConfig) -> Decoder {
    let device = test_device();
    let _alone = SEED_AND_INIT.lock().unwrap();
    device.seed(3);
    config.init(&device)
}

pub(super) fn student_config() -> DecoderConfig {
    DecoderConfig {
        vocab_size: VOCAB,
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 8,
        max_position_embeddings: 32,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.05,
        architecture: Architecture::default(),
    }
}

pub(super) fn student() -> Decoder {
    seeded(&student_config())
}

/// A student whose head has weights of its own.
pub(super) fn untied_student() -> Decoder {
    seeded(&DecoderConfig {
        tie_word_embeddings: false,
        ..student_config()
    })
}

pub(super) fn config(total_steps: u64) -> TrainerConfig {
    TrainerConfig {
        objective: Objective::try_new(
            vec![
                ObjectiveTerm::new(LossKind::ForwardKl, 0.8),
                ObjectiveTerm::new(LossKind::CrossEntropy, 0.2),
            ],
            TailTreatment::TailBucket,
        )
        .unwrap(),
        optimizer: AdamWSettings {
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay: 0.1,
        },
        schedule: Schedule::Cosine {
            peak: 5e-3,
            warmup_steps: 2,
            min_ratio: 0.1,
        },
        windows: WindowConfig {
            seed: 9,
            sequences_per_step: 8,
            sequence_tokens: 16,
            shuffle_shards: 2,
            pad_id: 0,
        },
        max_gradient_norm: Some(1.0),
        total_steps,
        precision: Precision::F32,
        early_stopping_patience: None,
    }
}

pub(super) fn settings(micro_batch_sequences: usize) -> RunSettings {
    RunSettings {
        micro_batch_sequences,
        head_pass: HeadPass::default(),
        recompute_layers: false,
        checkpoint_every_steps: 3,
        keep_checkpoints: 2,
        evaluate_every_steps: 4,
        dashboard: false,
    }
}

/// The steps that a trainer takes.
pub(super) type Steps = Arc<Mutex<Vec<StepMetrics>>>;

/// The trainer, which is stopped after one of its steps, and the steps that it will have taken.
pub(super) fn watched(trainer: Trainer, stop_after: Option<u64>) -> (Trainer, Steps) {
    let (stop, steps) = (StopHandle::new(), Steps::default());
    let sink = {
        let (steps, stop) = (steps.clone(), stop.clone());
        move |metrics: &Metrics| {
            let Metrics::Step(step) = metrics else { return };
            steps.lock().unwrap().push(step.clone());
            if Some(step.step) == stop_after {
                stop.stop();
            }
        }
    };
    (trainer.with_sink(sink).with_stop(stop), steps)
}

/// Trains into `directory` and returns the outcome with the steps of this call.
pub(super) fn train(
    config: TrainerConfig,
    settings: RunSettings,
    cache: &Arc<CacheReader>,
    directory: &Path,
    stop_after: Option<u64>,
) -> Result<(TrainingOutcome, Vec<StepMetrics>), DistillError> {
    let (trainer, steps) = watched(Trainer::try_new(config, settings)?, stop_after);
    let outcome = trainer.train(student(), cache.clone(), Some(cache.clone()), directory)?;
    let steps = steps.lock().unwrap().clone();
    Ok((outcome, steps))
}

/// Trains another student without an interruption.
pub(super) fn train_student(
    student: Decoder,
    config: TrainerConfig,
    settings: RunSettings,
    cache: &Arc<CacheReader>,
    directory: &Path,
) -> Result<TrainingOutcome, DistillError> {
    let trainer = Trainer::try_new(config, settings)?;
    trainer.train(student, cache.clone(), Some(cache.clone()), directory)
}

#[test]
fn the_losses_do_not_depend_on_the_size_of_a_micro_batch() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let losses = |micro: usize| {
        let run = dir.path().join(format!("run-{micro}"));
        let (_, steps) = train(config(6), settings(micro), &cache, &run, None).unwrap();
        steps.into_iter().map(|step| step.loss).collect::<Vec<_>>()
    };
    let whole = losses(8);
    for micro in [4, 2, 1] {
        for (a, b) in whole.iter().zip(losses(micro)) {
            assert!(
                (a - b).abs() < REORDERED_SUM_TOLERANCE,
                "micro-batches of {micro}: {b} against {a}"
            );
        }
    }
}

#[test]
fn two_runs_are_equal_bit_by_bit_and_training_lowers_the_loss() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let (first, steps) =
        train(config(30), settings(8), &cache, &dir.path().join("a"), None).unwrap();
    let (second, _) = train(config(30), settings(8), &cache, &dir.path().join("b"), None).unwrap();
    assert_eq!(weights(&first.student), weights(&second.student));
    assert!(
        steps[29].loss < 0.97 * steps[0].loss,
        "{} after {}",
        steps[29].loss,
        steps[0].loss
    );
}

#[test]
fn an_interrupted_run_continues_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let (straight, all) =
        train(config(12), settings(8), &cache, &dir.path().join("a"), None).unwrap();
    let parts = dir.path().join("b");
    let (first, _) = train(config(12), settings(8), &cache, &parts, Some(5)).unwrap();
    assert_eq!((first.reason, first.steps), (StopReason::Interrupted, 5));
    let (second, rest) = train(config(12), settings(8), &cache, &parts, None).unwrap();
    assert_eq!((second.reason, second.steps), (StopReason::Finished, 12));
    assert_eq!(weights(&straight.student), weights(&second.student));
    assert_eq!(all[5].loss, rest[0].loss);
    let metrics = crate::trainer::read_metrics(&parts.join("metrics.jsonl")).unwrap();
    let steps: Vec<u64> = metrics
        .iter()
        .filter(|metrics| matches!(metrics, Metrics::Step(_)))
        .map(Metrics::step)
        .collect();
    assert_eq!(steps, (1..=12).collect::<Vec<_>>());
}

/// A rate so high that the first evaluations are the best ones.
fn overshooting(total_steps: u64) -> TrainerConfig {
    TrainerConfig {
        schedule: Schedule::Wsd {
            peak: 0.3,
            warmup_steps: 0,
            decay_steps: 1,
            min_ratio: 1.0,
        },
        ..config(total_steps)
    }
}

#[test]
fn only_the_last_and_the_best_checkpoints_stay() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = dir.path().join("run");
    let (outcome, _) = train(overshooting(40), settings(8), &cache, &run, None).unwrap();
    let mut found: Vec<String> = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let best = outcome.best.unwrap().step;
    assert!(best < 39, "the best step, {best}, is not among the last");
    let expected = [best, 39, 40].map(|step| format!("step-{step:08}"));
    assert_eq!(found, expected);
}

#[test]
fn a_checkpoint_of_another_configuration_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = dir.path().join("run");
    train(config(6), settings(8), &cache, &run, Some(3)).unwrap();
    let mut other = config(6);
    other.optimizer.weight_decay = 0.2;
    let error = train(other, settings(8), &cache, &run, None).unwrap_err();
    assert!(
        matches!(
            error,
            DistillError::CheckpointMismatch {
                field: "settings",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_checkpoint_with_a_flipped_bit_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = dir.path().join("run");
    train(config(6), settings(8), &cache, &run, Some(3)).unwrap();
    let path = run.join("checkpoints/step-00000003/model.bpk");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = train(config(6), settings(8), &cache, &run, None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("model.bpk") && error.contains("step-00000003"),
        "{error}"
    );
}

#[test]
fn a_diverging_run_stops_and_names_the_step_and_keeps_its_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let mut wild = config(40);
    wild.schedule = Schedule::Wsd {
        peak: 1e30,
        warmup_steps: 0,
        decay_steps: 1,
        min_ratio: 1.0,
    };
    let mut settings = settings(8);
    settings.checkpoint_every_steps = 1;
    let error = train(wild, settings, &cache, &dir.path().join("run"), None).unwrap_err();
    let DistillError::NotFinite {
        step,
        segments,
        checkpoint,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(*step > 1 && !segments.is_empty() && Path::new(checkpoint).join("COMMIT").exists());
}

#[test]
fn a_directory_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = dir.path().join("run");
    let _held = crate::RunLock::acquire(&run).unwrap();
    let error = train(config(2), settings(8), &cache, &run, None).unwrap_err();
    assert!(matches!(error, DistillError::Locked { .. }));
}

#[test]
fn a_micro_batch_that_does_not_divide_the_window_is_refused() {
    assert!(matches!(
        Trainer::try_new(config(2), settings(3)),
        Err(DistillError::Setting {
            key: "micro_batch_sequences",
            ..
        })
    ));
}

#[test]
fn early_stopping_returns_the_best_student_and_stays_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let mut patient = overshooting(400);
    patient.early_stopping_patience = Some(2);
    let train = |run: &str, stop_after| {
        let run = dir.path().join(run);
        train(patient.clone(), settings(8), &cache, &run, stop_after).unwrap()
    };
    let (outcome, _) = train("run", None);
    assert_eq!(outcome.reason, StopReason::NoImprovement);
    let best = outcome.best.unwrap().step;
    assert!(best < outcome.steps);
    let (at_best, _) = train("until the best step", Some(best));
    assert_eq!(weights(&outcome.student), weights(&at_best.student));

    let (again, steps) = train("run", None);
    assert_eq!((again.reason, again.steps), (outcome.reason, outcome.steps));
    assert!(steps.is_empty(), "no step behind the end");
    assert_eq!(weights(&outcome.student), weights(&again.student));
}
