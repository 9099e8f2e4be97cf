//! The ladder for each loss: closed form, identities, finite differences, golden values.

#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Int, Tensor, TensorData};
use proptest::prelude::*;

use super::*;
use crate::test_device::test_device;

/// Sums of a few hundred `f32` terms of order one.
const F32_SUM_TOLERANCE: f64 = 2e-5;
/// Central differences in `f32` with a step of 1e-2.
const FINITE_DIFFERENCE_TOLERANCE: f32 = 2e-3;

/// Log-softmax in `f64`, the reference of these tests.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits
        .iter()
        .fold(f64::NEG_INFINITY, |max, &z| max.max(f64::from(z)));
    let sum: f64 = logits.iter().map(|&z| (f64::from(z) - largest).exp()).sum();
    logits
        .iter()
        .map(|&z| f64::from(z) - largest - sum.ln())
        .collect()
}

/// The `k` most likely entries of a teacher row, with the mass of the rest.
fn truncate(log_probs: &[f64], k: usize) -> (Vec<usize>, f64) {
    let mut order: Vec<usize> = (0..log_probs.len()).collect();
    order.sort_by(|&a, &b| log_probs[b].total_cmp(&log_probs[a]).then(a.cmp(&b)));
    let tail = order[k..].iter().map(|&id| log_probs[id].exp()).sum();
    (order[..k].to_vec(), tail)
}

fn targets(teacher: &[Vec<f32>], k: usize, device: &Device) -> TopKTargetBatch {
    let (mut ids, mut values, mut tails, mut entropies) = (vec![], vec![], vec![], vec![]);
    for row in teacher {
        let log_probs = log_softmax(row);
        let (kept, tail) = truncate(&log_probs, k);
        values.extend(kept.iter().map(|&id| log_probs[id] as f32));
        ids.extend(kept.iter().map(|&id| id as i32));
        tails.push(tail as f32);
        entropies.push(-log_probs.iter().map(|l| l.exp() * l).sum::<f64>() as f32);
    }
    TopKTargetBatch::from_host(ids, values, tails, entropies, [1, teacher.len(), k], device)
}

fn logits(rows: &[Vec<f32>], device: &Device) -> Tensor<3> {
    let values: Vec<f32> = rows.iter().flatten().copied().collect();
    Tensor::from_data(
        TensorData::new(values, [1, rows.len(), rows[0].len()]),
        device,
    )
}

/// Forward KL with a tail bucket in `f64`, from the formula.
fn reference_kl(teacher: &[Vec<f32>], student: &[Vec<f32>], k: usize) -> f64 {
    let row = |(teacher, student): (&Vec<f32>, &Vec<f32>)| {
        let (p, q) = (log_softmax(teacher), log_softmax(student));
        let (kept, p_tail) = truncate(&p, k);
        let stored: f64 = kept.iter().map(|&id| p[id].exp() * (p[id] - q[id])).sum();
        let q_tail: f64 = (0..q.len())
            .filter(|id| !kept.contains(id))
            .map(|id| q[id].exp())
            .sum();
        let tail = if p_tail > 0.0 {
            p_tail * (p_tail.ln() - q_tail.ln())
        } else {
            0.0
        };
        stored + tail
    };
    teacher.iter().zip(student).map(row).sum()
}

fn kl(teacher: &[Vec<f32>], student: &[Vec<f32>], k: usize) -> f64 {
    let device = test_device();
    let mask = LabelMask::new(&vec![true; teacher.len()], [1, teacher.len()], &device);
    let student = LogProbs::from_logits(logits(student, &device));
    let loss = ForwardKl
        .forward(&student, &targets(teacher, k, &device), &mask)
        .unwrap();
    f64::from(loss.sum.into_scalar::<f32>())
}

