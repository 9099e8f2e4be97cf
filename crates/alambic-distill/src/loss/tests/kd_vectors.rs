//! Divergences of a real teacher and a real student, recorded in `f64` by another implementation.

use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::Value;

use super::*;
use crate::test_device::test_device;

/// Means over 95 positions, relative.
const MEAN_TOLERANCE: f64 = 1e-5;
const VOCAB: usize = 512;

fn recordings() -> Option<PathBuf> {
    let default = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let root = std::env::var_os("ALAMBIC_SHARED").map_or(default, PathBuf::from);
    let golden = root.join("data/stories260K/golden");
    #[allow(clippy::print_stderr, reason = "a skipped test must be heard")]
    if !golden.is_dir() {
        eprintln!(
            "skipped: the recorded divergences need the shared data directory (set ALAMBIC_SHARED)"
        );
        return None;
    }
    Some(golden)
}

/// Logits of every position but the last, `[1, positions, vocab]`.
fn recorded_logits(file: &SafeTensors<'_>, name: &str, device: &Device) -> Tensor<3> {
    let view = file.tensor(name).unwrap();
    let positions = view.shape()[0] - 1;
    let values: Vec<f32> = view
        .data()
        .chunks_exact(4)
        .take(positions * VOCAB)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    Tensor::from_data(TensorData::new(values, [1, positions, VOCAB]), device)
}

fn assert_mean(what: &str, recorded: &Value, divergence: &dyn Divergence, pair: &DistributionPair) {
    let expected = recorded.as_f64().unwrap();
    let [_, positions, _] = pair.dims();
    let mask = every_label(positions, &pair.student().device());
    let found = divergence
        .forward(pair, &mask)
        .unwrap()
        .mean_nats()
        .unwrap();
    assert!(
        (found - expected).abs() < MEAN_TOLERANCE * expected,
        "{what}: {found} against {expected}"
    );
}

#[test]
fn divergences_of_a_real_teacher_equal_the_recorded_ones() {
    let Some(golden) = recordings() else { return };
    let device = test_device();
    let recorded: Value =
        serde_json::from_slice(&std::fs::read(golden.join("kd_vectors.json")).unwrap()).unwrap();
    let bytes = std::fs::read(golden.join("kd_vectors.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let beta = |beta| JensenShannon::try_new(beta).unwrap();
    for (index, case) in recorded["cases"].as_array().unwrap().iter().enumerate() {
        let logits = |side: &str| recorded_logits(&file, &format!("case{index}.{side}"), &device);
        let teacher = LogProbs::from_logits(logits("teacher_logits"));
        let student = LogProbs::from_logits(logits("student_logits_first3layers"));
        for temperature in [1.0, 2.0] {
            let pair = DistributionPair::dense(
                &teacher.at_temperature(temperature).unwrap(),
                &student.at_temperature(temperature).unwrap(),
            )
            .unwrap();
            let section = &case[format!("T{temperature:.1}")];
            let all: [(&str, &dyn Divergence); 8] = [
                ("fkl", &ForwardKl),
                ("rkl", &ReverseKl),
                ("tvd", &TotalVariation),
                ("gjsd_beta0.1", &beta(0.1)),
                ("gjsd_beta0.5", &beta(0.5)),
                ("gjsd_beta0.9", &beta(0.9)),
                ("skl_alpha0.1", &SkewKl::try_new(0.1).unwrap()),
                ("srkl_alpha0.1", &SkewReverseKl::try_new(0.1).unwrap()),
            ];
            for (name, divergence) in all {
                assert_mean(name, &section[name], divergence, &pair);
            }
        }
        let targets = most_likely(&teacher, 8);
        for (name, treatment) in [
            ("fkl_topk_unnormalized", TailTreatment::ZeroFill),
            (
                "fkl_topk_teacher_renormalized_student_full_softmax",
                TailTreatment::RenormaliseTeacher,
            ),
            ("fkl_topk_both_renormalized", TailTreatment::RenormaliseBoth),
            ("fkl_topk_plus_tail_bucket", TailTreatment::TailBucket),
        ] {
            let pair = DistributionPair::top_k(&targets, &student, treatment).unwrap();
            assert_mean(name, &case["topk8"][name], &ForwardKl, &pair);
        }
    }
}

/// The `k` most likely tokens of every position, with the mass of the others.
fn most_likely(teacher: &LogProbs, k: usize) -> TopKTargetBatch {
    let [_, positions, _] = teacher.dims();
    let rows: Vec<Vec<f64>> = floats(teacher.tensor().clone())
        .chunks_exact(VOCAB)
        .map(<[f64]>::to_vec)
        .collect();
    assert_eq!(rows.len(), positions);
    top_k_targets(&rows, k, DType::F32, &teacher.tensor().device())
}
