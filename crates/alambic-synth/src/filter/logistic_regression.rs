//! Logistic regression over dense and sparse features.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::feature_vector::FeatureVector;
use super::penalised_loss::{Row, minimised, sigmoid};
use crate::SynthError;

/// How a [`LogisticRegression`] is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticRegressionConfig {
    /// Weight of the penalty: `l2 / 2 · |weights|²` against the sum of losses. It is 1 / C of scikit-learn.
    pub l2: f64,
    /// Most steps of L-BFGS.
    pub max_iterations: u64,
    /// The fit ends where the gradient's norm, divided by the number of examples, is at most this.
    pub gradient_tolerance: f64,
}

impl Default for LogisticRegressionConfig {
    fn default() -> Self {
        Self {
            l2: 1.0,
            max_iterations: 500,
            gradient_tolerance: 1e-9,
        }
    }
}

/// p(good | x) = 1 / (1 + exp(−(bias + w·x))), with dense features scaled to mean 0 and variance 1.
///
/// Fitted by minimising Σ −(y ln p + (1 − y) ln (1 − p)) + l2 / 2 · |w|² over all weights but the bias, for labels y from 0 to 1,
/// with L-BFGS (Liu, Nocedal 1989) in f64, beginning at zero: convex, and the same on every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticRegression {
    /// The logit of a text whose dense features are the mean ones, and that has no sparse ones.
    pub bias: f64,
    /// Means of the dense features in training.
    pub dense_means: Vec<f64>,
    /// Standard deviations of the dense features in training; 1 where a feature was always the same.
    pub dense_deviations: Vec<f64>,
    /// Weights of the scaled dense features.
    pub dense_weights: Vec<f64>,
    /// Weights of sparse features; 0 for those that are not here.
    pub sparse_weights: BTreeMap<u32, f64>,
}

impl LogisticRegression {
    /// Fits weights to features and labels from 0 (bad) to 1 (good).
    ///
    /// # Errors
    /// [`SynthError::Classifier`] if there are no examples, their dense features differ in number, a number is not finite, a label
    /// is not from 0 to 1, all labels are 0 or all are 1, or the fit does not converge.
    pub fn fit(
        examples: &[(FeatureVector, f64)],
        config: &LogisticRegressionConfig,
    ) -> Result<Self, SynthError> {
        check(examples, config)?;
        let (dense_means, dense_deviations) = scaling(examples);
        let columns = columns(examples);
        let mut model = Self {
            bias: 0.0,
            dense_weights: vec![0.0; dense_means.len()],
            dense_means,
            dense_deviations,
            sparse_weights: BTreeMap::new(),
        };
        let rows: Vec<Row> = examples
            .iter()
            .map(|(features, label)| Row {
                dense: model.scaled(features).collect(),
                sparse: features
                    .sparse
                    .iter()
                    .map(|(index, &value)| (columns[index], value))
                    .collect(),
                label: *label,
            })
            .collect();
        let weights = minimised(&rows, model.dense_weights.len() + columns.len() + 1, config)?;
        let (dense, rest) = weights.split_at(model.dense_weights.len());
        let (sparse, bias) = rest.split_at(columns.len());
        model.dense_weights.copy_from_slice(dense);
        model.sparse_weights = columns
            .iter()
            .map(|(&index, &column)| (index, sparse[column]))
            .collect();
        model.bias = bias[0];
        Ok(model)
    }

    /// The log-odds of a good text.
    ///
    /// # Errors
    /// [`SynthError::Classifier`] if there are more or fewer dense features than in training.
    pub fn logit(&self, features: &FeatureVector) -> Result<f64, SynthError> {
        let (expected, found) = (self.dense_weights.len(), features.dense.len());
        if expected != found {
            return Err(wrong(format!(
                "expected {expected} dense features, found {found}"
            )));
        }
        let dense: f64 = self
            .scaled(features)
            .zip(&self.dense_weights)
            .map(|(x, w)| x * w)
            .sum();
        let weight = |index| self.sparse_weights.get(index).copied().unwrap_or(0.0);
        let sparse: f64 = features
            .sparse
            .iter()
            .map(|(index, x)| x * weight(index))
            .sum();
        Ok(self.bias + dense + sparse)
    }

    /// The probability of a good text.
    ///
    /// # Errors
    /// As [`logit`](Self::logit).
    pub fn probability(&self, features: &FeatureVector) -> Result<f64, SynthError> {
        self.logit(features).map(sigmoid)
    }

    fn scaled(&self, features: &FeatureVector) -> impl Iterator<Item = f64> {
        let scale = self.dense_means.iter().zip(&self.dense_deviations);
        features
            .dense
            .iter()
            .zip(scale)
            .map(|(x, (mean, deviation))| (x - mean) / deviation)
    }
}

