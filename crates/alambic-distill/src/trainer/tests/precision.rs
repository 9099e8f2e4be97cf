//! Students whose matrix products are rounded, and whose layers are computed again.

use std::path::Path;

use alambic_transformer::Precision;

use super::small_run::{cache, config, settings, student, train, watched, weights};
use crate::DistillError;
use crate::loss::{LossKind, Objective, ObjectiveTerm, TailTreatment};
use crate::test_device::test_device;
use crate::trainer::{
    RunSettings, StepMetrics, StopReason, Trainer, TrainerConfig, TrainingOutcome,
};

/// Relative error of losses after a few steps of rounded products.
const ROUNDED_LOSS: f64 = 2e-2;
/// The same of norms of gradients.
const ROUNDED_NORM: f64 = 1e-1;
/// Relative error of norms of gradients whose sums are in another order.
const REORDERED_NORM: f64 = 1e-4;

/// Trains in all precisions that the device has, with layers kept and computed again: all runs stay beside the one in f32
/// that keeps them.
pub(super) fn assert_variants_agree(
    config: &TrainerConfig,
    train: impl Fn(Trainer, &Path) -> Result<TrainingOutcome, DistillError>,
) {
    let dir = tempfile::tempdir().unwrap();
    let run = |precision: Precision, recompute_layers: bool| {
        let config = TrainerConfig {
            precision,
            ..config.clone()
        };
        let settings = RunSettings {
            recompute_layers,
            ..settings(4)
        };
        let (trainer, steps) = watched(Trainer::try_new(config, settings).unwrap(), None);
        let name = format!("{}-{recompute_layers}", precision.name());
        train(trainer, &dir.path().join(name)).unwrap();
        let steps = steps.lock().unwrap();
        steps.clone()
    };
    let expected = run(Precision::F32, false);
    let all = Precision::ALL.into_iter();
    let all = all.filter(|precision| precision.is_supported(&test_device()));
    let mut variants: Vec<(Precision, bool)> = all
        .flat_map(|precision| [(precision, false), (precision, true)])
        .skip(1)
        .collect();
    // A software GPU takes its time for each: the last one has everything.
    if test_device() != burn::tensor::Device::flex() {
        variants.drain(..variants.len() - 1);
    }
    for (precision, recompute_layers) in variants {
        let found = run(precision, recompute_layers);
        let what = format!("{precision:?}, computed again: {recompute_layers}");
        let (of_loss, of_norm) = match precision {
            Precision::F32 => (REORDERED_NORM, REORDERED_NORM),
            _ => (ROUNDED_LOSS, ROUNDED_NORM),
        };
        assert_beside(&found, &expected, of_loss, of_norm, &what);
    }
}

fn assert_beside(
    found: &[StepMetrics],
    expected: &[StepMetrics],
    of_loss: f64,
    of_norm: f64,
    what: &str,
) {
    assert_eq!(found.len(), expected.len(), "{what}");
    assert!(!found.is_empty());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.tokens, expected.tokens, "{what}");
        let error = (found.loss / expected.loss - 1.0).abs();
        assert!(
            error < of_loss,
            "{what}: the loss, {error} at step {}",
            found.step
        );
        let error = (found.gradient_norm / expected.gradient_norm - 1.0).abs();
        assert!(
            error < of_norm,
            "{what}: the norm, {error} at step {}",
            found.step
        );
    }
}

fn in_precision(precision: Precision, total_steps: u64) -> TrainerConfig {
    TrainerConfig {
        precision,
        ..config(total_steps)
    }
}

fn narrow() -> impl Iterator<Item = Precision> {
    let narrow = [Precision::Bf16, Precision::F16].into_iter();
    narrow.filter(|precision| precision.is_supported(&test_device()))
}

fn losses(steps: &[StepMetrics]) -> Vec<f64> {
    steps.iter().map(|step| step.loss).collect()
}

