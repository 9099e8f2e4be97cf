//! A small classifier of quality, trained on what a judge says about texts.

use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::classifier_report::ClassifierReport;
use super::config_problems::{ConfigProblems, checked};
use super::feature_vector::FeatureVector;
use super::logistic_regression::{LogisticRegression, LogisticRegressionConfig};
use super::quality_features::{DENSE_FEATURES, QualityFeatures};
use crate::SynthError;

/// The version of the file; another one is refused.
const VERSION: u32 = 1;

/// A text, and how good a judge finds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgedText {
    /// The text.
    pub text: String,
    /// From 0 (bad) to 1 (good): a label, or a score divided by the best one.
    pub label: f64,
}

/// How a [`QualityClassifier`] is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityTraining {
    /// How texts become features.
    pub features: QualityFeatures,
    /// How weights are fitted.
    pub regression: LogisticRegressionConfig,
    /// Share of the texts that are held out for the report, in `[0, 1)`.
    pub held_out_ratio: f64,
    /// Decides which texts are held out.
    pub seed: u64,
}

impl QualityTraining {
    fn check(&self, problems: &mut ConfigProblems) {
        self.features.check(problems);
        problems.expect(
            (0.0..1.0).contains(&self.held_out_ratio),
            "held_out_ratio",
            "a number from 0 and below 1",
            self.held_out_ratio,
        );
    }
}

/// Says how probable it is that a judge finds a text good, by features of the text alone.
///
/// A large model judges some hundreds or thousands of texts; this learns to do so for millions, as for FineWeb-Edu (Penedo et
/// al. 2024, arXiv:2406.17557) and phi-1 (Gunasekar et al. 2023, arXiv:2306.11644, section 2.1). Other features than those
/// computed here, such as hidden states of a local model, go straight into a [`LogisticRegression`].
///
/// ```
/// use alambic_synth::*;
/// let judged: Vec<JudgedText> = (0..60)
///     .map(|i| match i % 2 {
///         0 => JudgedText { text: format!("Lesson {i}: plants need light to grow, because light gives them energy."), label: 1.0 },
///         _ => JudgedText { text: format!("click here {i} !!! best price buy now"), label: 0.0 },
///     })
///     .collect();
/// let training = QualityTraining {
///     features: QualityFeatures::default(),
///     regression: LogisticRegressionConfig::default(),
///     held_out_ratio: 0.2,
///     seed: 17,
/// };
/// let (classifier, report) = QualityClassifier::train(&judged, &training)?;
/// assert_eq!(report.auc, Some(1.0));
/// assert!(classifier.probability("Stars shine, because energy comes free in them.")? > 0.5);
/// # Ok::<(), SynthError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityClassifier {
    version: u32,
    features: QualityFeatures,
    model: LogisticRegression,
}

impl QualityClassifier {
    /// Trains on what is not held out, and reports on what is. The same texts, options and seed give the same classifier.
    ///
    /// # Errors
    /// [`SynthError::Settings`] lists what is wrong with the options; [`SynthError::Classifier`] as
    /// [`LogisticRegression::fit`].
    pub fn train(
        judged: &[JudgedText],
        training: &QualityTraining,
    ) -> Result<(Self, ClassifierReport), SynthError> {
        checked(|problems| training.check(problems))?;
        let mut order: Vec<usize> = (0..judged.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(training.seed));
        let held_out = (judged.len() as f64 * training.held_out_ratio).round() as usize;
        let (held_out, trained) = order.split_at(held_out);
        let examples: Vec<(FeatureVector, f64)> = trained
            .iter()
            .map(|&index| {
                (
                    training.features.of(&judged[index].text),
                    judged[index].label,
                )
            })
            .collect();
        let classifier = Self {
            version: VERSION,
            features: training.features,
            model: LogisticRegression::fit(&examples, &training.regression)?,
        };
        let scored = held_out.iter().map(|&index| {
            let JudgedText { text, label } = &judged[index];
            Ok((classifier.probability(text)?, *label))
        });
        let scored = scored.collect::<Result<Vec<_>, SynthError>>()?;
        let report = ClassifierReport::new(trained.len(), &scored);
        Ok((classifier, report))
    }

