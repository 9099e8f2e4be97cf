//! The weighted sum of losses that a run minimises.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{CrossEntropy, ForwardKl, LabelMask, LogProbs, LossError, TokenLoss, TopKTargetBatch};

/// One loss by its name in the recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// [`ForwardKl`] to the cached teacher targets.
    ForwardKl,
    /// [`CrossEntropy`] on the labels of the text.
    CrossEntropy,
}

impl LossKind {
    /// The name used in recipes, metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForwardKl => "forward_kl",
            Self::CrossEntropy => "cross_entropy",
        }
    }
}

/// A loss and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveTerm {
    /// Which loss.
    pub kind: LossKind,
    /// Its factor in the total.
    pub weight: f64,
}

/// A weighted list of losses; every term is normalised by its own count of labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Objective {
    terms: Vec<ObjectiveTerm>,
}

impl Objective {
    /// An objective of at least one term with a positive weight.
    ///
    /// # Errors
    /// [`LossError::EmptyObjective`] or [`LossError::BadWeight`].
    pub fn try_new(terms: Vec<ObjectiveTerm>) -> Result<Self, LossError> {
        for (index, term) in terms.iter().enumerate() {
            if !term.weight.is_finite() || term.weight < 0.0 {
                return Err(LossError::BadWeight {
                    index,
                    weight: term.weight,
                });
            }
        }
        if terms.iter().all(|term| term.weight == 0.0) {
            return Err(LossError::EmptyObjective);
        }
        Ok(Self { terms })
    }

    /// Cross-entropy alone: training without a teacher.
    pub fn hard_labels() -> Self {
        Self {
            terms: vec![ObjectiveTerm {
                kind: LossKind::CrossEntropy,
                weight: 1.0,
            }],
        }
    }

    /// Forward KL to the teacher alone.
    pub fn soft_labels() -> Self {
        Self {
            terms: vec![ObjectiveTerm {
                kind: LossKind::ForwardKl,
                weight: 1.0,
            }],
        }
    }

    /// The terms in order.
    pub fn terms(&self) -> &[ObjectiveTerm] {
        &self.terms
    }

    /// Whether any term reads teacher targets.
    pub fn needs_targets(&self) -> bool {
        self.terms
            .iter()
            .any(|term| term.kind == LossKind::ForwardKl)
    }

    /// Every term's loss, in the order of [`Self::terms`].
    ///
    /// # Errors
    /// [`LossError::MissingTargets`] when a term needs targets and the batch has none, and the
    /// errors of the terms.
    pub fn losses(
        &self,
        student: &LogProbs,
        labels: &Tensor<2, Int>,
        targets: Option<&TopKTargetBatch>,
        mask: &LabelMask,
    ) -> Result<Vec<TokenLoss>, LossError> {
        self.terms
            .iter()
            .map(|term| match term.kind {
                LossKind::CrossEntropy => Ok(CrossEntropy.forward(student, labels, mask)),
                LossKind::ForwardKl => {
                    let targets = targets.ok_or(LossError::MissingTargets {
                        term: term.kind.name(),
                    })?;
                    ForwardKl.forward(student, targets, mask)
                }
            })
            .collect()
    }
}
