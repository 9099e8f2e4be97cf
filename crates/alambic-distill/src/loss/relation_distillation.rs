//! Distillation of the relations between tokens (MiniLM).

use alambic_kernels::VisibleKeys;
use burn::tensor::Tensor;

use super::divergence::relative_entropy;
use super::{AttentionRelation, AttentionStates, LabelMask, LossError, TokenLoss};

/// KL divergence between the relations of a teacher's attention layer and of a student's.
///
/// For the relation of the states `A` and `B` of one layer, their heads joined and cut again into
/// `h` relation heads of the width `d`: `R = softmax(A Bᵀ ÷ √d)`, a distribution over the keys that
/// a query sees. Per position `t`, over the chosen relations,
///
/// `Σ over relations of (1 ÷ h) Σ over relation heads of KL(R_teacher[t] ‖ R_student[t])`
///
/// Since only the number of relation heads has to be the same, the models may differ in width and
/// in attention heads, and nothing is projected. A relation of states to themselves does not change
/// when each relation head is rotated.
///
/// # Shapes
/// See [`AttentionStates`]; `visible` and `mask` are of the same `[batch, seq]`. The width of the
/// states, `heads · head_dim`, is a multiple of the relation heads. In [`QueryKey`] the keys of a
/// group stand for each of its query heads.
///
/// # Conventions
/// Nats. A query sees what it sees in attention: itself and the keys before it in its document
/// (the paper's models see both sides). The first token of a document sees only itself and costs 0.
/// `mask` says which queries count. The mean is over relation heads alone, so that the value does
/// not grow with their number; over positions there is none.
///
/// # Memory
/// `[batch, h, seq, seq]` weights, several times, for each relation: rows of moderate length.
///
/// # Example
/// ```
/// use alambic_distill::loss::{AttentionRelation, AttentionStates, LabelMask, RelationDistillation};
/// use alambic_kernels::VisibleKeys;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let values = |second: f32| {
///     // Two tokens, one head of width one: the second token's scores are (second, second²).
///     let values = Tensor::from_floats([[[[1.0]], [[second]]]], &device);
///     AttentionStates::new().with_values(values)
/// };
/// let loss = RelationDistillation::try_new(vec![AttentionRelation::ValueValue], 1)
///     .unwrap()
///     .forward(
///         &values(0.0), // the student relates the second token to both alike
///         &values(2.0), // the teacher by e⁴ to e² to itself
///         &VisibleKeys::causal(2, &device),
///         &LabelMask::new(&[true, true], [1, 2], &device),
///     )
///     .unwrap();
/// let p = 1.0 / (1.0 + (-2f64).exp());
/// let expected = p * (2.0 * p).ln() + (1.0 - p) * (2.0 - 2.0 * p).ln();
/// assert!((loss.sum.into_scalar::<f32>() as f64 - expected).abs() < 1e-6);
/// ```
///
/// # References
/// Wang et al. 2020 (MiniLM), arXiv:2002.10957, eq. 5 to 8; Wang et al. 2021 (MiniLMv2),
/// arXiv:2012.15828, section 3.
///
/// [`QueryKey`]: AttentionRelation::QueryKey
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationDistillation {
    relations: Vec<AttentionRelation>,
    relation_heads: usize,
}

impl RelationDistillation {
    /// A loss over some relations, each cut into `relation_heads`.
    ///
    /// # Errors
    /// [`LossError::NoRelations`] for an empty list, [`LossError::NamedTwice`] for a relation that
    /// is there twice, [`LossError::OutOfRange`] for no relation heads.
    pub fn try_new(
        relations: Vec<AttentionRelation>,
        relation_heads: usize,
    ) -> Result<Self, LossError> {
        if relations.is_empty() {
            return Err(LossError::NoRelations);
        }
        LossError::check_positive("relation_heads", relation_heads as f64)?;
        for (index, relation) in relations.iter().enumerate() {
            if relations[..index].contains(relation) {
                return Err(LossError::NamedTwice {
                    what: "relation",
                    name: relation.name().into(),
                });
            }
        }
        Ok(Self {
            relations,
            relation_heads,
        })
    }

    /// The relations that are compared.
    pub fn relations(&self) -> &[AttentionRelation] {
        &self.relations
    }

    /// Into how many heads of equal width the states are cut.
    pub fn relation_heads(&self) -> usize {
        self.relation_heads
    }

    /// The value at every position, `[batch, seq]`, counted or not.
    ///
    /// # Errors
    /// [`LossError::MissingAttentionStates`] when a chosen relation's states are not there;
    /// [`LossError::RelationHeads`] when they cannot be cut into relation heads;
    /// [`LossError::QueryKeyHeads`] when a model's queries and keys do not fit each other;
    /// [`LossError::Shape`] when positions differ.
    pub fn per_token(
        &self,
        student: &AttentionStates,
        teacher: &AttentionStates,
        visible: &VisibleKeys,
    ) -> Result<Tensor<2>, LossError> {
        let positions = self.relations[0].check(student, self.relation_heads, "student")?;
        let bias = visible.bias();
        let [rows, _, seq, _] = bias.dims();
        let rows = if rows == 1 { positions[0] } else { rows };
        LossError::check_shape("what the queries see", [rows, seq], positions)?;
        let values = self.relations.iter().map(|&relation| {
            for (side, states) in [("student", student), ("teacher", teacher)] {
                let found = relation.check(states, self.relation_heads, side)?;
                LossError::check_shape("the attention states", found, positions)?;
            }
            self.relation_per_token(relation, student, teacher, &bias)
        });
        values
            .reduce(|total, value| Ok(total? + value?))
            .expect("there is a relation")
    }

    /// The sum over the counted positions.
    ///
    /// # Errors
    /// As [`per_token`](Self::per_token); [`LossError::Shape`] if the mask covers other positions.
    pub fn forward(
        &self,
        student: &AttentionStates,
        teacher: &AttentionStates,
        visible: &VisibleKeys,
        mask: &LabelMask,
    ) -> Result<TokenLoss, LossError> {
        TokenLoss::masked(self.per_token(student, teacher, visible)?, mask)
    }

    fn relation_per_token(
        &self,
        relation: AttentionRelation,
        student: &AttentionStates,
        teacher: &AttentionStates,
        bias: &Tensor<4>,
    ) -> Result<Tensor<2>, LossError> {
        let heads = self.relation_heads;
        let student = relation.log_weights(student, heads, bias, "student")?;
        let teacher = relation.log_weights(teacher, heads, bias, "teacher")?;
        let [batch, _, seq, keys] = student.dims();
        let rows = [batch, heads * seq, keys];
        let of_heads = relative_entropy(&teacher.reshape(rows), &student.reshape(rows));
        let of_heads = of_heads.reshape([batch, heads, seq]);
        Ok(of_heads.sum_dim(1).squeeze_dim::<2>(1) * (heads as f64).recip())
    }
}
