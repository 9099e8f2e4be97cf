//! Students that imitate layers of a teacher which answers while they train.

use std::path::Path;
use std::sync::Arc;

use alambic_cache::CacheReader;
use alambic_transformer::DecoderConfig;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::precision::assert_variants_agree;
use super::small_run::{
    REORDERED_SUM_TOLERANCE, VOCAB, cache, config, seeded, settings, student, student_config,
    watched, weights,
};
use crate::loss::{
    AttentionRelation, LayerLossKind, LayerPair, LayerTerm, Logits, RampKind, WeightRamp,
};
use crate::teacher::DecoderTeacher;
use crate::test_device::test_device;
use crate::trainer::gradients::global_norm;
use crate::trainer::live_teacher::{LiveTeacher, layer_objective, model_states, wanted_layers};
use crate::trainer::{StepMetrics, StopReason, Trainer, TrainerConfig, TrainingOutcome};
use crate::windows::Windows;
use crate::{DataPosition, DistillError, DistillationBatch};

/// A teacher of twice the layers and another width, with a fingerprint of its own.
fn teacher() -> DecoderTeacher {
    let wider = DecoderConfig {
        hidden_size: 24,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        ..student_config()
    };
    DecoderTeacher::new(seeded(&wider), "the wide one", &test_device())
}

/// A teacher that is the student before its first step.
fn twin() -> DecoderTeacher {
    DecoderTeacher::new(student(), "the twin", &test_device())
}

fn term(kind: LayerLossKind, weight: f64, pairs: &[[usize; 2]]) -> LayerTerm {
    let relates = kind == LayerLossKind::AttentionRelations;
    let pair = |&[student, teacher]: &[usize; 2]| LayerPair { student, teacher };
    LayerTerm {
        kind,
        weight,
        ramp: None,
        layers: pairs.iter().map(pair).collect(),
        relations: relates.then(|| AttentionRelation::ALL.to_vec()),
        relation_heads: relates.then_some(2),
    }
}

/// All kinds, each over two pairs of layers of the student's two and a teacher of `layers`.
fn every_term(layers: usize) -> Vec<LayerTerm> {
    let pairs = [[1, layers / 2], [2, layers]];
    vec![
        term(LayerLossKind::HiddenMeanSquared, 0.5, &pairs),
        term(LayerLossKind::HiddenCosine, 0.25, &[[0, 0], [2, layers]]),
        term(LayerLossKind::AttentionRelations, 0.3, &pairs),
    ]
}

fn imitating(total_steps: u64, terms: Vec<LayerTerm>) -> TrainerConfig {
    let config = config(total_steps);
    TrainerConfig {
        objective: config.objective.with_layer_terms(terms).unwrap(),
        ..config
    }
}

fn train(
    config: TrainerConfig,
    micro_batch_sequences: usize,
    teacher: Option<DecoderTeacher>,
    cache: &Arc<CacheReader>,
    directory: &Path,
    stop_after: Option<u64>,
) -> Result<(TrainingOutcome, Vec<StepMetrics>), DistillError> {
    let trainer = Trainer::try_new(config, settings(micro_batch_sequences))?;
    let (mut trainer, steps) = watched(trainer, stop_after);
    if let Some(teacher) = teacher {
        trainer = trainer.with_teacher(teacher);
    }
    let outcome = trainer.train(student(), cache.clone(), None, directory)?;
    let steps = steps.lock().unwrap().clone();
    Ok((outcome, steps))
}

