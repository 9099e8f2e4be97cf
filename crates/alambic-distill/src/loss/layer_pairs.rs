//! Which layer of the student imitates which layer of the teacher.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::LossError;

/// A layer of the student and the layer of the teacher that it imitates.
///
/// Hidden states are counted as Hugging Face counts them: 0 is what the embedding gives, `i` what
/// the `i`-th layer gives, so that a model of `n` layers has the states 0 to `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerPair {
    /// Index of the student's hidden state.
    pub student: usize,
    /// Index of the teacher's hidden state.
    pub teacher: usize,
}

/// How many layers the two models have, the embedding not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerCounts {
    /// Layers of the student.
    pub student: usize,
    /// Layers of the teacher.
    pub teacher: usize,
}

/// Pairs of layers that exist, each once.
///
/// # Example
/// ```
/// use alambic_distill::loss::{LayerCounts, LayerPair, LayerPairs};
///
/// let layers = LayerCounts { student: 2, teacher: 6 };
/// let pairs = LayerPairs::evenly_spaced(layers).unwrap();
/// assert_eq!(pairs.teacher_layers(), [3, 6]);
/// let error = LayerPairs::try_new(vec![LayerPair { student: 1, teacher: 7 }], layers).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layer pair 0 names the hidden state 7 of the teacher, which has the states 0 (embedding) to 6"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerPairs(Vec<LayerPair>);

impl LayerPairs {
    /// Checks chosen pairs against the models.
    ///
    /// A layer may be in several pairs.
    ///
    /// # Errors
    /// [`LossError::NoLayerPairs`] for an empty list, [`LossError::LayerOutOfRange`] for a layer
    /// that a model does not have, [`LossError::NamedTwice`] for a pair that is there twice.
    pub fn try_new(pairs: Vec<LayerPair>, layers: LayerCounts) -> Result<Self, LossError> {
        if pairs.is_empty() {
            return Err(LossError::NoLayerPairs);
        }
        let mut seen = BTreeSet::new();
        for (index, pair) in pairs.iter().enumerate() {
            let sides = [
                ("student", pair.student, layers.student),
                ("teacher", pair.teacher, layers.teacher),
            ];
            for (side, layer, last) in sides {
                if layer > last {
                    return Err(LossError::LayerOutOfRange {
                        index,
                        side,
                        layer,
                        last,
                    });
                }
            }
            if !seen.insert(*pair) {
                return Err(LossError::NamedTwice {
                    what: "layer pair",
                    name: format!("{}-{}", pair.student, pair.teacher),
                });
            }
        }
        Ok(Self(pairs))
    }

    /// Every layer of the student with the teacher's layer at the same relative depth.
    ///
    /// Student layer `i` of `S` imitates layer `⌈i T ÷ S⌉` of `T`: the last imitates the last, and
    /// none the embedding.
    ///
    /// # Errors
    /// [`LossError::NoLayerPairs`] if a model has no layers.
    pub fn evenly_spaced(layers: LayerCounts) -> Result<Self, LossError> {
        if layers.teacher == 0 {
            return Err(LossError::NoLayerPairs);
        }
        let pair = |student: usize| LayerPair {
            student,
            teacher: (student * layers.teacher).div_ceil(layers.student),
        };
        Self::try_new((1..=layers.student).map(pair).collect(), layers)
    }

    /// The pairs, in the order given.
    pub fn as_slice(&self) -> &[LayerPair] {
        &self.0
    }

    /// The student's hidden states that are read, each once, in ascending order.
    pub fn student_layers(&self) -> Vec<usize> {
        distinct(self.0.iter().map(|pair| pair.student))
    }

    /// The teacher's hidden states that are read, each once, in ascending order: what a capture
    /// has to declare.
    pub fn teacher_layers(&self) -> Vec<usize> {
        distinct(self.0.iter().map(|pair| pair.teacher))
    }
}

fn distinct(layers: impl Iterator<Item = usize>) -> Vec<usize> {
    let layers: BTreeSet<usize> = layers.collect();
    layers.into_iter().collect()
}
