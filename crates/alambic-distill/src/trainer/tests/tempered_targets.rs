//! From a capture at declared temperatures to losses and steps at them.

use std::path::Path;
use std::sync::Arc;

use alambic_cache::{CacheReader, Part, TargetKind, TargetRecord, ValueType};
use alambic_text::{DocumentSource, Packer, Segment, StudentTokens, TeacherTokens};
use alambic_transformer::DecoderConfig;
use burn::tensor::Tensor;
use rand::RngExt;

use super::small_run::{VOCAB, config, settings, student, train};
use crate::loss::{
    Divergence, ForwardKl, LabelTargets, Objective, TailTreatment, TargetBatch, Temperature,
    TemperatureFactor,
};
use crate::teacher::{DecoderTeacher, Teacher};
use crate::test_device::test_device;
use crate::token_batch::right_padded;
use crate::trainer::TrainerConfig;
use crate::trainer::label_list::LabelList;
use crate::{
    CaptureConfig, DistillError, DistillationBatch, StopHandle, TargetSequence, capture, seeding,
};

const TEMPERATURE: f64 = 2.0;
/// Values of a divergence in `f32`, from numbers that went through a cache.
const F32_TOLERANCE: f64 = 2e-5;
/// The same where log-probabilities were rounded to f16.
const F16_TOLERANCE: f64 = 5e-3;

fn teacher() -> DecoderTeacher {
    let decoder = DecoderConfig {
        initializer_range: 0.4,
        ..student().config().clone()
    };
    DecoderTeacher::new(
        decoder.init(&test_device()),
        "ab".repeat(32),
        &test_device(),
    )
}

fn untrained() -> DecoderTeacher {
    DecoderTeacher::new(student(), "ef".repeat(32), &test_device())
}

fn segment(index: u64) -> Segment {
    let mut random = seeding::stream(3, &format!("segment {index}"));
    let num_tokens = random.random_range(5..16usize);
    let ids: Vec<u32> = (0..num_tokens)
        .map(|_| random.random_range(0..VOCAB as u32))
        .collect();
    let mask: Vec<bool> = (0..num_tokens).map(|token| token > 1).collect();
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

fn captured(
    teacher: &DecoderTeacher,
    k: usize,
    values: ValueType,
    directory: &Path,
) -> Arc<CacheReader> {
    let config = CaptureConfig {
        targets: TargetKind::TopK { k, values },
        temperatures: vec![1.0, TEMPERATURE as f32],
        segments_per_shard: 16,
        batch_segments: 3,
        tokenizer_fingerprint: "cd".repeat(32),
        reuse: Vec::new(),
        part: Part::whole(),
    };
    let segments = (0..64).map(|index| Ok::<_, DistillError>(segment(index)));
    let stop = StopHandle::new();
    capture(teacher, segments, directory, &config, &stop, |_| {}).unwrap();
    alambic_cache::verify(directory).unwrap();
    Arc::new(CacheReader::open(directory).unwrap())
}

fn floats(values: Tensor<2>) -> Vec<f64> {
    let values = values.into_data().convert::<f64>();
    values.try_to_vec().unwrap()
}

/// Forward KL at the labels of a record: from the cache, and from the teacher itself.
fn both(
    teacher: &DecoderTeacher,
    record: &TargetRecord,
    student: &DecoderTeacher,
) -> [Vec<f64>; 2] {
    let packer = Packer {
        sequence_tokens: record.num_tokens(),
        pad_id: 0,
    };
    let sequences = [TargetSequence::pack(&packer, &[record], true).unwrap()];
    let device = test_device();
    let batch = DistillationBatch::from_sequences(&sequences, None, &device);
    let labels = LabelList::of(&sequences, &batch).unwrap();
    let Some(LabelTargets::TopK(_)) = labels.targets() else {
        panic!("the most likely tokens");
    };
    let stored = labels.targets().unwrap().range(0..labels.len());
    let rows: Vec<i32> = (0..record.num_tokens() as i32)
        .filter(|&row| sequences[0].packed.label_mask[row as usize])
        .collect();
    let at_labels = |model: &DecoderTeacher| {
        let all = model.log_probs(right_padded(&[&record.token_ids], &device));
        let rows = Tensor::<1, burn::tensor::Int>::from_ints(rows.as_slice(), &device);
        let picked = all.tensor().clone().select(1, rows);
        crate::loss::LogProbs::from_logits(picked)
            .at_temperature(TEMPERATURE)
            .unwrap()
    };
    let student = at_labels(student);
    let dense = TargetBatch::Dense(at_labels(teacher));
    let stored = stored.at_temperature(TEMPERATURE).unwrap();
    [stored, dense].map(|targets| {
        let pair = targets.pair(&student, TailTreatment::TailBucket).unwrap();
        floats(ForwardKl.per_token(&pair))
    })
}

#[test]
fn targets_of_all_tokens_are_the_dense_ones_at_the_declared_temperature() {
    let (teacher, student) = (teacher(), untrained());
    for (values, tolerance) in [
        (ValueType::F32, F32_TOLERANCE),
        (ValueType::F16, F16_TOLERANCE),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let cache = captured(&teacher, VOCAB, values, directory.path());
        for record in &cache.read_shard(0).unwrap() {
            let [stored, dense] = both(&teacher, record, &student);
            assert_eq!(stored.len(), record.num_targets());
            for (x, y) in stored.iter().zip(&dense) {
                assert!((x - y).abs() < tolerance, "{values:?}: {x} {y}");
            }
        }
    }
}

#[test]
fn a_truncation_is_a_lower_bound_of_the_dense_divergence_at_the_temperature() {
    let (teacher, student) = (teacher(), untrained());
    let directory = tempfile::tempdir().unwrap();
    let cache = captured(&teacher, 6, ValueType::F32, directory.path());
    let mut gap = 0.0f64;
    for record in &cache.read_shard(0).unwrap() {
        let [stored, dense] = both(&teacher, record, &student);
        for (x, y) in stored.iter().zip(&dense) {
            assert!(-F32_TOLERANCE < *x && *x < y + F32_TOLERANCE, "{x} {y}");
            gap = gap.max(y - x);
        }
    }
    assert!(gap > 1e-3, "{gap}");
}

#[test]
fn a_student_is_trained_at_a_declared_temperature_and_at_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let cache = captured(&teacher(), 6, ValueType::Coarse, &path.join("cache"));
    let at = |temperature: f64| {
        let objective = Objective::soft_labels();
        let temperature = Temperature::try_new(temperature, TemperatureFactor::Squared).unwrap();
        let config = TrainerConfig {
            objective: objective.with_temperature(temperature),
            ..config(4)
        };
        let run = path.join(format!("run at {}", temperature.value()));
        train(config, settings(8), &cache, &run, None)
    };
    for temperature in [1.0, TEMPERATURE] {
        let (_, steps) = at(temperature).unwrap();
        assert_eq!(steps.len(), 4);
        assert!(
            steps
                .iter()
                .all(|step| step.loss.is_finite() && step.loss > 0.0)
        );
    }
    let error = at(3.0).unwrap_err().to_string();
    assert!(error.contains("declared at capture"), "{error}");
    assert!(error.contains("[1.0, 2.0]"), "{error}");
}