#[test]
fn rounded_runs_stay_beside_exact_ones_and_say_their_loss_scale() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = |precision: Precision| {
        let directory = dir.path().join(precision.name());
        let config = in_precision(precision, 20);
        train(config, settings(8), &cache, &directory, None).unwrap()
    };
    let (_, exact) = run(Precision::F32);
    assert!(exact.iter().all(|step| step.loss_scale.is_none()));
    for precision in narrow() {
        let (outcome, rounded) = run(precision);
        let scaled = precision == Precision::F16;
        assert_beside(
            &rounded,
            &exact,
            ROUNDED_LOSS,
            ROUNDED_NORM,
            precision.name(),
        );
        for (rounded, exact) in rounded.iter().zip(&exact) {
            assert_ne!(rounded.loss, exact.loss);
            assert_eq!(rounded.loss_scale.is_some(), scaled);
        }
        assert_eq!(outcome.student.precision(), Precision::F32);
    }
}

/// A term of a weight that overflows f16 at the first scale.
fn steep(total_steps: u64) -> TrainerConfig {
    let term = ObjectiveTerm::new(LossKind::ForwardKl, 3e4);
    TrainerConfig {
        objective: Objective::try_new(vec![term], TailTreatment::TailBucket).unwrap(),
        ..in_precision(Precision::F16, total_steps)
    }
}

#[test]
fn a_step_whose_gradients_overflow_is_computed_again_on_the_same_data() {
    if !Precision::F16.is_supported(&test_device()) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = |name: &str, config: TrainerConfig| {
        train(config, settings(4), &cache, &dir.path().join(name), None).unwrap()
    };
    let (_, steps) = run("f16", steep(4));
    let scale = steps[0].loss_scale.unwrap();
    assert!((1.0..65_536.0).contains(&scale), "{scale}");
    let exact = TrainerConfig {
        precision: Precision::F32,
        ..steep(4)
    };
    let (_, exact) = run("f32", exact);
    assert_beside(&steps, &exact, ROUNDED_LOSS, ROUNDED_NORM, "f16");
}

#[test]
fn an_interrupted_run_in_f16_continues_bit_by_bit_with_its_loss_scale() {
    if !Precision::F16.is_supported(&test_device()) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = |name: &str, stop_after: Option<u64>| {
        let directory = dir.path().join(name);
        train(steep(8), settings(4), &cache, &directory, stop_after).unwrap()
    };
    let (straight, all) = run("a", None);
    let (first, _) = run("b", Some(3));
    assert_eq!(first.reason, StopReason::Interrupted);
    let (second, rest) = run("b", None);
    assert_eq!(weights(&straight.student), weights(&second.student));
    let scales = |steps: &[StepMetrics]| -> Vec<f64> {
        let scales = steps.iter().map(|step| step.loss_scale.unwrap());
        scales.collect()
    };
    assert_eq!(scales(&all[3..]), scales(&rest));
    assert_eq!(losses(&all[3..]), losses(&rest));
}

#[test]
fn precision_and_recomputation_change_no_more_than_roundings() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    assert_variants_agree(&config(6), |trainer, directory| {
        trainer.train(student(), cache.clone(), Some(cache.clone()), directory)
    });
}

#[test]
fn a_precision_that_the_device_lacks_is_refused_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let lacks = |precision: &Precision| !precision.is_supported(&test_device());
    let lacking: Vec<Precision> = Precision::ALL.into_iter().filter(lacks).collect();
    // The CPU has all of them; the other devices that tests run on do not.
    assert_eq!(
        lacking.is_empty(),
        test_device() == burn::tensor::Device::flex()
    );
    for precision in lacking {
        let run = dir.path().join("run");
        let refused = train(in_precision(precision, 2), settings(8), &cache, &run, None);
        assert!(matches!(refused, Err(DistillError::Model(_))));
        assert!(!run.exists());
    }
}
