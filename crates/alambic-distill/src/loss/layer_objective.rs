//! The losses between layers that a run minimises beside those of its head.

use std::collections::{BTreeMap, BTreeSet};

use alambic_kernels::VisibleKeys;
use burn::module::Module;
use burn::tensor::Device;

use super::{
    AttentionRelation, AttentionStates, HiddenStateLoss, LabelMask, LayerCounts, LayerPairs,
    LayerStates, LayerTerm, LossError, RelationDistillation, TokenLoss,
};

/// What losses between layers have to know about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelShape {
    /// Layers, the embedding not counted.
    pub num_layers: usize,
    /// Numbers in a hidden state.
    pub hidden_size: usize,
    /// Query heads of an attention layer; their greatest common divisor over all layers.
    pub num_attention_heads: usize,
    /// Key and value heads of an attention layer; their greatest common divisor over all layers.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

/// Student and teacher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelShapes {
    /// The model that learns.
    pub student: ModelShape,
    /// The model that is imitated.
    pub teacher: ModelShape,
}

/// States of some layers of one model, at the same positions.
#[derive(Clone, Debug, Default)]
pub struct ModelStates {
    /// Hidden states, if any are read.
    pub hidden: Option<LayerStates>,
    /// Queries, keys and values by the number of their layer, 1 to the number of layers.
    pub attention: BTreeMap<usize, AttentionStates>,
}

/// A list of [`LayerTerm`]s between two models, ready to compute.
///
/// A module: an optimizer trains the projections between models of unlike widths with the student.
///
/// # Memory
/// That of [`HiddenStateLoss`] and [`RelationDistillation`], for each pair of layers.
///
/// # Example
/// ```
/// use alambic_distill::loss::{
///     LabelMask, LayerLossKind, LayerObjective, LayerPair, LayerStates, LayerTerm, ModelShape, ModelShapes,
///     ModelStates,
/// };
/// use alambic_kernels::VisibleKeys;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let shape = |num_layers| ModelShape {
///     num_layers,
///     hidden_size: 2,
///     num_attention_heads: 1,
///     num_key_value_heads: 1,
///     head_dim: 2,
/// };
/// let shapes = ModelShapes { student: shape(2), teacher: shape(6) };
/// let term = |teacher| LayerTerm {
///     kind: LayerLossKind::HiddenMeanSquared,
///     weight: 1.0,
///     ramp: None,
///     layers: vec![LayerPair { student: 2, teacher }],
///     relations: None,
///     relation_heads: None,
/// };
/// let objective = LayerObjective::init(&[term(6)], shapes, 0, &device).unwrap();
/// assert_eq!(objective.hidden_layers(), [[2].into(), [6].into()]);
/// let states = |layer, x: f32| ModelStates {
///     hidden: Some(LayerStates::try_new([(layer, Tensor::full([1, 1, 2], x, &device))].into()).unwrap()),
///     ..ModelStates::default()
/// };
/// let (visible, mask) = (VisibleKeys::causal(1, &device), LabelMask::new(&[true], [1, 1], &device));
/// let losses = objective.losses(&states(2, 1.0), &states(6, 4.0), &visible, &mask).unwrap();
/// assert_eq!(losses[0].mean_nats(), Some(9.0)); // (1 - 4)², twice, over a width of 2
///
/// let error = LayerObjective::check(&[term(7)], shapes).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layer term 0, hidden_mean_squared: layer pair 0 names the hidden state 7 of the teacher, which has \
///      the states 0 (embedding) to 6"
/// );
/// ```
#[derive(Module, Debug)]
pub struct LayerObjective {
    /// One for each term between hidden states, in their order.
    hidden: Vec<HiddenStateLoss>,
    /// One for each term between relations, in their order.
    #[module(skip)]
    relations: Vec<(RelationDistillation, LayerPairs)>,
    #[module(skip)]
    terms: Vec<LayerTerm>,
}

