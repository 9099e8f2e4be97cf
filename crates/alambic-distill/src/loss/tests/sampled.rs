//! Drawn tokens: values, gradients, and that they estimate the dense ones without bias.

use burn::tensor::Int;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::test_device::test_device;

const VOCAB: usize = 12;
/// Sums of a dozen `f32` terms of order one.
const TOLERANCE: f64 = 1e-5;

fn random_rows(rows: usize, scale: f64, seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut number = || scale * (random.random::<f64>() + random.random::<f64>() - 1.0);
    (0..rows)
        .map(|_| (0..VOCAB).map(|_| number()).collect())
        .collect()
}

/// Rows of ids with their shares, as a batch.
fn batch(rows: &[Vec<(i32, f64)>], entropy: &[f64], device: &Device) -> SampledTargetBatch {
    let most = rows.iter().map(Vec::len).max().unwrap();
    let filled: Vec<(i32, f32)> = rows
        .iter()
        .flat_map(|row| {
            let nothing = std::iter::repeat_n((0, 0.0), most - row.len());
            row.iter()
                .map(|&(id, share)| (id, share as f32))
                .chain(nothing)
        })
        .collect();
    let (ids, shares) = filled.into_iter().unzip();
    let entropy = entropy.iter().map(|&value| value as f32).collect();
    SampledTargetBatch::from_host(ids, shares, entropy, [1, rows.len(), most], device)
}

/// Every token with its own probability: what infinitely many draws would give.
fn all_tokens(teacher: &[Vec<f64>], device: &Device) -> SampledTargetBatch {
    let rows: Vec<Vec<(i32, f64)>> = teacher
        .iter()
        .map(|row| (0..).zip(reference::softmax(row)).collect())
        .collect();
    let entropy: Vec<f64> = teacher
        .iter()
        .map(|row| reference::softmax(row).iter().map(|p| -p * p.ln()).sum())
        .collect();
    batch(&rows, &entropy, device)
}

#[test]
fn with_the_probabilities_as_shares_it_is_the_forward_kl_divergence() {
    let device = test_device();
    let (teacher, student) = (random_rows(5, 3.0, 1), random_rows(5, 3.0, 2));
    let log_probs = LogProbs::from_logits(logits(&student, DType::F32, &device));
    let values = SampledForwardKl
        .per_token(&all_tokens(&teacher, &device), &log_probs)
        .unwrap();
    for (index, value) in floats(values).into_iter().enumerate() {
        let (p, q) = (
            reference::softmax(&teacher[index]),
            reference::softmax(&student[index]),
        );
        let expected = reference::kl(&p, &q);
        assert!((value - expected).abs() < TOLERANCE, "{value}: {expected}");
    }
}

#[test]
fn rows_of_different_lengths_are_filled_up_with_nothing() {
    let device = test_device();
    let student = [vec![f64::NEG_INFINITY, 0.0, 0.0, 1.0], vec![0.0; 4]];
    let rows = [vec![(2, 1.0)], vec![(1, 0.5), (3, 0.5)]];
    let targets = batch(&rows, &[0.0, 0.1], &device);
    let log_probs = LogProbs::from_logits(logits(&student, DType::F32, &device));
    let values = floats(SampledForwardKl.per_token(&targets, &log_probs).unwrap());
    // The first row is filled up with token 0, whose logit is minus infinity.
    let expected = [(2.0 + 1f64.exp()).ln(), 4f64.ln() - 0.1];
    for (value, expected) in values.into_iter().zip(expected) {
        assert!((value - expected).abs() < TOLERANCE, "{value}: {expected}");
    }
}

/// The sum of the losses and its gradient with respect to the logits.
fn outcome(targets: &TargetBatch, student: &[Vec<f64>], device: &Device) -> (f64, Vec<f64>) {
    let leaf = logits(student, DType::F32, device)
        .autodiff()
        .require_grad();
    let labels = Tensor::<2, Int>::zeros([1, student.len()], device);
    let mask = every_label(student.len(), device);
    let losses = Objective::soft_labels()
        .losses(Logits::new(leaf.clone()), &labels, Some(targets), &mask)
        .unwrap();
    let gradient = leaf.grad(&losses[0].sum.backward()).unwrap();
    (floats(losses[0].sum.clone())[0], floats(gradient))
}

const DRAWS: usize = 8;

/// Token ids that are drawn from a distribution, which need not add up to 1.
fn draws<'a>(probs: &'a [f64], random: &'a mut ChaCha8Rng) -> impl Iterator<Item = i32> + 'a {
    let total: f64 = probs.iter().sum();
    let last = probs.iter().rposition(|&p| p > 0.0).unwrap();
    (0..DRAWS).map(move |_| {
        let mut left = total * random.random::<f64>();
        let id = probs.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        id.unwrap_or(last) as i32
    })
}

