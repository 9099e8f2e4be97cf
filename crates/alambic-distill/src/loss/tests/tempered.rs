//! Truncated targets at a temperature that was declared when the teacher was read.

use burn::tensor::Int;

use super::gradients::{assert_near, differences, gradient, teacher};
use super::*;

const TEMPERATURES: [f64; 3] = [0.5, 2.0, 5.0];
/// What head and tail of `f64` targets are off by.
const F64_TOLERANCE: f64 = 1e-9;

fn divided(rows: &[Vec<f64>], temperature: f64) -> Vec<Vec<f64>> {
    let by = |row: &Vec<f64>| row.iter().map(|logit| logit / temperature).collect();
    rows.iter().map(by).collect()
}

/// The `k` most likely entries, with what a capture counts at `temperature`.
fn declared(
    teacher: &[Vec<f64>],
    k: usize,
    temperature: f64,
    (dtype, device): (DType, &Device),
) -> TopKTargetBatch {
    let softened = top_k_targets(&divided(teacher, temperature), k, dtype, device);
    TopKTargetBatch {
        tempered: vec![TemperedTailBatch {
            temperature,
            tail_mass: softened.tail_mass,
            entropy: softened.entropy,
        }],
        ..top_k_targets(teacher, k, dtype, device)
    }
}

fn student() -> Vec<Vec<f64>> {
    vec![
        vec![0.3, -1.0, 2.0, 0.0, 0.5],
        vec![0.1, 0.2, -1.0, 0.0, 2.0],
    ]
}

/// The divergence of every row at a temperature, from targets that are kept at 1.
fn at_temperature(
    divergence: &dyn Divergence,
    k: usize,
    temperature: f64,
    treatment: TailTreatment,
    on: (DType, &Device),
) -> Vec<f64> {
    let targets = TargetBatch::TopK(declared(&teacher(), k, temperature, on));
    let student = LogProbs::from_logits(logits(&student(), on.0, on.1));
    let student = student.at_temperature(temperature).unwrap();
    let targets = targets.at_temperature(temperature).unwrap();
    floats(divergence.per_token(&targets.pair(&student, treatment).unwrap()))
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= tolerance, "{what}: {found:?} {expected:?}");
    }
}

#[test]
fn with_all_entries_it_is_the_dense_divergence_at_the_temperature() {
    for (dtype, tolerance) in [(DType::F64, F64_TOLERANCE), (DType::F32, F32_SUM_TOLERANCE)] {
        let on = (dtype, &Device::flex());
        for temperature in TEMPERATURES {
            let softened = divided(&teacher(), temperature);
            let student = divided(&student(), temperature);
            for (divergence, _) in divergences() {
                let dense = values(&*divergence, &softened, &student, Kept::Everything, on);
                for treatment in TREATMENTS {
                    let found = at_temperature(&*divergence, 5, temperature, treatment, on);
                    assert_close(&found, &dense, tolerance, divergence.name());
                }
            }
        }
    }
}

/// The formula over the head at the temperature and one outcome for all others.
#[test]
fn the_tail_bucket_is_the_dense_distribution_with_its_tail_merged() {
    let on = (DType::F64, &Device::flex());
    let merged = |probs: &[f64], kept: &[usize]| -> Vec<f64> {
        let head = kept.iter().map(|&id| probs[id]);
        let rest = 1.0 - head.clone().sum::<f64>();
        head.chain([rest]).collect()
    };
    for temperature in TEMPERATURES {
        for k in [1, 2, 4] {
            for (divergence, formula) in divergences() {
                let rows = teacher().into_iter().zip(student());
                let expected: Vec<f64> = rows
                    .map(|(teacher, student)| {
                        let soften = |row: Vec<f64>| {
                            let row: Vec<f64> = row.iter().map(|z| z / temperature).collect();
                            reference::softmax(&row)
                        };
                        let (teacher, student) = (soften(teacher), soften(student));
                        let (kept, _) = reference::truncate(&teacher, k);
                        formula(&merged(&teacher, &kept), &merged(&student, &kept))
                    })
                    .collect();
                let bucket = TailTreatment::TailBucket;
                let found = at_temperature(&*divergence, k, temperature, bucket, on);
                assert_close(&found, &expected, F64_TOLERANCE, divergence.name());
            }
        }
    }
}

