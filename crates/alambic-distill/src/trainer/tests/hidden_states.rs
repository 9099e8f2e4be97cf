//! Hidden states and a head in the cache: the whole distributions of a live teacher.

use std::path::Path;
use std::sync::Arc;

use alambic_cache::{CacheReader, Part, StateType, TargetKind, Targets, ValueType};
use alambic_text::{DocumentSource, Segment, StudentTokens, TeacherTokens};
use alambic_transformer::{Architecture, DecoderConfig};
use burn::module::Module;
use burn::tensor::Tensor;
use burn::train::TrainStep;

use super::small_run::{
    REORDERED_SUM_TOLERANCE, VOCAB, config, record, settings, student, train_student,
};
use crate::loss::{
    Divergence, ForwardKl, HeadPass, LogProbs, Logits, LossKind, Objective, ObjectiveTerm,
    TailTreatment, TargetBatch, Temperature, TemperatureFactor,
};
use crate::teacher::DecoderTeacher;
use crate::teacher_head::head_for;
use crate::test_device::test_device;
use crate::trainer::student::{MicroBatch, Student};
use crate::trainer::{Metrics, read_metrics};
use crate::{
    CaptureConfig, DistillError, DistillationBatch, StopHandle, TargetSequence, capture,
    hidden_targets,
};

/// A validation reading, after steps whose sums have another order.
const READING_TOLERANCE: f64 = 2e-5;
/// A sum over the labels of a batch, relatively.
const SUM_TOLERANCE: f64 = 1e-5;
/// A divergence of a distribution from itself, in f32.
const F32_KL_TOLERANCE: f64 = 1e-6;

fn teacher() -> DecoderTeacher {
    let device = test_device();
    let decoder = DecoderConfig {
        vocab_size: VOCAB,
        hidden_size: 40,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 8,
        max_position_embeddings: 32,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.3,
        architecture: Architecture::default(),
    }
    .init(&device);
    DecoderTeacher::new(decoder, "ab".repeat(32), &device)
}

/// The tokens of [`record`], as the text to capture.
fn segment(index: u64) -> Segment {
    let record = record(index);
    let (ids, mask) = (record.token_ids, record.loss_mask);
    let source = DocumentSource {
        path: "sample.jsonl".into(),
        record: index,
    };
    Segment::try_new(
        TeacherTokens::try_new(ids.clone(), mask.clone()).unwrap(),
        StudentTokens::try_new(ids, mask).unwrap(),
        source,
    )
    .unwrap()
}

fn captured(teacher: &DecoderTeacher, targets: TargetKind, directory: &Path) -> Arc<CacheReader> {
    let config = CaptureConfig {
        targets,
        temperatures: vec![1.0],
        segments_per_shard: 16,
        batch_segments: 5,
        tokenizer_fingerprint: "cd".repeat(32),
        reuse: Vec::new(),
        part: Part::whole(),
    };
    let segments = (0..64).map(|index| Ok::<_, DistillError>(segment(index)));
    capture(
        teacher,
        segments,
        directory,
        &config,
        &StopHandle::new(),
        |_| {},
    )
    .unwrap();
    alambic_cache::verify(directory).unwrap();
    Arc::new(CacheReader::open(directory).unwrap())
}

fn captured_states(
    teacher: &DecoderTeacher,
    values: StateType,
    directory: &Path,
) -> Arc<CacheReader> {
    captured(teacher, hidden_targets(teacher, values).unwrap(), directory)
}

/// Losses of the steps, and what validation read.
fn run(cache: &Arc<CacheReader>, pass: HeadPass) -> (Vec<f64>, Vec<f64>) {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(4);
    settings.head_pass = pass;
    train_student(student(), config(8), settings, cache, directory.path()).unwrap();
    let (mut losses, mut readings) = (vec![], vec![]);
    for metrics in read_metrics(&directory.path().join("metrics.jsonl")).unwrap() {
        match metrics {
            Metrics::Step(step) => losses.push(step.loss),
            Metrics::Validation(read) => readings.extend([
                read.nll,
                read.kl_to_teacher.unwrap(),
                read.top1_agreement.unwrap(),
            ]),
        }
    }
    (losses, readings)
}

/// Whole logits, and those of a few labels at a time.
fn passes() -> [HeadPass; 2] {
    let chunk_bytes = 3 * VOCAB * 4;
    [HeadPass::Whole, HeadPass::Chunked { chunk_bytes }]
}

#[test]
fn a_run_on_f32_states_has_the_losses_of_a_run_on_whole_distributions() {
    let directory = tempfile::tempdir().unwrap();
    let teacher = teacher();
    let whole = TargetKind::TopK {
        k: VOCAB,
        values: ValueType::F32,
    };
    let whole = captured(&teacher, whole, &directory.path().join("whole"));
    let states = captured_states(&teacher, StateType::F32, &directory.path().join("states"));
    let expected = run(&whole, HeadPass::Whole);
    assert_eq!((expected.0.len(), expected.1.len()), (8, 6));
    for pass in passes() {
        let found = run(&states, pass);
        for (found, expected) in found.0.iter().zip(&expected.0) {
            let error = (found - expected).abs();
            assert!(error < REORDERED_SUM_TOLERANCE, "{found}, not {expected}");
        }
        for (found, expected) in found.1.iter().zip(&expected.1) {
            let error = (found - expected).abs();
            assert!(error < READING_TOLERANCE, "{found}, not {expected}");
        }
    }
}