/// The losses between layers per label of the first window and the norm of its gradient, computed without
/// the trainer: one graph over all sequences, whole logits, and a mask.
fn first_step(
    config: &TrainerConfig,
    teacher: &DecoderTeacher,
    cache: &Arc<CacheReader>,
) -> (Vec<f64>, f64) {
    let (windows, objective) = (&config.windows, &config.objective);
    let layers = layer_objective(objective, &student(), Some(teacher), windows);
    let layers = layers.unwrap().unwrap().train();
    let decoder = student().train();
    let [mut wanted, _] = wanted_layers(&layers);
    let last = decoder.config().num_hidden_layers;
    wanted.hidden_states.insert(last);
    let live = LiveTeacher::new(teacher.decoder().clone(), &layers);
    let start = DataPosition::default();
    let mut stream = Windows::try_new(cache.clone(), windows.clone(), start, true).unwrap();
    let window = stream.next_window().unwrap();
    let device = test_device().autodiff();
    let mut sums = vec![0.0; layers.terms().len()];
    let mut total: Option<Tensor<1>> = None;
    for sequence in &window.sequences {
        let batch =
            DistillationBatch::from_sequences(std::slice::from_ref(sequence), None, &device);
        let outputs = decoder.layer_outputs(batch.token_ids.clone(), &batch.context, &wanted);
        let logits = Logits::new(decoder.lm_head(outputs.hidden_states[&last].clone()));
        let of_head = objective.losses(logits, &batch.labels, batch.targets.as_ref(), &batch.mask);
        let targets = live.states(batch.token_ids, &batch.context);
        let visible = batch.context.visible_keys();
        let states = model_states(outputs);
        let of_layers = layers.losses(&states, &targets, visible, &batch.mask);
        let of_layers = of_layers.unwrap();
        for (sum, loss) in sums.iter_mut().zip(&of_layers) {
            *sum += f64::from(loss.sum.clone().into_scalar::<f32>()) / window.num_labels as f64;
        }
        let weights = objective.factors(1).into_iter();
        let weights = weights.chain(layers.terms().iter().map(|term| term.weight));
        for (loss, weight) in of_head.unwrap().into_iter().chain(of_layers).zip(weights) {
            let weighted = loss.sum * (weight / window.num_labels as f64);
            total = Some(match total {
                Some(total) => total + weighted,
                None => weighted,
            });
        }
    }
    let mut gradients = total.unwrap().backward();
    let of_layers = GradientsParams::from_module(&mut gradients, &layers);
    let of_decoder = GradientsParams::from_module(&mut gradients, &decoder);
    let norms = [
        global_norm(&layers, &of_layers),
        global_norm(&decoder, &of_decoder),
    ];
    (sums, norms[0].hypot(norms[1]))
}

#[test]
fn a_step_has_the_losses_and_gradients_of_its_layers_whatever_the_micro_batches() {
    const NORM_TOLERANCE: f64 = 1e-4;
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let config = imitating(3, every_term(4));
    let (expected, norm) = first_step(&config, &teacher(), &cache);
    let run = |micro: usize| {
        let run = dir.path().join(format!("run-{micro}"));
        let (_, steps) = train(config.clone(), micro, Some(teacher()), &cache, &run, None).unwrap();
        steps
    };
    let whole = run(8);
    let mut total = 0.8 * whole[0].terms["forward_kl"] + 0.2 * whole[0].terms["cross_entropy"];
    for (term, expected) in every_term(4).iter().zip(&expected) {
        let found = whole[0].terms[term.kind.name()];
        assert!(found > 1e-3, "{}: {found}", term.kind.name());
        let error = (found - expected).abs();
        assert!(error < REORDERED_SUM_TOLERANCE, "{found}, not {expected}");
        total += term.weight * found;
    }
    assert!((total - whole[0].loss).abs() < REORDERED_SUM_TOLERANCE);
    let found = whole[0].gradient_norm;
    assert!(
        (found / norm - 1.0).abs() < NORM_TOLERANCE,
        "{found}, not {norm}"
    );
    for micro in [4, 2, 1] {
        for (found, expected) in run(micro).iter().zip(&whole) {
            let error = (found.gradient_norm / expected.gradient_norm - 1.0).abs();
            assert!(error < NORM_TOLERANCE, "{found:?}, not {expected:?}");
            let error = (found.loss - expected.loss).abs();
            assert!(
                error < 10.0 * REORDERED_SUM_TOLERANCE,
                "{found:?}, not {expected:?}"
            );
        }
    }
}

#[test]
fn a_twin_of_the_student_has_nothing_to_imitate_and_adds_no_gradient() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = |name: &str, config, teacher| {
        let run = dir.path().join(name);
        let (_, steps) = train(config, 8, teacher, &cache, &run, None).unwrap();
        steps[0].clone()
    };
    let alone = run("alone", config(2), None);
    let terms = every_term(2);
    let beside_its_twin = run("twin", imitating(2, terms.clone()), Some(twin()));
    for term in &terms {
        let found = beside_its_twin.terms[term.kind.name()];
        assert!(
            found.abs() < REORDERED_SUM_TOLERANCE,
            "{}: {found}",
            term.kind.name()
        );
    }
    let (expected, found) = (alone.gradient_norm, beside_its_twin.gradient_norm);
    assert!(
        (found / expected - 1.0).abs() < REORDERED_SUM_TOLERANCE,
        "{found}, not {expected}"
    );
}