/// Every treatment of the tail means at the temperature what it means at 1.
#[test]
fn all_treatments_are_those_of_targets_captured_at_the_temperature() {
    let on = (DType::F64, &Device::flex());
    for temperature in TEMPERATURES {
        let softened = divided(&teacher(), temperature);
        let student = divided(&student(), temperature);
        for kept in every_kind(2) {
            let Kept::TopK(k, treatment) = kept else {
                continue;
            };
            for (divergence, _) in divergences() {
                if !kept.serves(&*divergence) {
                    continue;
                }
                let expected = values(&*divergence, &softened, &student, kept, on);
                let found = at_temperature(&*divergence, k, temperature, treatment, on);
                assert_close(&found, &expected, F64_TOLERANCE, divergence.name());
            }
        }
    }
}

#[test]
fn entropy_and_positions_follow_to_the_temperature() {
    let on = (DType::F64, &Device::flex());
    let targets = declared(&teacher(), 2, 2.0, on);
    let expected: Vec<f64> = divided(&teacher(), 2.0)
        .iter()
        .map(|row| reference::entropy(&reference::softmax(row)))
        .collect();
    let softened = targets.at_temperature(2.0).unwrap();
    assert_close(
        &floats(softened.entropy),
        &expected,
        F64_TOLERANCE,
        "entropy",
    );
    let second = targets.positions(1..2).at_temperature(2.0).unwrap();
    assert_close(
        &floats(second.entropy),
        &expected[1..],
        F64_TOLERANCE,
        "range",
    );
    let rows = Tensor::<1, Int>::from_ints([1], on.1);
    let second = targets.select(&rows).at_temperature(2.0).unwrap();
    assert_close(
        &floats(second.entropy),
        &expected[1..],
        F64_TOLERANCE,
        "list",
    );
}

#[test]
fn gradients_at_a_declared_temperature_agree_with_central_differences() {
    let on = (DType::F64, &Device::flex());
    let targets = TargetBatch::TopK(declared(&teacher(), 2, 2.0, on));
    for kind in LossKind::OF_LABELS {
        if matches!(kind, LossKind::AdaptiveKl | LossKind::LogitMse) {
            continue; // weights that are constants to the gradient; raw logits
        }
        let terms = vec![ObjectiveTerm::published(kind, 0.5)];
        let objective = Objective::try_new(terms, TailTreatment::TailBucket).unwrap();
        let temperature = Temperature::try_new(2.0, TemperatureFactor::Squared).unwrap();
        let objective = objective.with_temperature(temperature);
        let loss = |student: Tensor<3>| {
            let labels = Tensor::<2, Int>::from_ints([[2, 0]], &student.device());
            let losses = objective.per_token(Logits::new(student), &labels, Some(&targets));
            let weighted = losses.unwrap().into_iter().zip(objective.factors(1));
            let totals = weighted.map(|(loss, factor)| loss.sum() * factor);
            totals.reduce(|sum, more| sum + more).unwrap()
        };
        assert_near(kind.name(), &gradient(loss), &differences(loss));
    }
}

#[test]
fn a_temperature_that_a_recipe_writes_in_decimals_is_the_one_that_is_kept() {
    let on = (DType::F32, &Device::flex());
    let kept = f64::from(1.3f32);
    let targets = declared(&teacher(), 2, kept, on);
    assert!(targets.at_temperature(1.3).is_ok());
    assert!(targets.at_temperature(1.300_001).is_err());
    let drawn = SampledTargetBatch::from_host(vec![0], vec![1.0], vec![0.0], [1, 1, 1], on.1);
    assert!(
        TargetBatch::Sampled(drawn.drawn_at(kept))
            .at_temperature(1.3)
            .is_ok()
    );
}
