//! What a temperature changes, and what it leaves.

use burn::tensor::Int;

use super::gradients::{assert_near, differences, gradient, teacher};
use super::*;

const TEMPERATURE: f64 = 2.0;

fn objective(kinds: &[LossKind], factor: TemperatureFactor) -> Objective {
    let terms = kinds
        .iter()
        .map(|&kind| ObjectiveTerm::published(kind, 0.5));
    let objective = Objective::try_new(terms.collect(), TailTreatment::TailBucket).unwrap();
    objective.with_temperature(Temperature::try_new(TEMPERATURE, factor).unwrap())
}

/// The total of an objective on the teacher's logits, in `f64`.
fn total(objective: &Objective, student: Tensor<3>) -> Tensor<1> {
    let teacher = Logits::new(logits(&teacher(), DType::F64, &Device::flex()));
    let labels = Tensor::<2, Int>::from_ints([[2, 0]], &student.device());
    let targets = TargetBatch::Logits(teacher);
    let losses = objective.per_token(Logits::new(student), &labels, Some(&targets));
    let weighted = losses.unwrap().into_iter().zip(objective.factors(1));
    let totals = weighted.map(|(loss, factor)| loss.sum() * factor);
    totals.reduce(|sum, more| sum + more).unwrap()
}

#[test]
fn the_factor_belongs_to_terms_that_compare_distributions() {
    let squared = objective(&LossKind::OF_LABELS, TemperatureFactor::Squared);
    let one = objective(&LossKind::OF_LABELS, TemperatureFactor::One);
    for (index, kind) in LossKind::OF_LABELS.into_iter().enumerate() {
        let compares = !matches!(kind, LossKind::CrossEntropy | LossKind::LogitMse);
        let expected = if compares {
            0.5 * TEMPERATURE.powi(2)
        } else {
            0.5
        };
        assert_eq!(squared.factors(1)[index], expected, "{kind:?}");
        assert_eq!(one.factors(1)[index], 0.5, "{kind:?}");
    }
}

#[test]
fn both_sides_are_softened_and_labels_are_not() {
    let (device, student) = (
        Device::flex(),
        vec![vec![0.3; 5], vec![0.1, 0.2, -1.0, 0.0, 2.0]],
    );
    let in_f64 = |rows: &[Vec<f64>]| logits(rows, DType::F64, &device);
    let kinds = [
        LossKind::ReverseKl,
        LossKind::CrossEntropy,
        LossKind::LogitMse,
    ];
    let targets = TargetBatch::Logits(Logits::new(in_f64(&teacher())));
    let labels = Tensor::<2, Int>::from_ints([[2, 0]], &device);
    let found = objective(&kinds, TemperatureFactor::One)
        .per_token(Logits::new(in_f64(&student)), &labels, Some(&targets))
        .unwrap();
    let divided = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let by = |row: &Vec<f64>| row.iter().map(|z| z / TEMPERATURE).collect();
        rows.iter().map(by).collect()
    };
    let softened = values(
        &ReverseKl,
        &divided(&teacher()),
        &divided(&student),
        Kept::Everything,
        (DType::F64, &device),
    );
    let as_they_are = LogProbs::from_logits(in_f64(&student));
    let expected = [
        softened,
        floats(CrossEntropy.per_token(&as_they_are, &labels).unwrap()),
        floats(
            LogitMse
                .per_token(
                    &Logits::new(in_f64(&teacher())),
                    &Logits::new(in_f64(&student)),
                )
                .unwrap(),
        ),
    ];
    for (found, expected) in found.into_iter().zip(expected) {
        assert_near("softened", &floats(found), &expected);
    }
}

#[test]
fn gradients_at_a_temperature_agree_with_central_differences() {
    for factor in [TemperatureFactor::Squared, TemperatureFactor::One] {
        for kind in LossKind::OF_LABELS {
            if kind == LossKind::AdaptiveKl {
                continue; // its weights are constants to the gradient
            }
            let objective = objective(&[kind], factor);
            let loss = |student: Tensor<3>| total(&objective, student);
            assert_near(kind.name(), &gradient(loss), &differences(loss));
        }
    }
}

/// `∂/∂z T² KL(p_T ‖ q_T) = T (q_T − p_T)`
#[test]
fn the_square_keeps_the_scale_of_gradients() {
    let scale = |temperature: f64, factor| {
        let terms = vec![ObjectiveTerm::new(LossKind::ForwardKl, 1.0)];
        let objective = Objective::try_new(terms, TailTreatment::TailBucket).unwrap();
        let temperature = Temperature::try_new(temperature, factor).unwrap();
        let objective = objective.with_temperature(temperature);
        let gradient = gradient(|student| total(&objective, student));
        gradient.iter().map(|g| g.abs()).sum::<f64>()
    };
    let as_they_are = scale(1.0, TemperatureFactor::Squared);
    let squared = scale(8.0, TemperatureFactor::Squared);
    let plain = scale(8.0, TemperatureFactor::One);
    assert!(
        (0.5..2.0).contains(&(squared / as_they_are)),
        "{squared} {as_they_are}"
    );
    assert!((squared / plain - 64.0).abs() < 1e-6);
}

#[test]
fn truncated_targets_cannot_be_softened_to_a_temperature_that_was_not_declared() {
    let device = Device::flex();
    let targets = TargetBatch::TopK(top_k_targets(&teacher(), 2, DType::F64, &device));
    let labels = Tensor::<2, Int>::from_ints([[2, 0]], &device);
    let student = || Logits::new(logits(&teacher(), DType::F64, &device));
    let softened = objective(&[LossKind::ForwardKl], TemperatureFactor::Squared);
    let error = softened
        .per_token(student(), &labels, Some(&targets))
        .unwrap_err();
    assert!(
        error.to_string().contains("is kept for [1.0]; use one of"),
        "{error}"
    );
    let as_they_are = softened.with_temperature(Temperature::ONE);
    assert!(
        as_they_are
            .per_token(student(), &labels, Some(&targets))
            .is_ok()
    );
}

#[test]
fn a_temperature_is_a_finite_number_above_zero() {
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            Temperature::try_new(value, TemperatureFactor::Squared),
            Err(LossError::OutOfRange {
                setting: "temperature",
                ..
            })
        ));
    }
}
