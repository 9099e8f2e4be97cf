//! How much the tokens of a sequence have to do with each other, in one attention layer.

use alambic_kernels::{Computation, log_softmax};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::attention_states::AttentionPart;
use super::{AttentionStates, LossError};

/// Which states of an attention layer are related to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionRelation {
    /// Queries to keys. With as many relation heads as attention heads, this is the attention map.
    QueryKey,
    /// Queries to queries.
    QueryQuery,
    /// Keys to keys.
    KeyKey,
    /// Values to values.
    ValueValue,
}

impl AttentionRelation {
    /// Every relation.
    pub const ALL: [Self; 4] = [
        Self::QueryKey,
        Self::QueryQuery,
        Self::KeyKey,
        Self::ValueValue,
    ];

    /// The name used in recipes, metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueryKey => "query_key",
            Self::QueryQuery => "query_query",
            Self::KeyKey => "key_key",
            Self::ValueValue => "value_value",
        }
    }

    /// `ln softmax(A Bᵀ ÷ √d + bias)` for each relation head, `[batch, relation_heads, seq, seq]`.
    ///
    /// The heads of the layer are joined and cut again into `relation_heads` of the width `d`.
    pub(super) fn log_weights(
        self,
        states: &AttentionStates,
        relation_heads: usize,
        bias: &Tensor<4>,
        side: &'static str,
    ) -> Result<Tensor<4>, LossError> {
        let (rows, columns) = self.parts(states, side)?;
        let rows = regroup(rows, relation_heads);
        let columns = regroup(columns, relation_heads);
        let [_, _, _, head_dim] = rows.dims();
        let scores = rows.matmul(columns.swap_dims(2, 3)) * (head_dim as f64).powf(-0.5);
        let bias = bias.clone().cast(scores.dtype());
        Ok(log_softmax(scores + bias, Computation::Fastest))
    }

    /// `[batch, seq]` of the states that the relation reads, which can be cut into relation heads.
    pub(super) fn check(
        self,
        states: &AttentionStates,
        relation_heads: usize,
        side: &'static str,
    ) -> Result<[usize; 2], LossError> {
        let (rows, columns) = self.parts(states, side)?;
        let [batch, seq, heads, head_dim] = rows.dims();
        let [column_batch, column_seq, ..] = columns.dims();
        let what = "the keys of one layer";
        LossError::check_shape(what, [column_batch, column_seq], [batch, seq])?;
        let width = heads * head_dim;
        if !width.is_multiple_of(relation_heads) {
            return Err(LossError::RelationHeads {
                side,
                relation: self.name(),
                width,
                relation_heads,
            });
        }
        Ok([batch, seq])
    }

    /// The states of rows and columns, of one width.
    fn parts(
        self,
        states: &AttentionStates,
        side: &'static str,
    ) -> Result<(Tensor<4>, Tensor<4>), LossError> {
        let with_itself = |part| {
            let states = states.part(part, side)?;
            Ok((states.clone(), states))
        };
        match self {
            Self::QueryQuery => with_itself(AttentionPart::Queries),
            Self::KeyKey => with_itself(AttentionPart::Keys),
            Self::ValueValue => with_itself(AttentionPart::Values),
            Self::QueryKey => {
                let queries = states.part(AttentionPart::Queries, side)?;
                let keys = states.part(AttentionPart::Keys, side)?;
                let keys = for_every_query_head(keys, &queries, side)?;
                Ok((queries, keys))
            }
        }
    }
}

/// Keys `[batch, seq, groups, head_dim]`, each repeated for the query heads of its group.
fn for_every_query_head(
    keys: Tensor<4>,
    queries: &Tensor<4>,
    side: &'static str,
) -> Result<Tensor<4>, LossError> {
    let [_, _, heads, query_dim] = queries.dims();
    let [batch, seq, groups, head_dim] = keys.dims();
    if head_dim != query_dim || groups == 0 || !heads.is_multiple_of(groups) {
        return Err(LossError::QueryKeyHeads {
            side,
            queries: [heads, query_dim],
            keys: [groups, head_dim],
        });
    }
    let repeated = [batch, seq, groups, heads / groups, head_dim];
    let keys = keys.unsqueeze_dim::<5>(3).expand(repeated);
    Ok(keys.reshape([batch, seq, heads, head_dim]))
}

/// `[batch, seq, heads, head_dim]` → `[batch, relation_heads, seq, width ÷ relation_heads]`
fn regroup(states: Tensor<4>, relation_heads: usize) -> Tensor<4> {
    let [batch, seq, heads, head_dim] = states.dims();
    let relation_dim = heads * head_dim / relation_heads;
    states
        .reshape([batch, seq, relation_heads, relation_dim])
        .swap_dims(1, 2)
}