/// An error about a classifier.
pub(crate) fn wrong(problem: String) -> SynthError {
    SynthError::Classifier { problem }
}

fn check(
    examples: &[(FeatureVector, f64)],
    config: &LogisticRegressionConfig,
) -> Result<(), SynthError> {
    if !(config.l2 > 0.0 && config.l2.is_finite()) {
        return Err(wrong(format!("expected l2 above 0, found {}", config.l2)));
    }
    let Some((first, first_label)) = examples.first() else {
        return Err(wrong("expected examples, found none".into()));
    };
    for (number, (features, label)) in examples.iter().enumerate() {
        let (expected, found) = (first.dense.len(), features.dense.len());
        if expected != found {
            return Err(wrong(format!(
                "example {number}: expected {expected} dense features, found {found}"
            )));
        }
        if !(0.0..=1.0).contains(label) {
            return Err(wrong(format!(
                "example {number}: expected a label from 0 to 1, found {label}"
            )));
        }
        let mut values = features.dense.iter().chain(features.sparse.values());
        if let Some(value) = values.find(|value| !value.is_finite()) {
            return Err(wrong(format!(
                "example {number}: expected finite features, found {value}"
            )));
        }
    }
    let one_class = *first_label == 0.0 || *first_label == 1.0;
    if one_class && examples.iter().all(|(_, label)| label == first_label) {
        return Err(wrong(format!(
            "expected labels of both kinds, found {first_label} only"
        )));
    }
    Ok(())
}

/// Means and standard deviations of the dense features.
fn scaling(examples: &[(FeatureVector, f64)]) -> (Vec<f64>, Vec<f64>) {
    let count = examples.len() as f64;
    let features = examples
        .first()
        .map_or(0, |(features, _)| features.dense.len());
    let mean = |of: &dyn Fn(&[f64]) -> f64| {
        examples.iter().map(|(x, _)| of(&x.dense)).sum::<f64>() / count
    };
    let means: Vec<f64> = (0..features).map(|i| mean(&|x| x[i])).collect();
    let deviation = |i: usize| match mean(&|x| (x[i] - means[i]).powi(2)).sqrt() {
        same if same <= f64::EPSILON * means[i].abs() => 1.0,
        deviation => deviation,
    };
    let deviations = (0..features).map(deviation).collect();
    (means, deviations)
}

/// The sparse features that occur, numbered.
fn columns(examples: &[(FeatureVector, f64)]) -> BTreeMap<u32, usize> {
    let mut columns: BTreeMap<u32, usize> = BTreeMap::new();
    for (features, _) in examples {
        columns.extend(features.sparse.keys().map(|&index| (index, 0)));
    }
    for (number, column) in columns.values_mut().enumerate() {
        *column = number;
    }
    columns
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn example(x: f32, label: f64) -> (FeatureVector, f64) {
        (FeatureVector::from_dense(&[x]), label)
    }

    #[test]
    fn without_features_the_bias_is_the_log_odds_of_the_labels() {
        let examples: Vec<_> = [1.0, 1.0, 1.0, 0.0]
            .map(|label| (FeatureVector::default(), label))
            .into();
        let model =
            LogisticRegression::fit(&examples, &LogisticRegressionConfig::default()).unwrap();
        assert!((model.bias - 3f64.ln()).abs() < 1e-6, "{}", model.bias);
    }

    #[test]
    fn soft_labels_are_met_where_the_features_allow_it() {
        // Two kinds of texts: weights without a noticeable penalty reproduce both labels.
        let examples = [example(-1.0, 0.2), example(1.0, 0.9)];
        let config = LogisticRegressionConfig {
            l2: 1e-9,
            ..Default::default()
        };
        let model = LogisticRegression::fit(&examples, &config).unwrap();
        for (features, label) in &examples {
            assert!((model.probability(features).unwrap() - label).abs() < 1e-5);
        }
    }

    #[test]
    fn examples_that_cannot_be_learned_from_are_refused() {
        let config = LogisticRegressionConfig::default();
        let message = |examples: &[_]| {
            LogisticRegression::fit(examples, &config)
                .unwrap_err()
                .to_string()
        };
        assert!(message(&[]).contains("found none"));
        assert!(message(&[example(1.0, 1.0), example(2.0, 1.0)]).contains("both kinds"));
        assert!(message(&[example(1.0, 1.5)]).contains("from 0 to 1"));
        assert!(message(&[example(f32::NAN, 1.0), example(0.0, 0.0)]).contains("finite"));
        let narrow = (FeatureVector::default(), 0.0);
        assert!(message(&[example(1.0, 1.0), narrow]).contains("expected 1 dense"));
    }
}
