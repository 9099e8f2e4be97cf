//! Twenty optimizer steps recorded from PyTorch (`tools/golden/record_training.py`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use alambic_text::{PackedSequence, PlacedSegment};
use alambic_transformer::{Decoder, Precision, load_checkpoint};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::SequenceTargets;
use crate::loss::{
    HeadPass, LogProbs, LossKind, LossSetting, Objective, ObjectiveTerm, TailTreatment,
    Temperature, TemperatureFactor,
};
use crate::teacher::{DecoderTeacher, Teacher};
use crate::test_device::test_device;
use crate::top_k::TopKSelector;
use crate::trainer::checkpoint::{CheckpointState, CheckpointStore, RunIdentity};
use crate::trainer::steps::Run;
use crate::trainer::{
    AdamWSettings, Metrics, RunSettings, Schedule, StepMetrics, Trainer, TrainerConfig, launch,
};
use crate::windows::WindowSource;
use crate::{DataPosition, DistillError, StopHandle, TargetSequence, Window, WindowConfig};

/// Relative error of loss, cross-entropy and learning rate: PyTorch's own on another thread count is 4e-7.
const LOSS_TOLERANCE: f64 = 1e-5;
/// Relative error of the distillation term, which falls to a small difference of large numbers, and of the
/// gradient's norm.
const TERM_TOLERANCE: f64 = 1e-4;
/// Weights after twenty steps of AdamW, which divides by small second moments.
const WEIGHT_TOLERANCE: f32 = 2e-4;
/// How much more all of this may be on other devices than the CPU backend flex.
const OTHER_DEVICES: f64 = 10.0;

/// Relative error of the losses of runs of rounded products.
const ROUNDED_LOSS_TOLERANCES: [(Precision, f64); 2] =
    [(Precision::Bf16, 2e-3), (Precision::F16, 2e-4)];
/// A recorded run that stands in the repository; its models are in the shared data directory.
const OWN_RUN: &str = "../../tests/golden/train/llama-tied-gqa2_from_llama_forward_kl";

fn allowance() -> f64 {
    match test_device() == Device::flex() {
        true => 1.0,
        false => OTHER_DEVICES,
    }
}

/// How a run computes, with the same result but for roundings.
#[derive(Clone, Copy)]
struct Variant {
    head_pass: HeadPass,
    recompute_layers: bool,
    precision: Precision,
}

/// Everything held at once.
const AT_ONCE: Variant = Variant {
    head_pass: HeadPass::Whole,
    recompute_layers: false,
    precision: Precision::F32,
};
/// Logits of three labels at a time, and what is inside of one layer.
const IN_PARTS: Variant = Variant {
    head_pass: HeadPass::Chunked { chunk_bytes: 5_000 },
    recompute_layers: true,
    precision: Precision::F32,
};

#[derive(Deserialize)]
struct Recording {
    student: String,
    teacher: String,
    loss: String,
    beta: f64,
    temperature: f64,
    kd_weight: f64,
    ce_weight: f64,
    clip_global_norm: f64,
    optimizer: RecordedOptimizer,
    schedule: RecordedSchedule,
    steps: Vec<RecordedStep>,
}

#[derive(Deserialize)]
struct RecordedOptimizer {
    lr: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
}

#[derive(Deserialize)]
struct RecordedSchedule {
    warmup_steps: u64,
    total_steps: u64,
    min_lr_ratio: f64,
}

#[derive(Deserialize)]
struct RecordedStep {
    tokens: u64,
    kd: f64,
    ce: f64,
    loss: f64,
    grad_norm: f64,
    lr: f64,
}

/// Windows in the recorded order.
struct RecordedWindows(std::vec::IntoIter<Window>);

impl WindowSource for RecordedWindows {
    fn next_window(&mut self) -> Result<Window, DistillError> {
        Ok(self.0.next().expect("one window per recorded step"))
    }

    fn position(&self) -> DataPosition {
        DataPosition::default()
    }
}