impl LayerObjective {
    /// The terms between two models; `seed` decides the projections, on every device alike.
    ///
    /// # Errors
    /// [`LossError::LayerTerm`] with the term that is wrong and why: [`LossError::BadWeight`],
    /// [`LossError::EmptyRamp`], the errors of [`LayerTerm::relation_distillation`] and of
    /// [`LayerPairs::try_new`], [`LossError::NoAttentionLayer`], and [`LossError::RelationHeads`] for heads
    /// that cannot be cut so. [`LossError::NamedTwice`] for two terms of one kind.
    pub fn init(
        terms: &[LayerTerm],
        shapes: ModelShapes,
        seed: u64,
        device: &Device,
    ) -> Result<Self, LossError> {
        let widths = [shapes.student.hidden_size, shapes.teacher.hidden_size];
        let (mut hidden, mut relations) = (Vec::new(), Vec::new());
        Self::check(terms, shapes)?;
        for (index, term) in terms.iter().enumerate() {
            let pairs = pairs_of(index, term, shapes)?;
            if let Some(distance) = term.kind.hidden_distance() {
                // A stream of its own for every term.
                let seed = seed.wrapping_add(index as u64);
                hidden.push(HiddenStateLoss::init(distance, pairs, widths, seed, device));
            } else if let Some(loss) = term.relation_distillation()? {
                relations.push((loss, pairs));
            }
        }
        Ok(Self {
            hidden,
            relations,
            terms: terms.to_vec(),
        })
    }

    /// Says whether [`init`](Self::init) would give an error for these models, and which.
    ///
    /// # Errors
    /// Those of [`init`](Self::init).
    pub fn check(terms: &[LayerTerm], shapes: ModelShapes) -> Result<(), LossError> {
        check_terms(terms)?;
        let mut terms = terms.iter().enumerate();
        terms.try_for_each(|(index, term)| {
            let pairs = pairs_of(index, term, shapes);
            pairs.map(drop).map_err(|error| term.error(index, error))
        })
    }

    /// The terms in order.
    pub fn terms(&self) -> &[LayerTerm] {
        &self.terms
    }

    /// The hidden states that are read: those of the student, those of the teacher.
    pub fn hidden_layers(&self) -> [BTreeSet<usize>; 2] {
        both_sides(self.hidden.iter().map(HiddenStateLoss::pairs))
    }

    /// The attention layers that are read: those of the student, those of the teacher.
    pub fn attention_layers(&self) -> [BTreeSet<usize>; 2] {
        both_sides(self.relations.iter().map(|(_, pairs)| pairs))
    }

    /// The loss of every term, in their order: sums over the counted positions.
    ///
    /// # Errors
    /// [`LossError::MissingLayer`] for a layer that is not among the states, and the errors of
    /// [`HiddenStateLoss::forward`] and [`RelationDistillation::forward`].
    pub fn losses(
        &self,
        student: &ModelStates,
        teacher: &ModelStates,
        visible: &VisibleKeys,
        mask: &LabelMask,
    ) -> Result<Vec<TokenLoss>, LossError> {
        let (mut hidden, mut relations) = (self.hidden.iter(), self.relations.iter());
        let loss = |term: &LayerTerm| match term.kind.hidden_distance() {
            Some(_) => {
                let loss = hidden.next().expect("one for each such term");
                let student = hidden_states(student, loss.pairs().student_layers(), "student")?;
                let teacher = hidden_states(teacher, loss.pairs().teacher_layers(), "teacher")?;
                loss.forward(student, teacher, mask)
            }
            None => {
                let (loss, pairs) = relations.next().expect("one for each such term");
                let mut total: Option<TokenLoss> = None;
                for pair in pairs.as_slice() {
                    let student = attention_states(student, pair.student, "student")?;
                    let teacher = attention_states(teacher, pair.teacher, "teacher")?;
                    let of_pair = loss.forward(student, teacher, visible, mask)?;
                    total = Some(match total {
                        Some(so_far) => TokenLoss {
                            sum: so_far.sum + of_pair.sum,
                            ..of_pair
                        },
                        None => of_pair,
                    });
                }
                Ok(total.expect("there is a pair"))
            }
        };
        self.terms.iter().map(loss).collect()
    }
}

