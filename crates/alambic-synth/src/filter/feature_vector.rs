//! Features of a text, whatever they come from.

use std::collections::BTreeMap;

/// Numbers that a classifier looks at: dense ones, and sparse ones of which most are 0.
///
/// Where they come from does not matter: statistics of a text ([`QualityFeatures`](super::quality_features::QualityFeatures)),
/// or the hidden states of a model, as dense features.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureVector {
    /// Features that every text has; a classifier scales them to mean 0 and variance 1.
    pub dense: Vec<f64>,
    /// Features that most texts do not have, by index; taken as they are.
    pub sparse: BTreeMap<u32, f64>,
}

impl FeatureVector {
    /// Dense features only, such as the mean hidden state of a text's tokens.
    #[must_use]
    pub fn from_dense(values: &[f32]) -> Self {
        Self {
            dense: values.iter().map(|&value| f64::from(value)).collect(),
            sparse: BTreeMap::new(),
        }
    }
}