/// Anshumann et al. 2025: the mean over many draws is the dense value, and so is the gradient's.
#[test]
fn values_and_gradients_of_draws_are_those_of_dense_distillation_on_average() {
    assert_unbiased_rows(|probs, random| {
        draws(probs, random)
            .map(|id| (id, 1.0 / DRAWS as f64))
            .collect()
    });
}

#[test]
fn those_of_a_head_with_draws_from_its_tail_are_too() {
    const HEAD: usize = 3;
    assert_unbiased_rows(|probs, random| {
        let (head, mass) = reference::truncate(probs, HEAD);
        let mut tail = probs.to_vec();
        head.iter().for_each(|&id| tail[id] = 0.0);
        let share = mass / DRAWS as f64;
        let head = head.iter().map(|&id| (id as i32, probs[id]));
        head.chain(draws(&tail, random).map(|id| (id, share)))
            .collect()
    });
}

/// Compares the mean over many repeats of what `estimate` makes of a distribution with the dense one.
fn assert_unbiased_rows(mut estimate: impl FnMut(&[f64], &mut ChaCha8Rng) -> Vec<(i32, f64)>) {
    const REPEATS: usize = 3000;
    const PROJECTIONS: usize = 20;
    const POSITIONS: usize = 3;
    let device = test_device();
    let (teacher, student) = (
        random_rows(POSITIONS, 4.0, 3),
        random_rows(POSITIONS, 2.0, 4),
    );
    let dense = TargetBatch::Dense(LogProbs::from_logits(logits(&teacher, DType::F32, &device)));
    let (dense_value, dense_gradient) = outcome(&dense, &student, &device);
    let exact = all_tokens(&teacher, &device);
    let entropy = floats(exact.entropy.clone());

    // One row of the batch is one repeat: the gradient of a sum is a gradient for each row.
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut rows, mut entropies, mut students) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        for (position, of_teacher) in teacher.iter().enumerate() {
            rows.push(estimate(&reference::softmax(of_teacher), &mut random));
            entropies.push(entropy[position]);
            students.push(student[position].clone());
        }
    }
    let targets = TargetBatch::Sampled(batch(&rows, &entropies, &device));
    let (sum, gradients) = outcome(&targets, &students, &device);
    let log_probs = LogProbs::from_logits(logits(&students, DType::F32, &device));
    let TargetBatch::Sampled(drawn) = &targets else {
        unreachable!("made above")
    };
    let values = floats(SampledForwardKl.per_token(drawn, &log_probs).unwrap());
    let values: Vec<f64> = values
        .chunks_exact(POSITIONS)
        .map(|v| v.iter().sum())
        .collect();
    assert!((values.iter().sum::<f64>() - sum).abs() < 1e-2 * sum.abs());
    assert_unbiased("value", &values, dense_value);

    for projection in random_rows(PROJECTIONS, 1.0, 6) {
        let along = |gradient: &[f64]| -> f64 {
            let factors = projection.iter().cycle();
            gradient.iter().zip(factors).map(|(g, f)| g * f).sum()
        };
        let estimates: Vec<f64> = gradients
            .chunks_exact(POSITIONS * VOCAB)
            .map(along)
            .collect();
        assert_unbiased("projection", &estimates, along(&dense_gradient));
    }
}

/// Four standard errors, and no standard error that would let anything pass.
fn assert_unbiased(name: &str, estimates: &[f64], expected: f64) {
    let count = estimates.len() as f64;
    let mean = estimates.iter().sum::<f64>() / count;
    let variance = estimates.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let standard_error = (variance / count).sqrt();
    let error = (mean - expected).abs();
    assert!(
        error <= 4.0 * standard_error,
        "{name}: {mean} for {expected}, standard error {standard_error}"
    );
    assert!(standard_error < 0.05, "{name}: {standard_error}");
}

#[test]
fn a_loss_that_draws_cannot_estimate_is_refused() {
    let device = test_device();
    let targets = TargetBatch::Sampled(all_tokens(&random_rows(1, 1.0, 1), &device));
    let student = Logits::new(logits(&random_rows(1, 1.0, 2), DType::F32, &device));
    let labels = Tensor::<2, Int>::zeros([1, 1], &device);
    for kind in LossKind::OF_LABELS {
        let terms = vec![ObjectiveTerm::published(kind, 1.0)];
        let objective = Objective::try_new(terms, TailTreatment::TailBucket).unwrap();
        let outcome = objective.per_token(student.clone(), &labels, Some(&targets));
        match kind {
            LossKind::ForwardKl | LossKind::CrossEntropy => assert!(outcome.is_ok()),
            other => {
                let message = outcome.unwrap_err().to_string();
                assert!(message.contains(other.name()), "{message}");
            }
        }
    }
}

#[test]
fn targets_for_other_positions_are_refused() {
    let device = test_device();
    let targets = all_tokens(&random_rows(2, 1.0, 1), &device);
    let student = LogProbs::from_logits(logits(&random_rows(3, 1.0, 2), DType::F32, &device));
    let error = SampledForwardKl.per_token(&targets, &student).unwrap_err();
    assert!(matches!(error, LossError::Shape { .. }), "{error}");
}