fn shared() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let dir = std::env::var_os("ALAMBIC_SHARED").map_or(default, PathBuf::from);
    if dir.join("golden/hf").exists() {
        return Some(dir);
    }
    #[allow(clippy::print_stderr, reason = "a skipped test must be heard")]
    {
        eprintln!(
            "skipped: recorded training needs the shared data directory (set ALAMBIC_SHARED)"
        );
    }
    None
}

fn read_ints(tensors: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let view = tensors.tensor(name).unwrap();
    match view.dtype() {
        safetensors::Dtype::I32 => view
            .data()
            .chunks_exact(4)
            .map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap()) as u32)
            .collect(),
        safetensors::Dtype::U8 => view.data().iter().map(|&byte| u32::from(byte)).collect(),
        other => panic!("unexpected type {other:?}"),
    }
}

/// `[steps, accumulation, batch, seq]` as one sequence per row, with the teacher's whole distribution.
fn windows(teacher: &DecoderTeacher, temperature: f64, path: &Path) -> Vec<Window> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let shape = tensors.tensor("input_ids").unwrap().shape().to_vec();
    let (per_step, seq) = (shape[1] * shape[2], shape[3]);
    let (ids, mask) = (
        read_ints(&tensors, "input_ids"),
        read_ints(&tensors, "loss_mask"),
    );
    let rows: Vec<TargetSequence> = ids
        .chunks_exact(seq)
        .zip(mask.chunks_exact(seq))
        .map(|(ids, mask)| sequence(teacher, temperature, ids, mask))
        .collect();
    rows.chunks(per_step)
        .map(|rows| Window {
            sequences: rows.to_vec(),
            num_labels: rows.iter().map(TargetSequence::num_labels).sum(),
        })
        .collect()
}

fn sequence(
    teacher: &DecoderTeacher,
    temperature: f64,
    ids: &[u32],
    mask: &[u32],
) -> TargetSequence {
    let seq = ids.len();
    let next = |values: &[u32]| [&values[1..], &[0]].concat();
    let packed = PackedSequence {
        token_ids: ids.to_vec(),
        labels: next(ids),
        label_mask: next(mask).into_iter().map(|counted| counted == 1).collect(),
        positions: (0..seq as u32).collect(),
        document_ids: vec![1; seq],
        segments: vec![PlacedSegment {
            index: 0,
            start: 0,
            tokens: seq,
        }],
    };
    let input: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let input = Tensor::<2, Int>::from_data(TensorData::new(input, [1, seq]), teacher.device());
    let targets = whole_distribution(&teacher.log_probs(input), temperature as f32);
    TargetSequence {
        packed,
        targets: Some(targets),
        segment_keys: vec!["recorded".into()],
    }
}

fn whole_distribution(log_probs: &LogProbs, temperature: f32) -> SequenceTargets {
    let [_, seq, vocab] = log_probs.dims();
    let values = log_probs
        .tensor()
        .clone()
        .into_data()
        .convert::<f32>()
        .try_to_vec::<f32>()
        .unwrap();
    let further: &[f32] = if temperature == 1.0 {
        &[]
    } else {
        &[temperature]
    };
    let mut selector = TopKSelector::new(vocab, further);
    values
        .chunks_exact(vocab)
        .for_each(|row| selector.push(row));
    SequenceTargets::from_rows(&selector.finish(), seq)
}

impl Recording {
    fn open(directory: &Path) -> Self {
        serde_json::from_slice(&std::fs::read(directory.join("run.json")).unwrap()).unwrap()
    }

    fn distillation(&self) -> ObjectiveTerm {
        match self.loss.as_str() {
            "forward_kl" => ObjectiveTerm::new(LossKind::ForwardKl, self.kd_weight),
            "reverse_kl" => ObjectiveTerm::new(LossKind::ReverseKl, self.kd_weight),
            "jsd" => ObjectiveTerm::new(LossKind::JensenShannon, self.kd_weight)
                .with(LossSetting::Beta, self.beta),
            other => panic!("{other}"),
        }
    }

