//! Students of which only low-rank adapters are trained.

use std::path::Path;
use std::sync::Arc;

use alambic_cache::CacheReader;
use alambic_transformer::{BaseType, Decoder, DecoderConfig, LoraConfig, Projection};

use super::precision::assert_variants_agree;
use super::small_run::{
    cache, config, seeded, settings, student, student_config, watched, weights,
};
use crate::DistillError;
use crate::trainer::{StepMetrics, StopReason, Trainer, TrainingOutcome};

fn lora(rank: usize) -> LoraConfig {
    LoraConfig {
        rank,
        alpha: 8.0,
        projections: vec![Projection::Value, Projection::Up, Projection::Down],
        base: None,
    }
}

fn adapted(rank: usize) -> Decoder {
    student().with_lora(&lora(rank), 3).unwrap()
}

fn train(
    student: Decoder,
    steps: u64,
    cache: &Arc<CacheReader>,
    directory: &Path,
    stop_after: Option<u64>,
) -> Result<(TrainingOutcome, Vec<StepMetrics>), DistillError> {
    let trainer = Trainer::try_new(config(steps), settings(8))?;
    let (trainer, taken) = watched(trainer, stop_after);
    let outcome = trainer.train(student, cache.clone(), Some(cache.clone()), directory)?;
    let taken = taken.lock().unwrap().clone();
    Ok((outcome, taken))
}

#[test]
fn only_the_adapters_learn() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let before = adapted(2);
    let (outcome, steps) =
        train(before.clone(), 30, &cache, &dir.path().join("run"), None).unwrap();
    let losses: Vec<f64> = steps.iter().map(|step| step.loss).collect();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(
        mean(&losses[20..]) < mean(&losses[..10]) - 0.005,
        "{losses:?}"
    );
    assert_eq!(outcome.student.lora(), Some(&lora(2)));
    // Factors of two layers: values from 16 to 8, up from 16 to 24, down from 24 to 16.
    let factors = 2 * 2 * ((16 + 8) + (16 + 24) + (24 + 16));
    let pairs = |before: Vec<f32>, after: Vec<f32>| -> usize {
        assert_eq!(before.len(), after.len());
        let changed = before
            .iter()
            .zip(&after)
            .filter(|(one, other)| one != other);
        changed.count()
    };
    let changed = pairs(stored(&before), stored(&outcome.student));
    assert!(
        changed > factors / 2 && changed <= factors,
        "{changed} of {factors}"
    );
    // What was trained is what the merged student computes with.
    let whole = outcome.student.clone().merged();
    let before = weights(&student());
    let after = weights(&whole);
    assert!(pairs(before, after) > 2 * (16 * 8 + 16 * 24));
}

/// Weights without what adapters add to them, and the adapters.
fn stored(decoder: &Decoder) -> Vec<f32> {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Tensor;
    struct Stored(Vec<f32>);
    impl ModuleVisitor for Stored {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.base().into_data().convert::<f32>();
            self.0.extend(data.try_to_vec::<f32>().unwrap());
        }
    }
    let mut stored = Stored(Vec::new());
    decoder.visit(&mut stored);
    stored.0
}

#[test]
fn an_interrupted_run_on_rounded_weights_continues_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    // Sides that blocks of 32 divide.
    let wide = DecoderConfig {
        hidden_size: 32,
        intermediate_size: 64,
        num_key_value_heads: 2,
        head_dim: 16,
        ..student_config()
    };
    let rounded = LoraConfig {
        base: Some(BaseType::Int4),
        ..lora(2)
    };
    if seeded(&wide).with_lora(&rounded, 3).is_err() {
        let device = std::env::var("ALAMBIC_TEST_DEVICE").unwrap();
        assert_eq!(
            device, "ndarray",
            "the one device that computes with no rounded weights"
        );
        return;
    }
    let student = || seeded(&wide).with_lora(&rounded, 3).unwrap();
    let run = |name: &str, stop_after| {
        train(student(), 10, &cache, &dir.path().join(name), stop_after).unwrap()
    };
    let (straight, _) = run("a", None);
    run("b", Some(5));
    let (resumed, _) = run("b", None);
    let merged = |outcome: TrainingOutcome| weights(&outcome.student.merged());
    assert_eq!(merged(straight), merged(resumed));
}

#[test]
fn an_interrupted_run_continues_with_its_adapters_and_with_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run =
        |name: &str, stop_after| train(adapted(2), 10, &cache, &dir.path().join(name), stop_after);
    let (straight, _) = run("a", None).unwrap();
    let (first, _) = run("b", Some(5)).unwrap();
    assert_eq!(first.reason, StopReason::Interrupted);
    for other in [adapted(3), student()] {
        let error = train(other, 10, &cache, &dir.path().join("b"), None);
        let error = error.map(|_| ()).unwrap_err();
        let is_refused = matches!(
            error,
            DistillError::CheckpointMismatch {
                field: "adapters",
                ..
            }
        );
        assert!(is_refused, "{error}");
    }
    let (second, _) = run("b", None).unwrap();
    assert_eq!(stored(&straight.student), stored(&second.student));
}

#[test]
fn adapters_learn_in_rounded_products_and_with_layers_that_are_computed_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    assert_variants_agree(&config(3), |trainer, directory| {
        trainer.train(adapted(2), cache.clone(), None, directory)
    });
}
