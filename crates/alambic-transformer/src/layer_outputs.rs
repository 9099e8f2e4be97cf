//! What chosen layers of a decoder give.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{DType, Tensor};

/// Which layers' outputs a forward pass gives; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedLayers {
    /// Hidden states by index, counted as Hugging Face counts them: 0 is what the embedding gives, `i`
    /// what the `i`-th layer gives, the last one behind the final norm.
    pub hidden_states: BTreeSet<usize>,
    /// Queries, keys and values by the number of their layer, 1 to the number of layers.
    pub attention: BTreeSet<usize>,
}

impl WantedLayers {
    /// The last layer that is needed, if any.
    pub(crate) fn last(&self) -> Option<usize> {
        let (hidden, attention) = (self.hidden_states.last(), self.attention.last());
        hidden.max(attention).copied()
    }

    /// Whether anything is wanted that the layer behind the hidden state `index` is needed for.
    pub(crate) fn any_behind(&self, index: usize) -> bool {
        self.last().is_some_and(|layer| layer > index)
    }

    /// # Panics
    /// If a wanted layer does not exist in a decoder of `num_layers`.
    pub(crate) fn check(&self, num_layers: usize) {
        let hidden = self.hidden_states.iter().next_back();
        assert!(
            hidden.is_none_or(|&layer| layer <= num_layers),
            "hidden state {hidden:?} of a decoder of {num_layers} layers"
        );
        let mut attention = self.attention.iter();
        assert!(
            attention.all(|layer| (1..=num_layers).contains(layer)),
            "attention of the layers {:?} of a decoder of {num_layers} layers",
            self.attention
        );
    }
}

/// The outputs of [`WantedLayers`].
#[derive(Clone, Debug, Default)]
pub struct LayerOutputs {
    /// `[batch, seq, hidden]` each, by the index that was wanted.
    pub hidden_states: BTreeMap<usize, Tensor<3>>,
    /// By the number of their layer.
    pub attention: BTreeMap<usize, AttentionProjections>,
}

/// What the attention of one layer compares and mixes.
#[derive(Clone, Debug)]
pub struct AttentionProjections {
    /// `[batch, seq, heads, head_dim]`, turned by their rotary positions.
    pub queries: Tensor<4>,
    /// `[batch, seq, groups, head_dim]`, turned by their rotary positions.
    pub keys: Tensor<4>,
    /// `[batch, seq, groups, head_dim]`
    pub values: Tensor<4>,
}

impl AttentionProjections {
    /// The same in f32, as comparisons want them.
    pub(crate) fn widened(self) -> Self {
        self.map(|projected| projected.cast(DType::F32))
    }

    pub(crate) fn map(self, change: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        let [queries, keys, values] = self.into_array().map(change);
        Self {
            queries,
            keys,
            values,
        }
    }

    pub(crate) fn into_array(self) -> [Tensor<4>; 3] {
        [self.queries, self.keys, self.values]
    }
}
