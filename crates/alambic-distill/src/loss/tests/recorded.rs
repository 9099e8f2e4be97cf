//! Losses and gradients recorded from PyTorch in `f64` (`tools/golden/record_losses.py`).

#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;

use super::*;
use crate::test_device::test_device;

/// Sums of a few hundred `f32` terms of order one.
const VALUE_TOLERANCE: f64 = 2e-5;
/// Single gradients in `f32`.
const GRADIENT_TOLERANCE: f64 = 2e-6;

#[derive(Deserialize)]
struct Recording {
    student_logits: Vec<Vec<f32>>,
    labels: Vec<i32>,
    cross_entropy: RecordedLoss,
    forward_kl: Vec<RecordedKl>,
}

#[derive(Deserialize)]
struct RecordedLoss {
    sum: f64,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct RecordedKl {
    k: usize,
    target_ids: Vec<Vec<i32>>,
    target_log_probs: Vec<Vec<f64>>,
    tail_mass: Vec<f64>,
    sum: f64,
    gradient: Vec<Vec<f64>>,
}

fn recording() -> Recording {
    serde_json::from_str(include_str!(
        "../../../../../tests/golden/losses/forward_kl_top_k.json"
    ))
    .unwrap()
}

fn leaf(rows: &[Vec<f32>], device: &Device) -> Tensor<3> {
    let values: Vec<f32> = rows.iter().flatten().copied().collect();
    Tensor::from_data(
        TensorData::new(values, [1, rows.len(), rows[0].len()]),
        device,
    )
    .require_grad()
}

fn assert_equal(name: &str, logits: &Tensor<3>, loss: TokenLoss, sum: f64, gradient: &[Vec<f64>]) {
    let value = f64::from(loss.sum.clone().into_scalar::<f32>());
    assert!(
        (value - sum).abs() < VALUE_TOLERANCE * sum.abs().max(1.0),
        "{name}: {value} against {sum}"
    );
    let ours = logits
        .grad(&loss.sum.backward())
        .unwrap()
        .into_data()
        .convert::<f32>();
    let ours = ours.try_to_vec::<f32>().unwrap();
    for (index, (ours, theirs)) in ours.iter().zip(gradient.iter().flatten()).enumerate() {
        let error = (f64::from(*ours) - theirs).abs();
        assert!(
            error < GRADIENT_TOLERANCE,
            "{name}, entry {index}: {ours} against {theirs}"
        );
    }
}

#[test]
fn forward_kl_and_its_gradient_equal_those_recorded_from_pytorch() {
    let recording = recording();
    let device = test_device().autodiff();
    let rows = recording.student_logits.len();
    for recorded in &recording.forward_kl {
        let floats = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
        let targets = TopKTargetBatch::from_host(
            recorded.target_ids.concat(),
            floats(&recorded.target_log_probs.concat()),
            floats(&recorded.tail_mass),
            vec![0.0; rows],
            [1, rows, recorded.k],
            &device,
        );
        let logits = leaf(&recording.student_logits, &device);
        let mask = LabelMask::new(&vec![true; rows], [1, rows], &device);
        let student = LogProbs::from_logits(logits.clone());
        let pair = DistributionPair::top_k(&targets, &student, TailTreatment::TailBucket).unwrap();
        let loss = ForwardKl.forward(&pair, &mask).unwrap();
        assert_equal(
            &format!("k = {}", recorded.k),
            &logits,
            loss,
            recorded.sum,
            &recorded.gradient,
        );
    }
}

#[test]
fn cross_entropy_and_its_gradient_equal_those_recorded_from_pytorch() {
    let recording = recording();
    let device = test_device().autodiff();
    let rows = recording.labels.len();
    let labels = Tensor::<2, Int>::from_data(
        TensorData::new(recording.labels.clone(), [1, rows]),
        &device,
    );
    let logits = leaf(&recording.student_logits, &device);
    let mask = LabelMask::new(&vec![true; rows], [1, rows], &device);
    let loss = CrossEntropy
        .forward(&LogProbs::from_logits(logits.clone()), &labels, &mask)
        .unwrap();
    let recorded = &recording.cross_entropy;
    assert_equal(
        "cross-entropy",
        &logits,
        loss,
        recorded.sum,
        &recorded.gradient,
    );
}