#[test]
fn an_interrupted_run_continues_with_its_projections_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let mut terms = every_term(4);
    terms[1].ramp = Some(WeightRamp {
        kind: RampKind::Linear,
        to: 1.0,
        first_step: 1,
        last_step: 9,
    });
    let run = |name: &str, stop_after| {
        let config = imitating(10, terms.clone());
        let directory = dir.path().join(name);
        train(config, 8, Some(teacher()), &cache, &directory, stop_after).unwrap()
    };
    let (straight, all) = run("a", None);
    let (first, mut parts) = run("b", Some(5));
    assert_eq!(first.reason, StopReason::Interrupted);
    let (second, rest) = run("b", None);
    parts.extend(rest);
    assert_eq!(weights(&straight.student), weights(&second.student));
    for (whole, part) in all.iter().zip(&parts) {
        assert_eq!(
            (&whole.terms, &whole.weights, whole.loss),
            (&part.terms, &part.weights, part.loss)
        );
    }
    assert_eq!(all[4].weights["hidden_cosine"], 0.25 + 0.75 * 0.5);
    assert_eq!(all.len(), parts.len());
}

#[test]
fn a_student_comes_closer_to_the_layers_that_it_imitates() {
    const STEPS: u64 = 30;
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let terms = |weight: f64| LayerLossKind::ALL.map(|kind| term(kind, weight, &[[2, 4]]));
    let run = |name: &str, terms: Vec<LayerTerm>| {
        let run = dir.path().join(name);
        let config = imitating(STEPS, terms);
        let (_, steps) = train(config, 8, Some(teacher()), &cache, &run, None).unwrap();
        [steps[0].clone(), steps.last().unwrap().clone()]
    };
    // What the losses are when nothing is imitated.
    let [_, unread] = run("none", terms(0.0).to_vec());
    for term in terms(5.0) {
        let name = term.kind.name();
        let [start, end] = run(name, vec![term]).map(|step| step.terms[name]);
        assert!(end < 0.85 * start, "{name}: {end} after {start}");
        let unread = unread.terms[name];
        assert!(end < 0.85 * unread, "{name}: {end}, not {unread}");
    }
}

#[test]
fn what_cannot_be_imitated_is_refused_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let message = |terms: Vec<LayerTerm>, teacher| {
        let directory = dir.path().join("refused");
        let error = train(imitating(2, terms), 8, teacher, &cache, &directory, None);
        let message = error.map(|_| ()).unwrap_err().to_string();
        assert!(!directory.join("metrics.jsonl").exists(), "{message}");
        message
    };
    assert!(message(every_term(4), None).contains("no teacher"));
    let foreign = DecoderConfig {
        vocab_size: VOCAB + 1,
        ..student_config()
    };
    let foreign = DecoderTeacher::new(seeded(&foreign), "foreign", &test_device());
    assert!(message(every_term(2), Some(foreign)).contains("24 tokens, for a student of 23"));
    let short = DecoderConfig {
        max_position_embeddings: 8,
        ..student_config()
    };
    let short = DecoderTeacher::new(seeded(&short), "short", &test_device());
    assert!(message(every_term(2), Some(short)).contains("at most 8 positions"));
    let pairs: &[(LayerLossKind, [usize; 2], &str)] = &[
        (
            LayerLossKind::HiddenCosine,
            [3, 4],
            "hidden state 3 of the student",
        ),
        (
            LayerLossKind::AttentionRelations,
            [0, 1],
            "the student's layer 0; its layers are 1 to 2",
        ),
        (
            LayerLossKind::AttentionRelations,
            [1, 5],
            "the teacher's layer 5; its layers are 1 to 4",
        ),
    ];
    for &(kind, pair, expected) in pairs {
        let found = message(vec![term(kind, 1.0, &[pair])], Some(teacher()));
        assert!(found.contains(expected), "{found}");
    }
    let mut uneven = term(LayerLossKind::AttentionRelations, 1.0, &[[1, 1]]);
    uneven.relation_heads = Some(3);
    let found = message(vec![uneven], Some(teacher()));
    assert!(found.contains('3') && found.contains("student"), "{found}");
    let twice = vec![term(LayerLossKind::HiddenCosine, 1.0, &[[1, 1]]); 2];
    let error = config(1).objective.with_layer_terms(twice).unwrap_err();
    assert!(
        error.to_string().contains("hidden_cosine is named twice"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_beside_another_teacher_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    let run = dir.path().join("run");
    let go = |fingerprint: &str, stop_after| {
        let wide = teacher().decoder().clone();
        let teacher = DecoderTeacher::new(wide, fingerprint, &test_device());
        let config = imitating(6, every_term(4));
        train(config, 8, Some(teacher), &cache, &run, stop_after)
    };
    go("one", Some(3)).unwrap();
    let error = go("another", None).map(|_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            DistillError::CheckpointMismatch {
                field: "teacher",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn layers_are_imitated_in_rounded_products_and_by_layers_that_are_computed_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir.path().join("cache"));
    assert_variants_agree(&imitating(3, every_term(4)), |trainer, directory| {
        let trainer = trainer.with_teacher(teacher());
        trainer.train(student(), cache.clone(), None, directory)
    });
}
