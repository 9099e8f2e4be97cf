//! The ends of the input space: extreme logits, no labels, inputs that do not fit.

use super::*;
use crate::test_device::test_device;

#[test]
fn without_a_counted_label_sum_count_and_gradient_are_zero() {
    let device = test_device().autodiff();
    let mask = LabelMask::new(&[false, false], [1, 2], &device);
    let teacher = vec![vec![1.0, 0.0, 2.0], vec![0.5, 0.0, -1.0]];
    for (divergence, _) in divergences() {
        for kept in every_kind(2).filter(|kept| kept.serves(&*divergence)) {
            let student = logits(&[vec![0.0; 3], vec![1.0; 3]], DType::F32, &device).require_grad();
            let loss = divergence
                .forward(&pair(&teacher, student.clone(), kept), &mask)
                .unwrap();
            assert_eq!(loss.num_tokens, 0);
            assert_eq!(loss.mean_nats(), None);
            assert_eq!(floats(loss.sum.clone()), [0.0]);
            let gradient = student.grad(&loss.sum.backward()).unwrap();
            assert_eq!(
                floats(gradient),
                [0.0; 6],
                "{} on {kept:?}",
                divergence.name()
            );
        }
    }
}

#[test]
fn extreme_logits_give_the_values_of_their_formulas() {
    let device = test_device();
    let teacher = vec![vec![1e4, -1e4, 0.0, 1e4], vec![-1e4, -1e4, -1e4, -1e4]];
    let student = vec![vec![1e4, 1e4 - 1.0, -1e4, 1e4], vec![1e4, 0.0, 0.0, 0.0]];
    for (divergence, _) in divergences() {
        for kept in every_kind(2).filter(|kept| kept.serves(&*divergence)) {
            let found = values(
                &*divergence,
                &teacher,
                &student,
                kept,
                (DType::F32, &device),
            );
            assert!(
                found.iter().all(|value| value.is_finite()),
                "{}: {found:?}",
                divergence.name()
            );
        }
    }
    let kl = values(
        &ForwardKl,
        &teacher,
        &student,
        Kept::Everything,
        (DType::F32, &device),
    );
    // First row: p = (½, 0, 0, ½), q = (1, e⁻¹, 0, 1) ÷ (2 + e⁻¹). Second: uniform against certain.
    let first = (0.5 * (2.0 + (-1f64).exp())).ln();
    let second = 0.75 * 1e4 - 4f64.ln();
    assert!((kl[0] - first).abs() < F32_SUM_TOLERANCE, "{kl:?}");
    assert!((kl[1] - second).abs() < 1e-6 * second, "{kl:?}");
}

#[test]
fn columns_that_both_sides_forbid_change_nothing() {
    let device = test_device().autodiff();
    let padded = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let pad = |row: &Vec<f64>| [row.clone(), vec![f64::NEG_INFINITY; 2]].concat();
        rows.iter().map(pad).collect()
    };
    let teacher = vec![vec![0.3, -1.0, 2.0, 0.1]];
    let student = vec![vec![-0.2, 0.4, 0.9, -1.0]];
    for (divergence, _) in divergences() {
        let expected = values(
            &*divergence,
            &teacher,
            &student,
            Kept::Everything,
            (DType::F32, &device),
        );
        let wide = logits(&padded(&student), DType::F32, &device).require_grad();
        let pair = pair(&padded(&teacher), wide.clone(), Kept::Everything);
        let loss = divergence.forward(&pair, &every_label(1, &device)).unwrap();
        let found = floats(loss.sum.clone())[0];
        let name = divergence.name();
        assert!(
            (found - expected[0]).abs() < F32_SUM_TOLERANCE,
            "{name}: {found} against {expected:?}"
        );
        let gradient = floats(wide.grad(&loss.sum.backward()).unwrap());
        assert!(
            gradient.iter().all(|g| g.is_finite()),
            "{name}: {gradient:?}"
        );
        assert!(
            gradient[4..].iter().all(|g| g.abs() < 1e-30),
            "{name}: {gradient:?}"
        );
    }
}

