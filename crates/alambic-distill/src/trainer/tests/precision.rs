//! Students whose matrix products are rounded, and whose layers are computed again.

use std::path::Path;
use std::sync::Arc;

use alambic_cache::CacheReader;
use alambic_transformer::Precision;

use super::small_run::{REORDERED_SUM_TOLERANCE, cache, config, settings, train, weights};
use crate::DistillError;
use crate::loss::{LossKind, Objective, ObjectiveTerm, TailTreatment};
use crate::test_device::test_device;
use crate::trainer::{RunSettings, StepMetrics, StopReason, TrainerConfig, TrainingOutcome};

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
        for (rounded, exact) in rounded.iter().zip(&exact) {
            assert_ne!(rounded.loss, exact.loss);
            let error = (rounded.loss / exact.loss - 1.0).abs();
            assert!(error < 2e-2, "{precision:?}: {error} at {}", exact.step);
            let error = (rounded.gradient_norm / exact.gradient_norm - 1.0).abs();
            assert!(error < 1e-1, "{precision:?}: the norm, {error}");
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
    for (found, expected) in steps.iter().zip(exact) {
        assert_eq!(found.tokens, expected.tokens);
        assert!((found.loss / expected.loss - 1.0).abs() < 2e-2);
        assert!((found.gradient_norm / expected.gradient_norm - 1.0).abs() < 1e-1);
    }
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

fn train_recomputing(
    recompute_layers: bool,
    cache: &Arc<CacheReader>,
    directory: &Path,
) -> (TrainingOutcome, Vec<StepMetrics>) {
    let settings = RunSettings {
        recompute_layers,
        ..settings(4)
    };
    train(config(6), settings, cache, directory, None).unwrap()
}

#[test]
fn a_run_that_computes_layers_again_has_the_losses_of_one_that_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let (_, kept) = train_recomputing(false, &cache, &dir.path().join("kept"));
    let (_, again) = train_recomputing(true, &cache, &dir.path().join("again"));
    for (kept, again) in kept.iter().zip(&again) {
        assert!((kept.loss - again.loss).abs() < REORDERED_SUM_TOLERANCE);
        let ratio = kept.gradient_norm / again.gradient_norm;
        assert!((ratio - 1.0).abs() < 1e-4, "{ratio}");
    }
}

#[test]
fn a_precision_that_the_device_lacks_is_refused_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let lacks = |precision: &Precision| !precision.is_supported(&test_device());
    for precision in Precision::ALL.into_iter().filter(lacks) {
        let run = dir.path().join("run");
        let refused = train(in_precision(precision, 2), settings(8), &cache, &run, None);
        assert!(matches!(refused, Err(DistillError::Model(_))));
        assert!(!run.exists());
    }
}
