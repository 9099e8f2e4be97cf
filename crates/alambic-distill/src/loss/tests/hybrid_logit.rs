//! The ladder for the hybrid of divergence and ranks.

use burn::tensor::{DType, Device};
use proptest::prelude::*;

use super::differences::{assert_gradient, gradient, tensor};
use super::*;
use crate::test_device::test_device;

/// Rounding of `f64` sums of a few terms.
const F64_TOLERANCE: f64 = 1e-11;

/// Five tokens against six; "a", "c" and "e" in common.
fn vocabulary() -> SharedVocabulary {
    let student = ["a", "b", "c", "d", "e"].map(Some);
    let teacher = [Some("x"), Some("e"), None, Some("a"), Some("y"), Some("c")];
    SharedVocabulary::try_new(&student, &teacher).unwrap()
}

fn expected(vocabulary: &SharedVocabulary, beta: f64, p: &[f64], q: &[f64]) -> f64 {
    let share = vocabulary.matched().len() as f64 / p.len() as f64;
    let pairs = vocabulary.matched().iter();
    let (matched_q, matched_p): (Vec<f64>, Vec<f64>) = pairs
        .map(|&(student, teacher)| (q[student], p[teacher]))
        .unzip();
    let of = |ids: &[usize], probs: &[f64]| ids.iter().map(|&id| probs[id]).collect::<Vec<_>>();
    let rest_p = of(vocabulary.teacher_rest(), p);
    let rest_q = of(vocabulary.student_rest(), q);
    share * reference::jensen_shannon(beta, &matched_p, &matched_q)
        + (1.0 - share) * universal_logit::expected(&rest_p, &rest_q)
}

fn pair(teacher: &[Vec<f64>], student: Tensor<3>) -> AlignedPair {
    let (device, dtype) = (student.device().without_autodiff(), student.dtype());
    let teacher = LogProbs::from_logits(logits(teacher, dtype, &device));
    AlignedPair::by_position(&teacher, &LogProbs::from_logits(student)).unwrap()
}

fn per_token(
    loss: &HybridLogit,
    teacher: &[Vec<f64>],
    student: &[Vec<f64>],
    on: (DType, &Device),
) -> Vec<f64> {
    let student = logits(student, on.0, on.1);
    floats(loss.per_token(&pair(teacher, student)).unwrap())
}

