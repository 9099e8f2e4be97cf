//! Queries, keys and values of one attention layer.

use burn::tensor::Tensor;

use super::LossError;
use super::widened::widened;

/// Queries, keys and values of one attention layer, as far as they are known.
///
/// A live model gives all three, a capture what it declared. Whether queries and keys carry their
/// rotary positions is a choice to be made alike for both models.
///
/// # Shapes
/// Queries `[batch, seq, heads, head_dim]`, keys and values `[batch, seq, groups, head_dim]`, any
/// float type.
#[derive(Clone, Debug, Default)]
pub struct AttentionStates {
    queries: Option<Tensor<4>>,
    keys: Option<Tensor<4>>,
    values: Option<Tensor<4>>,
}

impl AttentionStates {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With queries `[batch, seq, heads, head_dim]`.
    pub fn with_queries(mut self, queries: Tensor<4>) -> Self {
        self.queries = Some(queries);
        self
    }

    /// With keys `[batch, seq, groups, head_dim]`.
    pub fn with_keys(mut self, keys: Tensor<4>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// With values `[batch, seq, groups, head_dim]`.
    pub fn with_values(mut self, values: Tensor<4>) -> Self {
        self.values = Some(values);
        self
    }

    /// One part in at least `f32`; `side` says whose in the error.
    pub(super) fn part(
        &self,
        part: AttentionPart,
        side: &'static str,
    ) -> Result<Tensor<4>, LossError> {
        let states = match part {
            AttentionPart::Queries => &self.queries,
            AttentionPart::Keys => &self.keys,
            AttentionPart::Values => &self.values,
        };
        let part = part.name();
        states
            .clone()
            .map(widened)
            .ok_or(LossError::MissingAttentionStates { side, part })
    }
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttentionPart {
    Queries,
    Keys,
    Values,
}

impl AttentionPart {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Keys => "keys",
            Self::Values => "values",
        }
    }
}