    fn temperature(&self) -> Temperature {
        Temperature::try_new(self.temperature, TemperatureFactor::Squared).unwrap()
    }
}

fn config(recording: &Recording, precision: Precision) -> TrainerConfig {
    TrainerConfig {
        objective: Objective::try_new(
            vec![
                recording.distillation(),
                ObjectiveTerm::new(LossKind::CrossEntropy, recording.ce_weight),
            ],
            TailTreatment::TailBucket,
        )
        .unwrap()
        .with_temperature(recording.temperature()),
        optimizer: AdamWSettings {
            betas: recording.optimizer.betas,
            epsilon: recording.optimizer.eps,
            weight_decay: recording.optimizer.weight_decay,
        },
        schedule: Schedule::Cosine {
            peak: recording.optimizer.lr,
            warmup_steps: recording.schedule.warmup_steps,
            min_ratio: recording.schedule.min_lr_ratio,
        },
        windows: WindowConfig {
            seed: 0,
            sequences_per_step: 4,
            sequence_tokens: 32,
            shuffle_shards: 1,
            pad_id: 0,
        },
        max_gradient_norm: Some(recording.clip_global_norm),
        total_steps: recording.schedule.total_steps,
        precision,
        early_stopping_patience: None,
    }
}

/// Trains on the recorded windows and returns the steps' metrics and the final student.
fn train(
    recording: &Recording,
    student: Decoder,
    windows: Vec<Window>,
    variant: Variant,
    device: &Device,
) -> (Vec<StepMetrics>, Decoder) {
    let config = config(recording, variant.precision);
    let student = student.computing_in(variant.precision).unwrap();
    let settings = RunSettings {
        micro_batch_sequences: 2,
        head_pass: variant.head_pass,
        recompute_layers: variant.recompute_layers,
        checkpoint_every_steps: 1000,
        keep_checkpoints: 1,
        evaluate_every_steps: 1000,
        dashboard: false,
    };
    let directory = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(&directory.path().join("checkpoints")).unwrap();
    let identity = RunIdentity {
        config: config.clone(),
        student: student.config().clone(),
        lora: None,
        data: "recorded".into(),
        teacher: None,
    };
    let state = CheckpointState::new(0, DataPosition::default(), identity);
    let trainer = Trainer::try_new(config.clone(), settings.clone()).unwrap();
    let learner = trainer
        .learner(student, None, None, &store, &state)
        .unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let steps = steps.clone();
        move |metrics: &Metrics| {
            if let Metrics::Step(step) = metrics {
                steps.lock().unwrap().push(step.clone());
            }
        }
    };
    let run = Run {
        config,
        settings,
        device: device.clone().autodiff(),
        windows: Box::new(RecordedWindows(windows.into_iter())),
        teacher_head: None,
        validation: None,
        validation_head: None,
        store,
        sinks: vec![Box::new(sink)],
        stop: StopHandle::new(),
        state,
        aligned_teacher: None,
        live_teacher: None,
    };
    let outcome = launch(run, learner, directory.path()).unwrap();
    let steps = steps.lock().unwrap().clone();
    (steps, outcome.student)
}

#[test]
fn twenty_steps_equal_those_recorded_from_pytorch() {
    let Some(shared) = shared() else { return };
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(OWN_RUN);
    let recorded = [
        "qwen3_from_llama_forward_kl",
        "llama-tied-gqa2_from_phi3_jsd",
        "qwen2_from_mistral-sliding_reverse_kl",
    ];
    let recorded = recorded.map(|name| shared.join("golden/train").join(name));
    for golden in std::iter::once(own).chain(recorded) {
        assert_equal_runs(&golden, &shared.join("golden/hf"));
    }
}