/// One batch of the cache, two segments in each sequence.
fn sequences(cache: &CacheReader) -> Vec<TargetSequence> {
    let packer = alambic_text::Packer {
        sequence_tokens: 32,
        pad_id: 0,
    };
    let records = cache.read_shard(0).unwrap();
    let pack = |pair: &[alambic_cache::TargetRecord]| {
        let pair: Vec<_> = pair.iter().collect();
        TargetSequence::pack(&packer, &pair, true).unwrap()
    };
    records.chunks(2).map(pack).collect()
}

#[test]
fn f32_states_serve_every_loss_at_every_temperature_like_the_live_teacher() {
    let directory = tempfile::tempdir().unwrap();
    let teacher = teacher();
    let cache = captured_states(&teacher, StateType::F32, directory.path());
    let sequences = sequences(&cache);
    let device = test_device();
    let head = head_for(&*cache, &device).unwrap();
    let batch = DistillationBatch::from_sequences(&sequences, head.as_ref(), &device);
    let logits = |decoder: &alambic_transformer::Decoder| {
        Logits::new(decoder.forward(batch.token_ids.clone(), &batch.context))
    };
    let live = TargetBatch::Logits(logits(teacher.decoder()));
    let student = student();
    let number = |sum: Tensor<1>| f64::from(sum.into_scalar::<f32>());
    for temperature in [1.0, 0.5, 3.0] {
        let terms = LossKind::OF_LABELS.map(|kind| ObjectiveTerm::published(kind, 1.0));
        let softened = Temperature::try_new(temperature, TemperatureFactor::One).unwrap();
        let objective = Objective::try_new(terms.to_vec(), TailTreatment::TailBucket).unwrap();
        let objective = objective.with_temperature(softened);
        let sums = |targets: &TargetBatch| -> Vec<f64> {
            let losses =
                objective.losses(logits(&student), &batch.labels, Some(targets), &batch.mask);
            let losses = losses.unwrap().into_iter();
            losses.map(|loss| number(loss.sum)).collect()
        };
        let expected = sums(&live);
        let mut found = vec![("as a batch", sums(batch.targets.as_ref().unwrap()))];
        for pass in passes() {
            let factors = objective.factors(1);
            let device = device.clone().autodiff();
            let batch = MicroBatch::new(&sequences, &factors, 1, head.as_ref(), &device);
            let learner = Student::new(student.clone(), objective.clone(), pass).train();
            let step = learner.step(batch);
            let sums = step.item.term_sums.into_data().try_to_vec::<f32>().unwrap();
            found.push(("as a list", sums.into_iter().map(f64::from).collect()));
        }
        for (way, found) in found {
            for ((kind, found), expected) in LossKind::OF_LABELS.iter().zip(found).zip(&expected) {
                let error = (found - expected).abs();
                assert!(
                    error < SUM_TOLERANCE * expected.abs().max(1.0),
                    "{way}, {kind:?} at {temperature}: {found}, not {expected}"
                );
            }
        }
    }
}

/// Mean KL from the live teacher to what the cache's head makes of its states, nats.
fn mean_kl(teacher: &DecoderTeacher, cache: &CacheReader) -> f64 {
    let device = test_device();
    let sequences = sequences(cache);
    let head = head_for(cache, &device).unwrap();
    let batch = DistillationBatch::from_sequences(&sequences, head.as_ref(), &device);
    let live = teacher.decoder().forward(batch.token_ids, &batch.context);
    let live = TargetBatch::Dense(LogProbs::from_logits(live));
    let stored = batch.targets.unwrap().logits("kl").unwrap();
    let pair = live.pair(&stored.into_log_probs(), TailTreatment::TailBucket);
    let per_token = ForwardKl.per_token(&pair.unwrap());
    let mask = batch.mask;
    let loss = crate::loss::TokenLoss::masked(per_token, &mask).unwrap();
    let labels: u64 = sequences.iter().map(TargetSequence::num_labels).sum();
    f64::from(loss.sum.into_scalar::<f32>()) / labels as f64
}

#[test]
fn the_error_of_rounding_shrinks_with_the_bits() {
    let directory = tempfile::tempdir().unwrap();
    let teacher = teacher();
    let errors = StateType::ALL.map(|values| {
        let directory = directory.path().join(format!("{values:?}"));
        mean_kl(&teacher, &captured_states(&teacher, values, &directory))
    });
    let [f32, f16, int8, int6, int4] = errors;
    assert!(
        f32.abs() < F32_KL_TOLERANCE && f16.abs() < F32_KL_TOLERANCE,
        "{errors:?}"
    );
    // Two bits less make the steps four times as large, and a divergence grows with their square.
    assert!(int8 < int6 / 8.0 && int6 < int4 / 8.0, "{errors:?}");
    assert!(0.0 < int8 && int4 < 0.1, "{errors:?}");
}

#[test]
fn rows_are_captured_as_the_teacher_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let teacher = teacher();
    let cache = captured_states(&teacher, StateType::F16, directory.path());
    let states = captured_states(&teacher, StateType::F32, &directory.path().join("exact"));
    for (rounded, exact) in cache
        .read_shard(2)
        .unwrap()
        .iter()
        .zip(states.read_shard(2).unwrap())
    {
        let (Targets::Hidden(rounded), Targets::Hidden(exact)) = (&rounded.targets, exact.targets)
        else {
            panic!("hidden states");
        };
        assert_eq!(Some(rounded), exact.rounded(StateType::F16).as_ref());
    }
}