fn rows(vocab: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    proptest::collection::vec(proptest::collection::vec(-6f64..6.0, vocab), 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_hybrid_follows_its_formula(teacher in rows(6), student in rows(5), beta in 0.05f64..0.95) {
        let (flex, device) = (Device::flex(), test_device());
        let vocabulary = vocabulary();
        for (dtype, device, tolerance) in [
            (DType::F64, &flex, F64_TOLERANCE),
            (DType::F32, &device, F32_SUM_TOLERANCE),
        ] {
            let loss = HybridLogit::try_new(&vocabulary, beta, device).unwrap();
            let found = per_token(&loss, &teacher, &student, (dtype, device));
            for row in 0..2 {
                let (p, q) = (reference::softmax(&teacher[row]), reference::softmax(&student[row]));
                let expected = expected(&vocabulary, beta, &p, &q);
                prop_assert!((found[row] - expected).abs() < tolerance, "{} against {expected}", found[row]);
                prop_assert!(found[row] > -F64_TOLERANCE.max(tolerance));
            }
        }
    }

    #[test]
    fn equal_vocabularies_make_it_jensen_shannon(teacher in rows(5), student in rows(5), beta in 0.05f64..0.95) {
        let device = test_device();
        let on = (DType::F32, &device);
        let tokens = ["a", "b", "c", "d", "e"].map(Some);
        let vocabulary = SharedVocabulary::try_new(&tokens, &tokens).unwrap();
        let loss = HybridLogit::try_new(&vocabulary, beta, &device).unwrap();
        let found = per_token(&loss, &teacher, &student, on);
        let jensen_shannon = JensenShannon::try_new(beta).unwrap();
        let expected = values(&jensen_shannon, &teacher, &student, Kept::Everything, on);
        for (found, expected) in found.iter().zip(expected) {
            prop_assert!((found - expected).abs() < F32_SUM_TOLERANCE);
        }
    }

    #[test]
    fn without_a_common_token_it_is_universal_logit_distillation(teacher in rows(6), student in rows(5)) {
        let device = test_device();
        let vocabulary = SharedVocabulary::try_new::<&str, &str>(&[None; 5], &[None; 6]).unwrap();
        let loss = HybridLogit::try_new(&vocabulary, 0.5, &device).unwrap();
        let on = (DType::F32, &device);
        let found = per_token(&loss, &teacher, &student, on);
        let pair = pair(&teacher, logits(&student, DType::F32, &device));
        prop_assert_eq!(found, floats(UniversalLogit.per_token(&pair)));
    }

    #[test]
    fn a_student_that_is_its_teacher_under_other_ids_costs_nothing(teacher in rows(6), beta in 0.05f64..0.95) {
        let flex = Device::flex();
        let order = [4, 2, 5, 0, 3, 1];
        let names = [Some("a"), Some("b"), None, Some("d"), None, Some("f")];
        let turned: Vec<Vec<f64>> = teacher.iter().map(|row| order.map(|id| row[id]).to_vec()).collect();
        let vocabulary = SharedVocabulary::try_new(&order.map(|id| names[id]), &names).unwrap();
        prop_assert_eq!(vocabulary.matched().len(), 4);
        let loss = HybridLogit::try_new(&vocabulary, beta, &flex).unwrap();
        for value in per_token(&loss, &teacher, &turned, (DType::F64, &flex)) {
            prop_assert!(value.abs() < F64_TOLERANCE);
        }
    }
}

#[test]
fn gradients_of_the_hybrid_agree_with_central_differences() {
    let teacher = vec![
        vec![0.1, 1.9, -0.7, 0.3, -1.1, 0.65],
        vec![0.8, -0.3, 0.45, 0.0, -1.7, 0.25],
    ];
    let student = [0.9, -0.4, 0.2, -1.3, 0.5, 0.1, 1.1, -0.8, 0.35, -0.2];
    let all_of_the_teachers = SharedVocabulary::try_new(
        &[Some("a"), Some("b"), Some("c"), None, None],
        &[Some("c"), Some("a"), Some("b")],
    );
    let narrow: Vec<Vec<f64>> = teacher.iter().map(|row| row[..3].to_vec()).collect();
    for (vocabulary, teacher) in [
        (vocabulary(), teacher),
        (all_of_the_teachers.unwrap(), narrow),
    ] {
        for beta in [0.1, 0.5, 0.9] {
            let loss = HybridLogit::try_new(&vocabulary, beta, &Device::flex()).unwrap();
            assert_gradient("hybrid_logit", &student, [1, 2, 5], |student| {
                loss.per_token(&pair(&teacher, student)).unwrap().sum()
            });
        }
    }
}

#[test]
fn masked_positions_add_exactly_nothing() {
    let device = test_device();
    let on = (DType::F32, &device);
    let teacher = vec![vec![0.3, -1.0, 2.0, 0.1, 0.0, 0.6]; 2];
    let student = [0.5, 1.0, -0.3, 0.2, 0.7, -0.1, 0.4, 0.3, -0.6, 0.9];
    let hybrid = HybridLogit::try_new(&vocabulary(), 0.5, &device).unwrap();
    let with = |student: &[f64], flags: [bool; 2]| {
        let mask = LabelMask::new(&flags, [1, 2], &device);
        let loss = |student| hybrid.forward(&pair(&teacher, student), &mask).unwrap();
        let value = loss(tensor(student, [1, 2, 5], on));
        let gradient = gradient(student, [1, 2, 5], on, |student| loss(student).sum);
        (floats(value.sum)[0], value.num_tokens, gradient)
    };
    let (value, count, gradient) = with(&student, [false, true]);
    assert_eq!((count, &gradient[..5]), (1, &[0.0; 5][..]));
    assert!(gradient[5..].iter().any(|entry| *entry != 0.0));
    let mut other = student;
    other[..5].fill(3.0);
    assert_eq!(with(&other, [false, true]).0, value);
    assert_eq!(with(&student, [false; 2]), (0.0, 0, vec![0.0; 10]));
}

#[test]
fn forbidden_tokens_leave_value_and_gradient_finite() {
    let device = test_device();
    let nothing = f64::NEG_INFINITY;
    let teacher = vec![vec![0.3, nothing, 2.0, 0.1, nothing, 1e4]];
    let student = [0.5, nothing, -1e4, 0.2, nothing];
    let loss = HybridLogit::try_new(&vocabulary(), 0.5, &device).unwrap();
    let gradient = gradient(&student, [1, 1, 5], (DType::F32, &device), |student| {
        let value = loss.per_token(&pair(&teacher, student)).unwrap().sum();
        assert!(floats(value.clone())[0].is_finite());
        value
    });
    assert!(
        gradient.iter().all(|entry| entry.is_finite()),
        "{gradient:?}"
    );
}

#[test]
fn vocabularies_and_settings_that_do_not_fit_are_refused() {
    let device = test_device();
    for beta in [0.0, 1.0, -0.5, f64::NAN] {
        assert!(matches!(
            HybridLogit::try_new(&vocabulary(), beta, &device),
            Err(LossError::OutOfRange {
                setting: "beta",
                ..
            })
        ));
    }
    let loss = HybridLogit::try_new(&vocabulary(), 0.5, &device).unwrap();
    let of = |vocab: usize| LogProbs::from_logits(Tensor::zeros([1, 1, vocab], &device));
    let pair = AlignedPair::by_position(&of(6), &of(6)).unwrap();
    assert!(matches!(
        loss.per_token(&pair),
        Err(LossError::VocabularySize {
            side: "student",
            expected: 5,
            found: 6
        })
    ));
    let twice = SharedVocabulary::try_new(&[Some("a"), None, Some("a")], &[Some("a")]);
    assert!(matches!(
        twice,
        Err(AlignmentError::AmbiguousToken {
            side: "student",
            first: 0,
            second: 2
        })
    ));
    let empty = SharedVocabulary::try_new::<&str, &str>(&[Some("a")], &[]);
    assert!(matches!(
        empty,
        Err(AlignmentError::EmptyVocabulary { side: "teacher" })
    ));
}
