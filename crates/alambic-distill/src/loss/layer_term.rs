//! One term of an objective that compares layers of two models, as a recipe names it.

use serde::{Deserialize, Serialize};

use super::{
    AttentionRelation, HiddenDistance, LayerPair, LossError, RelationDistillation, WeightRamp,
};

/// One loss between layers by its name in the recipe.
///
/// Hidden states are counted as [`LayerPair`] counts them; attention is that of the layers 1 to the last,
/// its queries and keys turned by their rotary positions as the layer itself compares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerLossKind {
    /// [`HiddenStateLoss`](super::HiddenStateLoss) by [`HiddenDistance::MeanSquared`].
    HiddenMeanSquared,
    /// [`HiddenStateLoss`](super::HiddenStateLoss) by [`HiddenDistance::Cosine`].
    HiddenCosine,
    /// [`RelationDistillation`]; reads `relations` and `relation_heads`.
    AttentionRelations,
}

impl LayerLossKind {
    /// Every loss between layers.
    pub const ALL: [Self; 3] = [
        Self::HiddenMeanSquared,
        Self::HiddenCosine,
        Self::AttentionRelations,
    ];

    /// The name used in recipes, metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::HiddenMeanSquared => "hidden_mean_squared",
            Self::HiddenCosine => "hidden_cosine",
            Self::AttentionRelations => "attention_relations",
        }
    }

    /// The distance of a loss between hidden states.
    pub fn hidden_distance(self) -> Option<HiddenDistance> {
        match self {
            Self::HiddenMeanSquared => Some(HiddenDistance::MeanSquared),
            Self::HiddenCosine => Some(HiddenDistance::Cosine),
            Self::AttentionRelations => None,
        }
    }
}

/// A loss between layers of student and teacher, with its weight.
///
/// Distances between hidden states have no unit, so that the weight beside losses in nats has to be
/// found.
///
/// # Example
/// ```
/// use alambic_distill::loss::{AttentionRelation, LayerLossKind, LayerPair, LayerTerm, RampKind, WeightRamp};
///
/// let term = LayerTerm {
///     kind: LayerLossKind::AttentionRelations,
///     weight: 2.0,
///     ramp: Some(WeightRamp { kind: RampKind::Linear, to: 0.0, first_step: 1, last_step: 101 }),
///     layers: vec![LayerPair { student: 2, teacher: 6 }],
///     relations: Some(vec![AttentionRelation::ValueValue]),
///     relation_heads: Some(4),
/// };
/// assert_eq!(term.weight_at(51), 1.0);
/// assert_eq!(term.relation_distillation().unwrap().unwrap().relation_heads(), 4);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerTerm {
    /// Which loss.
    pub kind: LayerLossKind,
    /// Its factor in the total; finite and not negative.
    pub weight: f64,
    /// How the weight goes to another one; it stays if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<WeightRamp>,
    /// Which layer of the student imitates which layer of the teacher.
    pub layers: Vec<LayerPair>,
    /// Which states of an attention layer are related to each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relations: Option<Vec<AttentionRelation>>,
    /// Into how many heads of equal width the states of an attention layer are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation_heads: Option<usize>,
}

impl LayerTerm {
    /// The weight at the 1-based optimizer step `step`.
    pub fn weight_at(&self, step: u64) -> f64 {
        match self.ramp {
            Some(ramp) => ramp.weight(self.weight, step),
            None => self.weight,
        }
    }

    /// The loss between relations that the term names; `None` for one between hidden states.
    ///
    /// # Errors
    /// [`LossError::SettingMissing`] and [`LossError::SettingUnread`] for settings that the kind reads
    /// and that it does not, and the errors of [`RelationDistillation::try_new`].
    pub fn relation_distillation(&self) -> Result<Option<RelationDistillation>, LossError> {
        let term = self.kind.name();
        let given = [
            ("relations", self.relations.is_some()),
            ("relation_heads", self.relation_heads.is_some()),
        ];
        let reads = self.kind == LayerLossKind::AttentionRelations;
        if let Some(&(setting, is_given)) = given.iter().find(|(_, is_given)| *is_given != reads) {
            return Err(match is_given {
                true => LossError::SettingUnread { term, setting },
                false => LossError::SettingMissing { term, setting },
            });
        }
        match (&self.relations, self.relation_heads) {
            (Some(relations), Some(heads)) => {
                RelationDistillation::try_new(relations.clone(), heads).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Checks what can be checked without the models; `index` is the term's among its like.
    pub(super) fn check(&self, index: usize) -> Result<(), LossError> {
        let weights = [Some(self.weight), self.ramp.map(|ramp| ramp.to)];
        let mut given = weights.into_iter().flatten();
        if let Some(weight) = given.find(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(LossError::BadWeight { index, weight });
        }
        self.ramp.map_or(Ok(()), |ramp| ramp.check())?;
        if self.layers.is_empty() {
            return Err(LossError::NoLayerPairs);
        }
        self.relation_distillation().map(|_| ())
    }

    /// An error of this term, of such an index.
    pub(super) fn error(&self, index: usize, error: LossError) -> LossError {
        LossError::LayerTerm {
            index,
            kind: self.kind.name(),
            error: Box::new(error),
        }
    }
}
