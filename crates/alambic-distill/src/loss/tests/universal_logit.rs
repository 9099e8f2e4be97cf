//! The ladder for universal logit distillation.

use burn::tensor::{DType, Device};
use proptest::prelude::*;

use super::differences::{NEXT_TO_NOTHING, assert_gradient, gradient, tensor};
use super::*;
use crate::test_device::test_device;

/// Rounding of `f64` sums of a few terms.
const F64_TOLERANCE: f64 = 1e-11;

/// `Σᵢ |p₍ᵢ₎ − q₍ᵢ₎|`, the shorter filled up with zeros.
pub(super) fn expected(p: &[f64], q: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.resize(p.len().max(q.len()), 0.0);
        values.sort_by(|a, b| b.total_cmp(a));
        values
    };
    let both = sorted(p).into_iter().zip(sorted(q));
    both.map(|(p, q)| (p - q).abs()).sum()
}

fn rows(vocab: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    proptest::collection::vec(proptest::collection::vec(-6f64..6.0, vocab), 2)
}

fn pair(teacher: &[Vec<f64>], student: Tensor<3>) -> AlignedPair {
    let (device, dtype) = (student.device().without_autodiff(), student.dtype());
    let teacher = LogProbs::from_logits(logits(teacher, dtype, &device));
    AlignedPair::by_position(&teacher, &LogProbs::from_logits(student)).unwrap()
}

fn per_token(teacher: &[Vec<f64>], student: &[Vec<f64>], on: (DType, &Device)) -> Vec<f64> {
    floats(UniversalLogit.per_token(&pair(teacher, logits(student, on.0, on.1))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn ranks_follow_their_formula_whichever_vocabulary_is_larger(small in rows(5), large in rows(8)) {
        let (flex, device) = (Device::flex(), test_device());
        for (teacher, student) in [(&small, &large), (&large, &small), (&large, &large)] {
            let in_f64 = per_token(teacher, student, (DType::F64, &flex));
            let in_f32 = per_token(teacher, student, (DType::F32, &device));
            for row in 0..2 {
                let (p, q) = (reference::softmax(&teacher[row]), reference::softmax(&student[row]));
                let expected = expected(&p, &q);
                prop_assert!((in_f64[row] - expected).abs() < F64_TOLERANCE);
                prop_assert!((in_f32[row] - expected).abs() < F32_SUM_TOLERANCE);
                prop_assert!((-F64_TOLERANCE..=2.0).contains(&in_f64[row]));
            }
        }
    }

    #[test]
    fn the_order_of_a_vocabulary_does_not_matter(
        (teacher, turned) in rows(7).prop_flat_map(|rows| (Just(rows.clone()), Just(rows[0].clone()).prop_shuffle())),
        student in rows(5),
    ) {
        let flex = Device::flex();
        let on = (DType::F64, &flex);
        let turned = vec![turned, teacher[1].clone()];
        let plain = per_token(&teacher, &student, on);
        for (found, plain) in per_token(&turned, &student, on).iter().zip(&plain) {
            prop_assert!((found - plain).abs() < F64_TOLERANCE);
        }
        for (found, plain) in per_token(&student, &teacher, on).iter().zip(&plain) {
            prop_assert!((found - plain).abs() < F64_TOLERANCE, "symmetric");
        }
        for value in per_token(&turned, &teacher, on) {
            prop_assert!(value.abs() < F64_TOLERANCE, "the same probabilities");
        }
    }
}

#[test]
fn the_distance_tends_to_its_bound_between_the_sure_and_the_clueless() {
    let device = test_device();
    let mut sure = vec![0.0; 100];
    sure[70] = 200.0;
    let found = per_token(&[vec![0.0; 100]], &[sure], (DType::F32, &device));
    assert!(
        (found[0] - (2.0 - 2e-2)).abs() < F32_SUM_TOLERANCE,
        "{found:?}"
    );
}

#[test]
fn a_smaller_vocabulary_is_one_filled_up_with_forbidden_tokens() {
    let device = test_device();
    let on = (DType::F32, &device);
    let teacher = vec![vec![0.3, -1.0, 2.0, 0.1]];
    let student = vec![vec![0.5, 1.0]];
    let filled = vec![vec![0.5, f64::NEG_INFINITY, 1.0, f64::NEG_INFINITY]];
    let small = per_token(&teacher, &student, on)[0];
    let found = per_token(&teacher, &filled, on)[0];
    assert!(
        (found - small).abs() < F32_SUM_TOLERANCE,
        "{found} against {small}"
    );
    let values = filled.concat();
    let gradient = gradient(&values, [1, 1, 4], on, |student| {
        UniversalLogit.per_token(&pair(&teacher, student)).sum()
    });
    assert!(gradient[1].abs() < NEXT_TO_NOTHING && gradient[3].abs() < NEXT_TO_NOTHING);
    assert!(
        gradient.iter().all(|entry| entry.is_finite()),
        "{gradient:?}"
    );
}

#[test]
fn gradients_of_ranks_agree_with_central_differences() {
    let student = [0.9, -0.4, 0.2, -1.3, 0.5, 0.1, 1.1, -0.8, 0.35, -0.2];
    let small = vec![vec![1.3, 0.0, 0.4], vec![-0.5, 1.0, 0.2]];
    let large = vec![
        vec![0.1, 1.9, -0.7, 0.3, -1.1, 0.65, -2.0],
        vec![0.8, -0.3, 0.45, 0.0, -1.7, 0.25, 0.6],
    ];
    for teacher in [small, large] {
        assert_gradient("universal_logit", &student, [1, 2, 5], |student| {
            UniversalLogit.per_token(&pair(&teacher, student)).sum()
        });
    }
}

#[test]
fn masked_positions_add_exactly_nothing() {
    let device = test_device();
    let on = (DType::F32, &device);
    let teacher = vec![vec![0.3, -1.0, 2.0, 0.1], vec![0.0, 1.0, 0.4, -0.2]];
    let student = [0.5, 1.0, -0.3, 0.2, 0.7, -0.1];
    let with = |student: &[f64], flags: [bool; 2]| {
        let mask = LabelMask::new(&flags, [1, 2], &device);
        let loss = |student| {
            UniversalLogit
                .forward(&pair(&teacher, student), &mask)
                .unwrap()
        };
        let value = loss(tensor(student, [1, 2, 3], on));
        let gradient = gradient(student, [1, 2, 3], on, |student| loss(student).sum);
        (floats(value.sum)[0], value.num_tokens, gradient)
    };
    let (value, count, gradient) = with(&student, [true, false]);
    assert_eq!((count, &gradient[3..]), (1, &[0.0; 3][..]));
    assert!(gradient[..3].iter().any(|entry| *entry != 0.0));
    assert_eq!(
        with(&[0.5, 1.0, -0.3, 9.0, 9.0, 1.0], [true, false]).0,
        value
    );
    assert_eq!(with(&student, [false; 2]), (0.0, 0, vec![0.0; 6]));
}

#[test]
fn positions_that_do_not_fit_are_refused() {
    let device = test_device();
    let of = |seq: usize| LogProbs::from_logits(Tensor::zeros([1, seq, 3], &device));
    assert!(matches!(
        AlignedPair::by_position(&of(2), &of(3)),
        Err(LossError::Shape {
            expected: [1, 3],
            found: [1, 2],
            ..
        })
    ));
    let pair = AlignedPair::by_position(&of(2), &of(2)).unwrap();
    assert!(matches!(
        UniversalLogit.forward(&pair, &every_label(1, &device)),
        Err(LossError::Shape { found: [1, 1], .. })
    ));
}