#[test]
fn what_is_not_a_number_is_not_hidden() {
    let device = test_device();
    let teacher = vec![vec![0.3, -1.0, 2.0]];
    let student = vec![vec![0.1, f64::NAN, 0.4]];
    for (divergence, _) in divergences() {
        let found = values(
            &*divergence,
            &teacher,
            &student,
            Kept::Everything,
            (DType::F32, &device),
        );
        assert!(found[0].is_nan(), "{}: {found:?}", divergence.name());
    }
}

#[test]
fn a_divergence_that_would_be_infinite_is_refused() {
    let device = test_device();
    let student = logits(&[vec![0.0; 4]], DType::F32, &device);
    for (divergence, _) in divergences() {
        for treatment in [TailTreatment::ZeroFill, TailTreatment::RenormaliseTeacher] {
            let pair = pair(
                &[vec![3.0, 2.0, 1.0, 0.0]],
                student.clone(),
                Kept::TopK(2, treatment),
            );
            let outcome = divergence.forward(&pair, &every_label(1, &device));
            match outcome {
                Ok(loss) => {
                    assert!(!divergence.needs_teacher_mass());
                    assert!(floats(loss.sum)[0].abs() < 1e3, "{}", divergence.name());
                }
                Err(error) => {
                    assert!(divergence.needs_teacher_mass());
                    assert!(error.to_string().contains(treatment.name()), "{error}");
                }
            }
        }
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let device = test_device();
    let student = LogProbs::from_logits(Tensor::zeros([1, 1, 3], &device));
    let row = |vocab: usize| vec![(0..vocab).map(|id| id as f64).collect::<Vec<_>>()];
    let targets = |rows: &[Vec<f64>], k| top_k_targets(rows, k, DType::F32, &device);
    assert!(matches!(
        DistributionPair::top_k(&targets(&row(4), 4), &student, TailTreatment::TailBucket),
        Err(LossError::TooManyEntries { k: 4, vocab: 3 })
    ));
    let two_rows = [row(3), row(3)].concat();
    assert!(matches!(
        DistributionPair::top_k(&targets(&two_rows, 2), &student, TailTreatment::TailBucket),
        Err(LossError::Shape { found: [1, 2], .. })
    ));
    let wide = LogProbs::from_logits(Tensor::zeros([1, 1, 5], &device));
    assert!(matches!(
        DistributionPair::dense(&wide, &student),
        Err(LossError::Vocabulary {
            teacher: 5,
            student: 3
        })
    ));
    let pair = DistributionPair::dense(&student, &student).unwrap();
    assert!(matches!(
        ForwardKl.forward(&pair, &every_label(2, &device)),
        Err(LossError::Shape { found: [1, 2], .. })
    ));
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            student.at_temperature(temperature),
            Err(LossError::OutOfRange { .. })
        ));
    }
    for fraction in [-0.1, 1.1, f64::NAN] {
        assert!(JensenShannon::try_new(fraction).is_err());
        assert!(SkewKl::try_new(fraction).is_err());
        assert!(AdaptiveKl::try_new(fraction).is_err());
    }
    assert!(
        SkewReverseKl::try_new(1.0).is_err(),
        "KL(q ‖ q) is 0 whatever the teacher says"
    );
}

#[test]
fn a_student_without_any_tail_mass_gives_a_large_finite_loss() {
    let (teacher, student) = (
        vec![vec![2.0, 1.0, 0.0, -1.0]],
        vec![vec![0.0, 0.0, -90.0, -90.0]],
    );
    let kept = Kept::TopK(2, TailTreatment::TailBucket);
    let found = values(
        &ForwardKl,
        &teacher,
        &student,
        kept,
        (DType::F32, &test_device()),
    )[0];
    let (p, q) = (
        reference::softmax(&teacher[0]),
        reference::softmax(&student[0]),
    );
    let (p, q) = reference::outcomes(&p, &q, kept);
    let expected = reference::kl(&p, &q);
    assert!(
        (found - expected).abs() < 1e-3,
        "{found} against {expected}"
    );
}
