//! Whole logits or chunks of them: the same run.

use std::sync::Arc;

use alambic_cache::CacheReader;
use alambic_transformer::Decoder;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::train::TrainStep;

use super::small_run::{
    REORDERED_SUM_TOLERANCE, VOCAB, cache, config, record, settings, student, train_student,
    untied_student,
};
use crate::loss::{HeadPass, Objective};
use crate::test_device::test_device;
use crate::trainer::student::{MicroBatch, Student};
use crate::trainer::{Metrics, read_metrics};
use crate::{DistillationBatch, TargetSequence};

/// A validation reading, after steps whose sums have another order.
const READING_TOLERANCE: f64 = 2e-5;

/// Whole logits, and those of one label, of some labels and of all.
fn passes() -> [HeadPass; 4] {
    let chunked = |labels: usize| HeadPass::Chunked {
        chunk_bytes: labels * VOCAB * 4,
    };
    [HeadPass::Whole, chunked(1), chunked(7), chunked(1_000)]
}

/// Losses of the steps, and what validation read.
fn run(student: Decoder, pass: HeadPass, cache: &Arc<CacheReader>) -> (Vec<f64>, Vec<f64>) {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(4);
    settings.head_pass = pass;
    train_student(student, config(8), settings, cache, directory.path()).unwrap();
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

#[test]
fn every_pass_over_the_head_gives_the_same_steps_and_readings() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(directory.path());
    for start in [student(), untied_student()] {
        let results = passes().map(|pass| run(start.clone(), pass, &cache));
        let [whole, chunked @ ..] = &results;
        assert_eq!((whole.0.len(), whole.1.len()), (8, 6));
        for (losses, readings) in chunked {
            for (found, expected) in losses.iter().zip(&whole.0) {
                let error = (found - expected).abs();
                assert!(error < REORDERED_SUM_TOLERANCE, "{found}, not {expected}");
            }
            for (found, expected) in readings.iter().zip(&whole.1) {
                let error = (found - expected).abs();
                assert!(error < READING_TOLERANCE, "{found}, not {expected}");
            }
        }
    }
}

/// Segments of the cache, each a sequence; the last without a counted label.
fn sequences() -> Vec<TargetSequence> {
    let packer = alambic_text::Packer {
        sequence_tokens: 16,
        pad_id: 0,
    };
    let mut sequences: Vec<TargetSequence> = (0..3)
        .map(|index| TargetSequence::pack(&packer, &[&record(index)], true).unwrap())
        .collect();
    sequences[2].packed.label_mask.fill(false);
    sequences
}

#[test]
fn a_micro_batch_without_labels_adds_nothing() {
    let device = test_device().autodiff();
    let sequences = sequences();
    let labels = sequences.iter().map(TargetSequence::num_labels).sum();
    let objective = config(1).objective;
    let students = || [student(), untied_student()];
    for (pass, decoder) in passes()
        .into_iter()
        .flat_map(|pass| students().map(|decoder| (pass, decoder)))
    {
        let student = Student::new(decoder, objective.clone(), pass).train();
        let gradients = |sequences: &[TargetSequence]| {
            let batch = MicroBatch::new(sequences, &objective.factors(1), labels, None, &device);
            let output = student.step(batch);
            let norm = crate::trainer::gradients::global_norm(&student, &output.grads);
            let sums: Vec<f32> = output.item.term_sums.into_data().try_to_vec().unwrap();
            (norm, sums)
        };
        assert_eq!(gradients(&sequences[2..]), (0.0, vec![0.0, 0.0]));
        let (norm, sums) = gradients(&sequences);
        let (expected_norm, expected) = gradients(&sequences[..2]);
        assert!((norm - expected_norm).abs() < REORDERED_SUM_TOLERANCE);
        for (found, expected) in sums.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5 * expected.abs());
        }
    }
}

/// The plain way: whole logits of every position, counted or not, and a mask.
#[test]
fn lists_of_labels_give_the_masked_sums_of_whole_batches() {
    let device = test_device();
    let sequences = sequences();
    let batch = DistillationBatch::from_sequences(&sequences, None, &device);
    let objective: Objective = config(1).objective;
    let decoder = student();
    let logits = decoder.forward(batch.token_ids.clone(), &batch.context);
    let masked = objective
        .losses(
            crate::loss::Logits::new(logits),
            &batch.labels,
            batch.targets.as_ref(),
            &batch.mask,
        )
        .unwrap();
    let number = |sum: Tensor<1>| f64::from(sum.into_scalar::<f32>());
    for pass in passes() {
        let student = Student::new(decoder.clone(), objective.clone(), pass).train();
        let factors = objective.factors(1);
        let batch = MicroBatch::new(&sequences, &factors, 1, None, &device.clone().autodiff());
        let sums: Vec<f32> = student
            .step(batch)
            .item
            .term_sums
            .into_data()
            .try_to_vec()
            .unwrap();
        for (found, expected) in sums.iter().zip(&masked) {
            let expected = number(expected.sum.clone());
            assert!((f64::from(*found) - expected).abs() < 1e-5 * expected.abs());
        }
    }
}

#[test]
fn a_chunk_of_no_bytes_is_refused() {
    let mut settings = settings(8);
    settings.head_pass = HeadPass::Chunked { chunk_bytes: 0 };
    let error = crate::trainer::Trainer::try_new(config(2), settings)
        .err()
        .unwrap();
    assert!(error.to_string().contains("chunk_bytes is 0"), "{error}");
}
