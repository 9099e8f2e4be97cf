//! The weighted sum of losses that a run minimises.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    CrossEntropy, LabelMask, LogProbs, LossError, LossKind, ObjectiveTerm, SampledForwardKl,
    TailTreatment, TargetBatch, TokenLoss,
};

/// A weighted list of losses; every term is normalised by its own count of labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    terms: Vec<ObjectiveTerm>,
    tail: TailTreatment,
}

impl Objective {
    /// An objective of at least one term with a positive weight; `tail` says what the entries mean
    /// that a truncated teacher does not store.
    ///
    /// # Errors
    /// [`LossError::EmptyObjective`], [`LossError::BadWeight`], the errors of
    /// [`ObjectiveTerm::divergence`], and [`LossError::NoTeacherMass`] for a divergence that is
    /// infinite under this treatment.
    pub fn try_new(terms: Vec<ObjectiveTerm>, tail: TailTreatment) -> Result<Self, LossError> {
        for (index, term) in terms.iter().enumerate() {
            if !term.weight.is_finite() || term.weight < 0.0 {
                return Err(LossError::BadWeight {
                    index,
                    weight: term.weight,
                });
            }
            if let Some(divergence) = term.divergence()? {
                tail.check(&*divergence)?;
            }
        }
        if terms.iter().all(|term| term.weight == 0.0) {
            return Err(LossError::EmptyObjective);
        }
        Ok(Self { terms, tail })
    }

    /// Cross-entropy alone: training without a teacher.
    pub fn hard_labels() -> Self {
        Self::only(LossKind::CrossEntropy)
    }

    /// Forward KL to the teacher alone.
    pub fn soft_labels() -> Self {
        Self::only(LossKind::ForwardKl)
    }

    fn only(kind: LossKind) -> Self {
        Self {
            terms: vec![ObjectiveTerm::new(kind, 1.0)],
            tail: TailTreatment::TailBucket,
        }
    }

    /// The terms in order.
    pub fn terms(&self) -> &[ObjectiveTerm] {
        &self.terms
    }

    /// What the entries mean that a truncated teacher does not store.
    pub fn tail(&self) -> TailTreatment {
        self.tail
    }

    /// Whether any term reads teacher targets.
    pub fn needs_targets(&self) -> bool {
        self.terms.iter().any(|term| term.kind.needs_targets())
    }

    /// Every term's loss, in the order of [`Self::terms`].
    ///
    /// # Errors
    /// [`LossError::Shape`] if the mask covers other positions, and those of [`Self::per_token`].
    pub fn losses(
        &self,
        student: &LogProbs,
        labels: &Tensor<2, Int>,
        targets: Option<&TargetBatch>,
        mask: &LabelMask,
    ) -> Result<Vec<TokenLoss>, LossError> {
        let terms = self.per_token(student, labels, targets)?;
        terms
            .into_iter()
            .map(|per_token| TokenLoss::masked(per_token, mask))
            .collect()
    }

    /// Every term's value at every position, counted or not: `[batch, seq]` each.
    ///
    /// # Errors
    /// [`LossError::MissingTargets`] when a term needs targets and the batch has none, and the
    /// errors of the terms.
    pub fn per_token(
        &self,
        student: &LogProbs,
        labels: &Tensor<2, Int>,
        targets: Option<&TargetBatch>,
    ) -> Result<Vec<Tensor<2>>, LossError> {
        let pair = targets
            .filter(|_| self.needs_targets())
            .map(|targets| targets.pair(student, self.tail))
            .transpose()?
            .flatten();
        self.terms
            .iter()
            .map(|term| match term.divergence()? {
                None => CrossEntropy.per_token(student, labels),
                Some(divergence) => {
                    let name = term.kind.name();
                    match (&pair, targets) {
                        (Some(pair), _) => Ok(divergence.per_token(pair)),
                        (None, Some(TargetBatch::Sampled(targets))) => {
                            term.kind.check_linear()?;
                            SampledForwardKl.per_token(targets, student)
                        }
                        (None, _) => Err(LossError::MissingTargets { term: name }),
                    }
                }
            })
            .collect()
    }
}