fn assert_equal_runs(golden: &Path, checkpoints: &Path) {
    let device = test_device();
    let recording = Recording::open(golden);
    // A software GPU takes a minute for one of them.
    let first = usize::from(device != Device::flex());
    for variant in [AT_ONCE, IN_PARTS].into_iter().skip(first) {
        let (steps, student) = run_of(&recording, golden, checkpoints, variant);
        assert_equal_steps(&recording, &steps);
        let expected = load_checkpoint(&golden.join("final_student"), &device).unwrap();
        assert_weights_close(&student, &expected.decoder);
    }
}

/// The recorded run as a variant computes it.
fn run_of(
    recording: &Recording,
    golden: &Path,
    checkpoints: &Path,
    variant: Variant,
) -> (Vec<StepMetrics>, Decoder) {
    let device = test_device();
    let load = |name: &str| load_checkpoint(&checkpoints.join(name), &device).unwrap();
    let teacher = DecoderTeacher::from_checkpoint(load(&recording.teacher), &device);
    let batches = golden.join("batches.safetensors");
    let windows = windows(&teacher, recording.temperature, &batches);
    let student = load(&recording.student).decoder;
    train(recording, student, windows, variant, &device)
}

/// The loss of each step of a run in f32 was recorded; a run of rounded products stays beside it.
#[test]
fn twenty_steps_of_rounded_products_stay_beside_the_recorded_ones() {
    let Some(shared) = shared() else { return };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(OWN_RUN);
    let recording = Recording::open(&golden);
    for (precision, tolerance) in ROUNDED_LOSS_TOLERANCES {
        if !precision.is_supported(&test_device()) {
            continue;
        }
        let variant = Variant {
            precision,
            ..IN_PARTS
        };
        let (steps, _) = run_of(&recording, &golden, &shared.join("golden/hf"), variant);
        assert_eq!(steps.len(), recording.steps.len());
        for (ours, theirs) in steps.iter().zip(&recording.steps) {
            let error = (ours.loss - theirs.loss).abs() / theirs.loss;
            assert!(
                error < tolerance,
                "{precision:?}: {error} at step {}",
                ours.step
            );
        }
    }
}

fn assert_equal_steps(recording: &Recording, steps: &[StepMetrics]) {
    assert_eq!(steps.len(), recording.steps.len());
    let term = recording.distillation().kind.name();
    // What is logged of a term leaves the factor out, what was recorded does not.
    let factor = recording.temperature().factor();
    for (ours, theirs) in steps.iter().zip(&recording.steps) {
        let close = |name: &str, ours: f64, theirs: f64, tolerance: f64| {
            let error = (ours - theirs).abs() / theirs.abs();
            let (student, teacher) = (&recording.student, &recording.teacher);
            assert!(
                error < tolerance * allowance(),
                "{student} from {teacher}: {name} is {ours}, recorded {theirs}, error {error}"
            );
        };
        close(term, factor * ours.terms[term], theirs.kd, TERM_TOLERANCE);
        close(
            "cross-entropy",
            ours.terms["cross_entropy"],
            theirs.ce,
            LOSS_TOLERANCE,
        );
        close("loss", ours.loss, theirs.loss, LOSS_TOLERANCE);
        close(
            "gradient norm",
            ours.gradient_norm,
            theirs.grad_norm,
            TERM_TOLERANCE,
        );
        close(
            "learning rate",
            ours.learning_rate,
            theirs.lr,
            LOSS_TOLERANCE,
        );
    }
    assert_eq!(
        steps.last().unwrap().tokens,
        recording.steps.iter().map(|step| step.tokens).sum::<u64>()
    );
}

fn assert_weights_close(ours: &Decoder, theirs: &Decoder) {
    let (ours, theirs) = (
        super::small_run::weights(ours),
        super::small_run::weights(theirs),
    );
    assert_eq!(ours.len(), theirs.len());
    let worst = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(
        worst < WEIGHT_TOLERANCE * allowance() as f32,
        "the worst weight differs by {worst}"
    );
}
