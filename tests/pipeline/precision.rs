//! Recipes whose students compute in rounded products and compute their layers again.

use alambic::distill::trainer::{Metrics, read_metrics};
use alambic::pipeline::{Severity, doctor, run};
use alambic::transformer::Precision;

use super::{options, recipe};

fn losses(directory: &std::path::Path) -> Vec<(f64, Option<f64>)> {
    let metrics = read_metrics(&directory.join("distilled/metrics.jsonl")).unwrap();
    let steps = metrics.into_iter().filter_map(|metrics| match metrics {
        Metrics::Step(step) => Some((step.loss, step.loss_scale)),
        Metrics::Validation(_) => None,
    });
    steps.collect()
}

#[test]
fn a_recipe_chooses_precision_and_recomputation() {
    let directory = tempfile::tempdir().unwrap();
    let trained = |name: &str, changes: &[&str]| {
        let out = directory.path().join(name);
        let changes = [changes, &["baseline.enabled=false"]].concat();
        run(&recipe(&changes).unwrap(), &options(&out)).unwrap();
        losses(&out)
    };
    let exact = trained("exact", &[]);
    let again = trained("again", &["training.recompute_layers=true"]);
    let in_f16 = trained(
        "f16",
        &["training.precision=f16", "training.recompute_layers=true"],
    );
    assert_eq!([exact.len(), again.len(), in_f16.len()], [6; 3]);
    for ((exact, again), in_f16) in exact.into_iter().zip(again).zip(in_f16) {
        assert!((exact.0 - again.0).abs() < 1e-5);
        assert_eq!((exact.1, again.1), (None, None));
        assert_ne!(exact.0, in_f16.0);
        assert!((exact.0 / in_f16.0 - 1.0).abs() < 1e-2);
        assert!(in_f16.1.is_some());
    }
}

#[test]
fn the_resolved_recipe_says_both_and_the_doctor_warns_on_the_cpu() {
    let plain = recipe(&[]).unwrap();
    let training = &plain.recipe.training;
    assert_eq!(training.precision, Some(Precision::F32));
    assert_eq!(training.recompute_layers, Some(false));
    let written = plain.recipe.to_toml().unwrap();
    assert!(written.contains("precision = \"f32\""), "{written}");

    let warnings = |changes: &[&str]| -> Vec<String> {
        let device = options("unused".as_ref()).device;
        let diagnosis = doctor(&recipe(changes).unwrap(), &device, None);
        let warnings = diagnosis.findings.into_iter();
        let warnings = warnings.filter(|finding| finding.severity == Severity::Warning);
        warnings.map(|finding| finding.message).collect()
    };
    let rounded = warnings(&["training.precision=bf16", "training.recompute_layers=true"]);
    assert!(rounded.iter().any(|it| it.contains("takes longer than")));
    assert!(!warnings(&[]).iter().any(|it| it.contains("precision")));
    let error = recipe(&["training.precision=f8"]).unwrap_err().to_string();
    assert!(error.contains("training.precision"), "{error}");
    assert!(error.contains("bf16"), "{error}");
}
