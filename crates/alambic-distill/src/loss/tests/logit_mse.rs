//! The ladder for the mean-squared error of logits.

use burn::tensor::Int;
use proptest::prelude::*;

use super::gradients::{assert_near, differences, gradient, teacher};
use super::*;
use crate::test_device::test_device;

/// Rounding of `f64` sums of a few squares.
const F64_TOLERANCE: f64 = 1e-11;
/// What is left of the second order at the temperature of the test.
const LIMIT_TOLERANCE: f64 = 1e-3;

fn rows(count: usize, vocab: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    proptest::collection::vec(proptest::collection::vec(-6f64..6.0, vocab), count)
}

fn mse(teacher: &[Vec<f64>], student: &[Vec<f64>], (dtype, device): (DType, &Device)) -> Vec<f64> {
    let of = |rows| Logits::new(logits(rows, dtype, device));
    floats(LogitMse.per_token(&of(teacher), &of(student)).unwrap())
}

fn in_f64(teacher: &[Vec<f64>], student: &[Vec<f64>]) -> Vec<f64> {
    mse(teacher, student, (DType::F64, &Device::flex()))
}

fn formula(teacher: &[f64], student: &[f64]) -> f64 {
    let squares = teacher.iter().zip(student).map(|(t, z)| (z - t).powi(2));
    squares.sum::<f64>() / teacher.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_error_follows_its_formula(teacher in rows(2, 9), student in rows(2, 9)) {
        let double = in_f64(&teacher, &student);
        let single = mse(&teacher, &student, (DType::F32, &test_device()));
        for row in 0..2 {
            let expected = formula(&teacher[row], &student[row]);
            prop_assert!((double[row] - expected).abs() < F64_TOLERANCE * (1.0 + expected));
            prop_assert!((single[row] - expected).abs() < F32_SUM_TOLERANCE * (1.0 + expected));
        }
    }

    #[test]
    fn it_is_symmetric_and_zero_where_both_agree(a in rows(2, 9), b in rows(2, 9)) {
        prop_assert_eq!(in_f64(&a, &b), in_f64(&b, &a));
        prop_assert_eq!(in_f64(&a, &a), vec![0.0, 0.0]);
    }

    #[test]
    fn a_shift_that_no_divergence_sees_costs_its_square(teacher in rows(1, 9), by in -5f64..5.0) {
        let shifted = vec![teacher[0].iter().map(|z| z + by).collect()];
        let found = in_f64(&teacher, &shifted)[0];
        prop_assert!((found - by * by).abs() < F64_TOLERANCE * (1.0 + by * by));
        let device = (DType::F64, &Device::flex());
        let kl = values(&ForwardKl, &teacher, &shifted, Kept::Everything, device);
        prop_assert!(kl[0].abs() < F64_TOLERANCE);
    }

    /// `T² KL(p_T ‖ q_T) → ½ MSE` for logits of mean 0 as `T` grows: Hinton et al., eq. 4.
    #[test]
    fn a_divergence_of_a_high_temperature_tends_to_half_the_error(a in rows(1, 9), b in rows(1, 9)) {
        const TEMPERATURE: f64 = 1e5;
        let centred = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let centre = |row: &Vec<f64>| {
                let mean = row.iter().sum::<f64>() / row.len() as f64;
                row.iter().map(|z| z - mean).collect()
            };
            rows.iter().map(centre).collect()
        };
        let softened = |rows: &[Vec<f64>]| {
            let logits = logits(rows, DType::F64, &Device::flex());
            LogProbs::from_logits(logits).at_temperature(TEMPERATURE).unwrap()
        };
        let pair = DistributionPair::dense(&softened(&a), &softened(&b)).unwrap();
        let divergence = floats(ForwardKl.per_token(&pair))[0] * TEMPERATURE.powi(2);
        let half = 0.5 * in_f64(&centred(&a), &centred(&b))[0];
        prop_assert!((divergence - half).abs() < LIMIT_TOLERANCE * (1.0 + half));
    }
}

#[test]
fn its_gradient_agrees_with_central_differences() {
    let loss = |student: Tensor<3>| {
        let device = Device::flex();
        let teacher = Logits::new(logits(&teacher(), DType::F64, &device));
        let mask = every_label(2, &student.device());
        let loss = LogitMse.forward(&teacher, &Logits::new(student), &mask);
        loss.unwrap().sum
    };
    assert_near("logit_mse", &gradient(loss), &differences(loss));
}

#[test]
fn extreme_and_forbidden_logits_have_the_errors_of_their_formula() {
    let device = test_device();
    let error = |teacher: Vec<f64>, student: Vec<f64>| {
        mse(&[teacher], &[student], (DType::F32, &device))[0]
    };
    assert_eq!(error(vec![1e4, -1e4], vec![-1e4, -1e4]), 2e8);
    let masked = f64::NEG_INFINITY;
    assert_eq!(error(vec![1.0, masked], vec![3.0, masked]), 2.0);
    assert_eq!(error(vec![1.0, masked], vec![3.0, 0.0]), f64::INFINITY);
    assert!(error(vec![1.0, f64::NAN], vec![3.0, 0.0]).is_nan());
}

#[test]
fn forbidden_columns_have_no_gradient() {
    let device = test_device().autodiff();
    let row = |first: f64| logits(&[vec![first, f64::NEG_INFINITY]], DType::F32, &device);
    let student = row(3.0).require_grad();
    let loss = LogitMse.per_token(&Logits::new(row(1.0)), &Logits::new(student.clone()));
    let gradients = loss.unwrap().sum().backward();
    assert_eq!(floats(student.grad(&gradients).unwrap()), [2.0, 0.0]);
}

#[test]
fn without_a_counted_label_the_sum_is_zero() {
    let device = test_device();
    let of = |value: f64| Logits::new(logits(&[vec![value; 3]], DType::F32, &device));
    let mask = LabelMask::new(&[false], [1, 1], &device);
    let loss = LogitMse.forward(&of(0.0), &of(1.0), &mask).unwrap();
    assert_eq!(loss.num_tokens, 0);
    assert_eq!(floats(loss.sum), [0.0]);
}

#[test]
fn targets_without_logits_are_refused_and_so_is_another_vocabulary() {
    let device = test_device();
    let terms = vec![ObjectiveTerm::new(LossKind::LogitMse, 1.0)];
    let objective = Objective::try_new(terms, TailTreatment::TailBucket).unwrap();
    let student = || Logits::new(Tensor::zeros([1, 2, 5], &device));
    let labels = Tensor::<2, Int>::zeros([1, 2], &device);
    let refused = |targets: Option<TargetBatch>| {
        let losses = objective.per_token(student(), &labels, targets.as_ref());
        losses.unwrap_err()
    };
    let dense = LogProbs::from_logits(Tensor::zeros([1, 2, 5], &device));
    let top_k = top_k_targets(&teacher(), 2, DType::F32, &device);
    for (targets, what) in [
        (TargetBatch::Dense(dense), "log-probabilities"),
        (TargetBatch::TopK(top_k), "top-k targets"),
    ] {
        let error = refused(Some(targets));
        assert!(matches!(error, LossError::LogitsNotKept { targets, .. } if targets == what));
        assert!(error.to_string().contains("hidden states"), "{error}");
    }
    assert!(matches!(
        refused(None),
        LossError::MissingTargets { term: "logit_mse" }
    ));
    let wider = Logits::new(Tensor::zeros([1, 2, 6], &device));
    assert!(matches!(
        refused(Some(TargetBatch::Logits(wider))),
        LossError::Vocabulary {
            teacher: 6,
            student: 5
        }
    ));
}
