//! Weights that change while a run goes on.

use super::small_run::{cache, config, settings, train, weights};
use crate::DistillError;
use crate::loss::{
    LossKind, Objective, ObjectiveTerm, RampKind, TailTreatment, Temperature, TemperatureFactor,
    WeightRamp,
};
use crate::trainer::{StopReason, TrainerConfig};

/// From the teacher to the labels between steps 2 and 10.
fn ramped() -> TrainerConfig {
    let ramp = |kind, to| WeightRamp {
        kind,
        to,
        first_step: 2,
        last_step: 10,
    };
    let terms = vec![
        ObjectiveTerm::new(LossKind::ForwardKl, 1.0).with_ramp(ramp(RampKind::Cosine, 0.0)),
        ObjectiveTerm::new(LossKind::CrossEntropy, 0.25).with_ramp(ramp(RampKind::Linear, 1.0)),
    ];
    TrainerConfig {
        objective: Objective::try_new(terms, TailTreatment::TailBucket).unwrap(),
        ..config(12)
    }
}

#[test]
fn every_step_has_the_weights_of_its_number_and_tells_them() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory.path().join("cache"));
    let run = directory.path().join("run");
    let (_, steps) = train(ramped(), settings(8), &cache, &run, None).unwrap();
    for metrics in &steps {
        let expected = ramped().objective.factors(metrics.step);
        let weights = [
            &metrics.weights["forward_kl"],
            &metrics.weights["cross_entropy"],
        ];
        assert_eq!(
            weights,
            [&expected[0], &expected[1]],
            "step {}",
            metrics.step
        );
        let total = expected[0] * metrics.terms["forward_kl"]
            + expected[1] * metrics.terms["cross_entropy"];
        assert!((metrics.loss - total).abs() < 1e-12);
    }
    assert_eq!(steps[1].weights["forward_kl"], 1.0);
    assert_eq!(steps[9].weights["forward_kl"], 0.0);
    assert_eq!(steps[11].weights["cross_entropy"], 1.0);
}

#[test]
fn constant_weights_are_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory.path().join("cache"));
    let run = directory.path().join("run");
    let (_, steps) = train(config(2), settings(8), &cache, &run, None).unwrap();
    assert!(steps[0].weights.is_empty());
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(!text.contains("weights"), "{text}");
}

#[test]
fn a_run_that_stops_inside_a_ramp_continues_bit_by_bit() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory.path().join("cache"));
    let whole = directory.path().join("whole");
    let (straight, all) = train(ramped(), settings(8), &cache, &whole, None).unwrap();
    let parts = directory.path().join("parts");
    let (first, _) = train(ramped(), settings(8), &cache, &parts, Some(5)).unwrap();
    assert_eq!((first.reason, first.steps), (StopReason::Interrupted, 5));
    let (second, rest) = train(ramped(), settings(8), &cache, &parts, None).unwrap();
    assert_eq!(weights(&straight.student), weights(&second.student));
    let numbers = |steps: &[crate::trainer::StepMetrics]| -> Vec<_> {
        let told = steps.iter().map(|step| (step.loss, step.weights.clone()));
        told.collect()
    };
    assert_eq!(numbers(&all[5..]), numbers(&rest));
}

#[test]
fn terms_that_a_top_k_cache_cannot_serve_are_refused_before_the_first_step() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory.path().join("cache"));
    let only = |kind| {
        let terms = vec![ObjectiveTerm::new(kind, 1.0)];
        Objective::try_new(terms, TailTreatment::TailBucket).unwrap()
    };
    let softened = Temperature::try_new(2.0, TemperatureFactor::Squared).unwrap();
    let cases = [
        (only(LossKind::LogitMse), "objective"),
        (
            only(LossKind::ForwardKl).with_temperature(softened),
            "objective.temperature",
        ),
    ];
    for (objective, expected) in cases {
        let config = TrainerConfig {
            objective,
            ..config(2)
        };
        let run = directory.path().join("run");
        let error = train(config, settings(8), &cache, &run, None).unwrap_err();
        assert!(
            matches!(error, DistillError::Setting { key, .. } if key == expected),
            "{error}"
        );
    }
}
