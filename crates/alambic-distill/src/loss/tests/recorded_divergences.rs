//! Every divergence on every kind of teacher, recorded from PyTorch in `f64`
//! (`tools/golden/record_divergences.py`).

use serde::Deserialize;

use super::*;
use crate::test_device::test_device;

/// Sums of 20 terms in `f64`, against the same in probabilities instead of logarithms: tens of
/// roundings.
const F64_TOLERANCE: f64 = 1e-14;
/// The same in `f32`, whose rounding is 6e-8.
const F32_TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Recording {
    temperature: f64,
    student_logits: Vec<Vec<f64>>,
    teacher_logits: Vec<Vec<f64>>,
    divergences: Vec<Recorded>,
    #[serde(flatten)]
    truncation: Option<Truncation>,
}

#[derive(Deserialize)]
struct Recorded {
    term: ObjectiveTerm,
    per_token: Vec<f64>,
    gradient: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Truncation {
    tail_treatment: TailTreatment,
    k: usize,
    target_ids: Vec<Vec<i32>>,
    target_log_probs: Vec<Vec<f64>>,
    tail_mass: Vec<f64>,
}

macro_rules! recording {
    ($name:literal) => {
        serde_json::from_str(include_str!(concat!(
            "../../../../../tests/golden/losses/divergences_",
            $name,
            ".json"
        )))
        .unwrap()
    };
}

fn recordings() -> Vec<Recording> {
    vec![
        recording!("dense_temperature_1"),
        recording!("dense_temperature_2"),
        recording!("tail_bucket"),
        recording!("zero_fill"),
        recording!("renormalise_teacher"),
        recording!("renormalise_both"),
    ]
}

impl Recording {
    fn kept(&self) -> Kept {
        let truncated = self.truncation.as_ref();
        truncated.map_or(Kept::Everything, |truncation| {
            Kept::TopK(truncation.k, truncation.tail_treatment)
        })
    }

    /// What the recording says of teacher and student, from logits that are a leaf.
    fn pair(&self, student: Tensor<3>) -> DistributionPair {
        let (device, dtype) = (student.device().without_autodiff(), student.dtype());
        let at_temperature = |logits| {
            LogProbs::from_logits(logits)
                .at_temperature(self.temperature)
                .unwrap()
        };
        let student = at_temperature(student);
        match &self.truncation {
            None => {
                let teacher = at_temperature(logits(&self.teacher_logits, dtype, &device));
                DistributionPair::dense(&teacher, &student).unwrap()
            }
            Some(truncation) => {
                let targets = truncation.targets(dtype, &device);
                DistributionPair::top_k(&targets, &student, truncation.tail_treatment).unwrap()
            }
        }
    }
}

impl Truncation {
    fn targets(&self, dtype: DType, device: &Device) -> TopKTargetBatch {
        let row = |values: &[f64]| -> Tensor<2> {
            let data = TensorData::new(values.to_vec(), [1, values.len()]);
            Tensor::from_data(data.convert_dtype(dtype), (device, dtype))
        };
        let ids = self.target_ids.concat();
        TopKTargetBatch {
            largest_token_id: ids.iter().max().unwrap().cast_unsigned(),
            token_ids: Tensor::from_data(
                TensorData::new(ids, [1, self.target_ids.len(), self.k]),
                device,
            ),
            log_probs: logits(&self.target_log_probs, dtype, device),
            tail_mass: row(&self.tail_mass),
            entropy: row(&vec![0.0; self.tail_mass.len()]),
            tempered: vec![],
        }
    }
}

fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() < tolerance * (1.0 + expected.abs()),
            "{what}, entry {index}: {found} against {expected}"
        );
    }
}

fn assert_equal_to_the_recordings(dtype: DType, device: &Device, tolerance: f64) {
    for recording in recordings() {
        for recorded in &recording.divergences {
            let divergence = recorded.term.divergence().unwrap().unwrap();
            let student = logits(&recording.student_logits, dtype, &device.clone().autodiff());
            let student = student.require_grad();
            let per_token = divergence.per_token(&recording.pair(student.clone()));
            let kept = recording.kept();
            let what = format!(
                "{:?} on {kept:?} at temperature {} in {dtype:?}",
                recorded.term, recording.temperature
            );
            assert_near(
                &what,
                &floats(per_token.clone()),
                &recorded.per_token,
                tolerance,
            );
            let gradient = student.grad(&per_token.sum().backward()).unwrap();
            let expected = recorded.gradient.concat();
            assert_near(
                &format!("gradient of {what}"),
                &floats(gradient),
                &expected,
                tolerance,
            );
        }
    }
}

#[test]
fn every_divergence_and_its_gradient_equal_those_recorded_from_pytorch() {
    assert_equal_to_the_recordings(DType::F32, &test_device(), F32_TOLERANCE);
}

#[test]
fn in_double_precision_they_equal_the_recorded_ones_to_the_last_digits() {
    assert_equal_to_the_recordings(DType::F64, &Device::flex(), F64_TOLERANCE);
}

#[test]
fn every_divergence_is_recorded_on_every_teacher_where_it_is_finite() {
    for recording in recordings() {
        let kept = recording.kept();
        for kind in LossKind::OF_LABELS {
            let Some(divergence) = ObjectiveTerm::published(kind, 1.0).divergence().unwrap() else {
                continue;
            };
            let is_recorded = recording.divergences.iter().any(|it| it.term.kind == kind);
            // Jensen-Shannon is recorded at several settings, some of which are finite everywhere.
            assert_eq!(
                is_recorded,
                kept.serves(&*divergence),
                "{} on {kept:?}",
                divergence.name()
            );
        }
    }
}
