//! What must hold between divergences and kinds of targets, whatever the logits.

use proptest::prelude::*;

use super::*;
use crate::test_device::test_device;

/// Rounding of `f64` sums of a few terms.
const F64_TOLERANCE: f64 = 1e-11;

fn rows(count: usize, vocab: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
    proptest::collection::vec(proptest::collection::vec(-6f64..6.0, vocab), count)
}

fn f64_values(
    divergence: &dyn Divergence,
    teacher: &[Vec<f64>],
    student: &[Vec<f64>],
    kept: Kept,
) -> Vec<f64> {
    values(
        divergence,
        teacher,
        student,
        kept,
        (DType::F64, &Device::flex()),
    )
}

fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) -> Result<(), TestCaseError> {
    let error = (found - expected).abs();
    prop_assert!(
        error <= tolerance * (1.0 + expected.abs()),
        "{what}: {found} against {expected}"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_divergence_follows_its_formula_on_every_kind_of_target(
        teacher in rows(2, 9), student in rows(2, 9), k in 1usize..=9,
    ) {
        let device = test_device();
        for (divergence, formula) in divergences() {
            for kept in every_kind(k).filter(|kept| kept.serves(&*divergence)) {
                let in_f64 = f64_values(&*divergence, &teacher, &student, kept);
                let in_f32 = values(&*divergence, &teacher, &student, kept, (DType::F32, &device));
                for row in 0..2 {
                    let (p, q) = (reference::softmax(&teacher[row]), reference::softmax(&student[row]));
                    let (p, q) = reference::outcomes(&p, &q, kept);
                    let expected = formula(&p, &q);
                    let what = format!("{} on {kept:?}", divergence.name());
                    assert_near(in_f64[row], expected, F64_TOLERANCE, &what)?;
                    assert_near(in_f32[row], expected, F32_SUM_TOLERANCE, &what)?;
                }
            }
        }
    }

    #[test]
    fn a_student_that_equals_its_teacher_costs_nothing(teacher in rows(2, 7), k in 1usize..7) {
        for (divergence, _) in divergences() {
            for kept in every_kind(k).filter(|kept| kept.serves(&*divergence)) {
                if matches!(kept, Kept::TopK(_, TailTreatment::ZeroFill | TailTreatment::RenormaliseTeacher)) {
                    continue;
                }
                for value in f64_values(&*divergence, &teacher, &teacher, kept) {
                    assert_near(value, 0.0, F64_TOLERANCE, divergence.name())?;
                }
            }
        }
    }

    #[test]
    fn without_a_tail_an_equal_student_costs_what_the_teacher_left_out(teacher in rows(2, 7), k in 1usize..7) {
        let of = |treatment| f64_values(&ForwardKl, &teacher, &teacher, Kept::TopK(k, treatment));
        let (filled, renormalised) = (of(TailTreatment::ZeroFill), of(TailTreatment::RenormaliseTeacher));
        for row in 0..2 {
            let (_, tail) = reference::truncate(&reference::softmax(&teacher[row]), k);
            assert_near(filled[row], 0.0, F64_TOLERANCE, "zero fill")?;
            assert_near(renormalised[row], -(1.0 - tail).ln(), F64_TOLERANCE, "renormalised")?;
        }
    }

    #[test]
    fn between_distributions_nothing_is_negative(teacher in rows(2, 8), student in rows(2, 8), k in 1usize..8) {
        for (divergence, _) in divergences() {
            for treatment in [TailTreatment::TailBucket, TailTreatment::RenormaliseBoth] {
                for kept in [Kept::Everything, Kept::TopK(k, treatment)] {
                    for value in f64_values(&*divergence, &teacher, &student, kept) {
                        prop_assert!(value > -F64_TOLERANCE, "{}: {value}", divergence.name());
                    }
                }
            }
        }
    }

    #[test]
    fn with_every_entry_stored_all_treatments_are_the_dense_value(teacher in rows(2, 6), student in rows(2, 6)) {
        for (divergence, _) in divergences() {
            let dense = f64_values(&*divergence, &teacher, &student, Kept::Everything);
            for treatment in TREATMENTS {
                let stored = f64_values(&*divergence, &teacher, &student, Kept::TopK(6, treatment));
                for (stored, dense) in stored.iter().zip(&dense) {
                    assert_near(*stored, *dense, F64_TOLERANCE, divergence.name())?;
                }
            }
        }
    }

    /// By the data-processing inequality; an adaptive divergence weighs two of them and is none.
    #[test]
    fn a_tail_bucket_is_a_lower_bound_of_every_f_divergence(teacher in rows(2, 8), student in rows(2, 8), k in 1usize..8) {
        for (divergence, _) in divergences().into_iter().filter(|(d, _)| d.name() != "adaptive_kl") {
            let full = f64_values(&*divergence, &teacher, &student, Kept::Everything);
            let coarse = f64_values(&*divergence, &teacher, &student, Kept::TopK(k, TailTreatment::TailBucket));
            for (coarse, full) in coarse.iter().zip(full) {
                prop_assert!(*coarse < full + F64_TOLERANCE, "{}: {coarse} above {full}", divergence.name());
            }
        }
    }

    #[test]
    fn symmetric_divergences_do_not_tell_teacher_from_student(teacher in rows(2, 8), student in rows(2, 8)) {
        let middle = JensenShannon::try_new(0.5).unwrap();
        for divergence in [&SymmetricKl as &dyn Divergence, &middle, &TotalVariation] {
            let there = f64_values(divergence, &teacher, &student, Kept::Everything);
            let back = f64_values(divergence, &student, &teacher, Kept::Everything);
            for (there, back) in there.iter().zip(&back) {
                assert_near(*there, *back, F64_TOLERANCE, divergence.name())?;
            }
        }
    }

    #[test]
    fn bounded_divergences_keep_their_bounds(teacher in rows(2, 8), student in rows(2, 8)) {
        let skew = SkewKl::try_new(0.1).unwrap();
        let skew_reverse = SkewReverseKl::try_new(0.1).unwrap();
        let middle = JensenShannon::try_new(0.5).unwrap();
        let bounds: [(&dyn Divergence, f64); 4] = [
            (&middle, 2f64.ln()),
            (&skew, -0.1f64.ln()),
            (&skew_reverse, -0.1f64.ln()),
            (&TotalVariation, 1.0),
        ];
        for (divergence, bound) in bounds {
            for value in f64_values(divergence, &teacher, &student, Kept::Everything) {
                prop_assert!(value <= bound + F64_TOLERANCE, "{}: {value}", divergence.name());
            }
        }
    }

    /// The jump of the generalised Jensen-Shannon divergence at the ends of beta.
    #[test]
    fn jensen_shannon_over_beta_tends_to_the_kl_divergences(teacher in rows(2, 8), student in rows(2, 8)) {
        let near_0 = JensenShannon::try_new(1e-6).unwrap();
        let near_1 = JensenShannon::try_new(1.0 - 1e-6).unwrap();
        let forward = f64_values(&ForwardKl, &teacher, &student, Kept::Everything);
        let reverse = f64_values(&ReverseKl, &teacher, &student, Kept::Everything);
        let low = f64_values(&near_0, &teacher, &student, Kept::Everything);
        let high = f64_values(&near_1, &teacher, &student, Kept::Everything);
        for row in 0..2 {
            // The next term of the series is of the order of beta times the chi-squared divergence.
            assert_near(low[row] / 1e-6, forward[row], 2e-2, "towards 0")?;
            assert_near(high[row] / 1e-6, reverse[row], 2e-2, "towards 1")?;
        }
    }

    #[test]
    fn a_temperature_divides_the_logits(student in rows(2, 8), temperature in 0.25f64..4.0) {
        let device = Device::flex();
        let softened = LogProbs::from_logits(logits(&student, DType::F64, &device))
            .at_temperature(temperature)
            .unwrap();
        let divided: Vec<Vec<f64>> = student
            .iter()
            .map(|row| row.iter().map(|z| z / temperature).collect())
            .collect();
        let expected = LogProbs::from_logits(logits(&divided, DType::F64, &device));
        for (found, expected) in floats(softened.tensor().clone()).iter().zip(floats(expected.tensor().clone())) {
            assert_near(*found, expected, F64_TOLERANCE, "temperature")?;
        }
    }
}
