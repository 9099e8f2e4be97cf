//! Fits beside those of scikit-learn, recorded by `tools/golden/record_logistic_regression.py`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use alambic_synth::{
    ClassifierReport, FeatureVector, LogisticRegression, LogisticRegressionConfig,
};
use serde::Deserialize;

/// Both fits end at the one minimum of a convex loss; what is left is the tolerance of the gradient.
const WEIGHT_TOLERANCE: f64 = 1e-5;
const PROBABILITY_TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Recorded {
    dense: Vec<Vec<f64>>,
    sparse: Vec<BTreeMap<u32, f64>>,
    labels: Vec<f64>,
    fits: Vec<Fit>,
}

#[derive(Deserialize)]
struct Fit {
    l2: f64,
    weights: Vec<f64>,
    bias: f64,
    probabilities: Vec<f64>,
    auc: f64,
    brier_score: f64,
}

#[test]
fn weights_probabilities_and_measures_are_those_of_scikit_learn() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/logistic_regression.json"
    );
    let recorded: Recorded = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let features = recorded.dense.into_iter().zip(recorded.sparse);
    let features = features.map(|(dense, sparse)| FeatureVector { dense, sparse });
    let examples: Vec<(FeatureVector, f64)> = features.zip(recorded.labels).collect();
    for fit in recorded.fits {
        let config = LogisticRegressionConfig {
            l2: fit.l2,
            ..Default::default()
        };
        let model = LogisticRegression::fit(&examples, &config).unwrap();
        assert!(
            (model.bias - fit.bias).abs() < WEIGHT_TOLERANCE,
            "{} {}",
            model.bias,
            fit.bias
        );
        let weights = model
            .dense_weights
            .iter()
            .chain(model.sparse_weights.values());
        assert_eq!(weights.clone().count(), fit.weights.len());
        for (found, expected) in weights.zip(&fit.weights) {
            assert!(
                (found - expected).abs() < WEIGHT_TOLERANCE,
                "{found} {expected}"
            );
        }
        let mut scored = Vec::new();
        for ((features, label), expected) in examples.iter().zip(&fit.probabilities) {
            let found = model.probability(features).unwrap();
            assert!(
                (found - expected).abs() < PROBABILITY_TOLERANCE,
                "{found} {expected}"
            );
            scored.push((found, *label));
        }
        let report = ClassifierReport::new(0, &scored);
        assert!((report.auc.unwrap() - fit.auc).abs() < PROBABILITY_TOLERANCE);
        assert!((report.brier_score - fit.brier_score).abs() < PROBABILITY_TOLERANCE);
    }
}