/// Refuses terms that no two models can serve.
pub(super) fn check_terms(terms: &[LayerTerm]) -> Result<(), LossError> {
    for (index, term) in terms.iter().enumerate() {
        let checked = term.check(index);
        checked.map_err(|error| term.error(index, error))?;
        if terms[..index].iter().any(|other| other.kind == term.kind) {
            return Err(LossError::NamedTwice {
                what: "layer term",
                name: term.kind.name().into(),
            });
        }
    }
    Ok(())
}

/// The pairs of layers of a term that both models can serve.
fn pairs_of(index: usize, term: &LayerTerm, shapes: ModelShapes) -> Result<LayerPairs, LossError> {
    let ModelShapes { student, teacher } = shapes;
    term.check(index)?;
    if let Some(loss) = term.relation_distillation()? {
        check_attention(term, shapes)?;
        for &relation in loss.relations() {
            let heads = loss.relation_heads();
            check_relation(relation, heads, &student, "student")?;
            check_relation(relation, heads, &teacher, "teacher")?;
        }
    }
    let counts = LayerCounts {
        student: student.num_layers,
        teacher: teacher.num_layers,
    };
    LayerPairs::try_new(term.layers.clone(), counts)
}

fn both_sides<'a>(pairs: impl Iterator<Item = &'a LayerPairs>) -> [BTreeSet<usize>; 2] {
    let mut sides = [BTreeSet::new(), BTreeSet::new()];
    for pairs in pairs {
        sides[0].extend(pairs.student_layers());
        sides[1].extend(pairs.teacher_layers());
    }
    sides
}

fn hidden_states<'a>(
    states: &'a ModelStates,
    wanted: Vec<usize>,
    side: &'static str,
) -> Result<&'a LayerStates, LossError> {
    states.hidden.as_ref().ok_or(LossError::MissingLayer {
        side,
        layer: wanted[0],
        found: Vec::new(),
    })
}

fn attention_states<'a>(
    states: &'a ModelStates,
    layer: usize,
    side: &'static str,
) -> Result<&'a AttentionStates, LossError> {
    states
        .attention
        .get(&layer)
        .ok_or_else(|| LossError::MissingLayer {
            side,
            layer,
            found: states.attention.keys().copied().collect(),
        })
}

/// Refuses the attention of layers that do not exist, and of the embedding, which has none.
fn check_attention(term: &LayerTerm, shapes: ModelShapes) -> Result<(), LossError> {
    let ModelShapes { student, teacher } = shapes;
    for (index, pair) in term.layers.iter().enumerate() {
        for (side, layer, last) in [
            ("student", pair.student, student.num_layers),
            ("teacher", pair.teacher, teacher.num_layers),
        ] {
            if !(1..=last).contains(&layer) {
                return Err(LossError::NoAttentionLayer {
                    index,
                    side,
                    layer,
                    last,
                });
            }
        }
    }
    Ok(())
}

/// Refuses relation heads into which a model's states cannot be cut.
fn check_relation(
    relation: AttentionRelation,
    relation_heads: usize,
    model: &ModelShape,
    side: &'static str,
) -> Result<(), LossError> {
    let heads = match relation {
        AttentionRelation::QueryKey | AttentionRelation::QueryQuery => model.num_attention_heads,
        AttentionRelation::KeyKey | AttentionRelation::ValueValue => model.num_key_value_heads,
    };
    let width = heads.saturating_mul(model.head_dim);
    if width.is_multiple_of(relation_heads) {
        return Ok(());
    }
    Err(LossError::RelationHeads {
        side,
        relation: relation.name(),
        width,
        relation_heads,
    })
}