fn rows(count: usize, vocab: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    proptest::collection::vec(proptest::collection::vec(-6f32..6.0, vocab), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn forward_kl_follows_the_formula(teacher in rows(3, 9), student in rows(3, 9), k in 1usize..=9) {
        let expected = reference_kl(&teacher, &student, k);
        prop_assert!((kl(&teacher, &student, k) - expected).abs() < F32_SUM_TOLERANCE * (1.0 + expected));
    }

    #[test]
    fn forward_kl_is_zero_when_the_student_equals_the_teacher(teacher in rows(2, 7), k in 1usize..=7) {
        prop_assert!(kl(&teacher, &teacher, k).abs() < F32_SUM_TOLERANCE);
    }

    #[test]
    fn a_tail_bucket_never_exceeds_the_full_divergence(teacher in rows(2, 8), student in rows(2, 8), k in 1usize..8) {
        let (bucket, full) = (kl(&teacher, &student, k), kl(&teacher, &student, 8));
        prop_assert!(bucket > -F32_SUM_TOLERANCE && bucket < full + F32_SUM_TOLERANCE * (1.0 + full));
    }
}

#[test]
fn an_all_false_mask_gives_nothing() {
    let device = test_device();
    let student = LogProbs::from_logits(Tensor::zeros([1, 2, 3], &device));
    let mask = LabelMask::new(&[false, false], [1, 2], &device);
    let loss = ForwardKl
        .forward(
            &student,
            &targets(&vec![vec![1.0, 0.0, 2.0]; 2], 2, &device),
            &mask,
        )
        .unwrap();
    assert_eq!(loss.num_tokens, 0);
    assert_eq!(loss.sum.clone().into_scalar::<f32>(), 0.0);
    assert!(loss.mean_nats().is_none());
}

#[test]
fn a_student_without_any_tail_mass_gives_a_large_finite_loss() {
    let value = kl(
        &[vec![2.0, 1.0, 0.0, -1.0]],
        &[vec![0.0, 0.0, -90.0, -90.0]],
        2,
    );
    let expected = reference_kl(
        &[vec![2.0, 1.0, 0.0, -1.0]],
        &[vec![0.0, 0.0, -90.0, -90.0]],
        2,
    );
    assert!(
        value.is_finite() && (value - expected).abs() < 1e-3,
        "{value} against {expected}"
    );
}

#[test]
fn gradients_of_both_losses_agree_with_finite_differences() {
    let device = test_device().autodiff();
    let teacher = vec![
        vec![0.3, -1.0, 2.0, 0.1, -0.4],
        vec![1.0, 0.0, 0.5, -2.0, 0.2],
    ];
    let student = vec![
        vec![-0.2, 0.4, 0.9, -1.0, 0.6],
        vec![0.1, 0.1, -0.7, 0.3, 1.2],
    ];
    let labels = Tensor::<2, Int>::from_ints([[2, 0]], &device);
    let mask = LabelMask::new(&[true, true], [1, 2], &device);
    let total = |rows: &[Vec<f32>], k: usize| -> Tensor<1> {
        let log_probs = LogProbs::from_logits(logits(rows, &device));
        let kl = ForwardKl
            .forward(&log_probs, &targets(&teacher, k, &device), &mask)
            .unwrap();
        kl.sum + CrossEntropy.forward(&log_probs, &labels, &mask).sum
    };
    for k in [2, 5] {
        let leaf = logits(&student, &device).require_grad();
        let log_probs = LogProbs::from_logits(leaf.clone());
        let kl = ForwardKl
            .forward(&log_probs, &targets(&teacher, k, &device), &mask)
            .unwrap();
        let sum = kl.sum + CrossEntropy.forward(&log_probs, &labels, &mask).sum;
        let gradient = leaf
            .grad(&sum.backward())
            .unwrap()
            .into_data()
            .convert::<f32>()
            .try_to_vec::<f32>()
            .unwrap();
        for (row, column) in (0..2).flat_map(|row| (0..5).map(move |column| (row, column))) {
            let step = 1e-2;
            let shifted = |by: f32| {
                let mut rows = student.clone();
                rows[row][column] += by;
                total(&rows, k).into_scalar::<f32>()
            };
            let numeric = (shifted(step) - shifted(-step)) / (2.0 * step);
            let analytic = gradient[row * 5 + column];
            assert!(
                (numeric - analytic).abs() < FINITE_DIFFERENCE_TOLERANCE,
                "k {k}, [{row}, {column}]: {numeric} against {analytic}"
            );
        }
    }
}

#[test]
fn more_entries_than_the_vocabulary_are_refused() {
    let device = test_device();
    let student = LogProbs::from_logits(Tensor::zeros([1, 1, 3], &device));
    let mask = LabelMask::new(&[true], [1, 1], &device);
    let error = ForwardKl
        .forward(&student, &targets(&[vec![0.0; 4]], 4, &device), &mask)
        .unwrap_err();
    assert!(matches!(
        error,
        LossError::TooManyEntries { k: 4, vocab: 3 }
    ));
}

#[test]
fn an_objective_without_positive_weight_is_refused() {
    let term = ObjectiveTerm {
        kind: LossKind::CrossEntropy,
        weight: 0.0,
    };
    assert!(matches!(
        Objective::try_new(vec![term]),
        Err(LossError::EmptyObjective)
    ));
    let term = ObjectiveTerm {
        kind: LossKind::CrossEntropy,
        weight: f64::NAN,
    };
    assert!(matches!(
        Objective::try_new(vec![term]),
        Err(LossError::BadWeight { .. })
    ));
}