    /// The probability that a judge finds `text` good.
    ///
    /// # Errors
    /// [`SynthError::Classifier`] if the classifier was made for other features.
    pub fn probability(&self, text: &str) -> Result<f64, SynthError> {
        self.model.probability(&self.features.of(text))
    }

    /// The classifier as JSON.
    ///
    /// # Errors
    /// [`SynthError::Classifier`] if a weight is not a number.
    pub fn to_json(&self) -> Result<String, SynthError> {
        serde_json::to_string_pretty(self).map_err(|error| SynthError::Classifier {
            problem: error.to_string(),
        })
    }

    /// A classifier from its JSON, found in `origin`.
    ///
    /// # Errors
    /// [`SynthError::FilterSource`] if it is malformed, or of another version.
    pub fn from_json(json: &str, origin: &str) -> Result<Self, SynthError> {
        let wrong = |problem| SynthError::FilterSource {
            origin: origin.to_owned(),
            problem,
        };
        let classifier: Self =
            serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        if classifier.version != VERSION {
            return Err(wrong(format!(
                "expected version {VERSION}, found {}",
                classifier.version
            )));
        }
        checked(|problems| classifier.features.check(problems))?;
        let model = &classifier.model;
        for dense in [
            &model.dense_weights,
            &model.dense_means,
            &model.dense_deviations,
        ] {
            if dense.len() != DENSE_FEATURES {
                let found = dense.len();
                return Err(wrong(format!(
                    "expected {DENSE_FEATURES} dense features, found {found}"
                )));
            }
        }
        if let Some(deviation) = model.dense_deviations.iter().find(|&&found| found <= 0.0) {
            return Err(wrong(format!(
                "expected deviations above 0, found {deviation}"
            )));
        }
        Ok(classifier)
    }

    /// Reads a classifier's JSON file.
    ///
    /// # Errors
    /// [`SynthError::File`], and as [`from_json`](Self::from_json).
    pub fn from_file(path: &Path) -> Result<Self, SynthError> {
        let json = std::fs::read_to_string(path)
            .map_err(|source| SynthError::file("read", path, source))?;
        Self::from_json(&json, &path.display().to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn judged() -> Vec<JudgedText> {
        let good = |i| {
            format!(
                "Water boils at {i} degrees, because its molecules then move fast enough to leave."
            )
        };
        let bad = |i| format!("page {i} | home | login | {i} comments | share share share");
        (0..40)
            .map(|i| JudgedText {
                text: if i % 3 == 0 { good(i) } else { bad(i) },
                label: f64::from(u8::from(i % 3 == 0)),
            })
            .collect()
    }

    fn training() -> QualityTraining {
        QualityTraining {
            features: QualityFeatures::default(),
            regression: LogisticRegressionConfig::default(),
            held_out_ratio: 0.25,
            seed: 3,
        }
    }

    #[test]
    fn the_same_texts_give_the_same_classifier_and_files_keep_it() {
        let (first, report) = QualityClassifier::train(&judged(), &training()).unwrap();
        let (second, _) = QualityClassifier::train(&judged(), &training()).unwrap();
        assert_eq!(first, second);
        assert_eq!((report.training_texts, report.held_out_texts), (30, 10));
        let read = QualityClassifier::from_json(&first.to_json().unwrap(), "memory").unwrap();
        assert_eq!(read, first);
    }

    #[test]
    fn other_versions_and_malformed_files_are_refused() {
        let (classifier, _) = QualityClassifier::train(&judged(), &training()).unwrap();
        let json = classifier.to_json().unwrap();
        let newer = json.replacen("\"version\": 1", "\"version\": 2", 1);
        let error = QualityClassifier::from_json(&newer, "q.json")
            .unwrap_err()
            .to_string();
        assert_eq!(error, "q.json: expected version 1, found 2");
        assert!(QualityClassifier::from_json("{}", "q.json").is_err());
        let wide = json.replacen("\"bucket_bits\": 16", "\"bucket_bits\": 63", 1);
        assert!(QualityClassifier::from_json(&wide, "q.json").is_err());
    }
}
