//! The weights of a decoder by role, apart from any file's names for them.

use burn::tensor::Tensor;

use crate::config::DecoderConfig;

/// One weight tensor of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Token embedding, `[vocab, hidden]`.
    Embedding,
    /// A weight of layer `index`.
    Layer { index: usize, part: LayerWeight },
    /// Scale of the final norm, `[hidden]`.
    FinalNorm,
    /// Output projection, `[vocab, hidden]`; absent when tied to the embedding.
    Head,
}

/// One weight tensor of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LayerWeight {
    AttentionNorm,
    Query,
    Key,
    Value,
    Output,
    FeedForwardNorm,
    Gate,
    Up,
    Down,
}

impl LayerWeight {
    /// In the order in which new weights are drawn.
    pub(crate) const ALL: [Self; 9] = [
        Self::AttentionNorm,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::FeedForwardNorm,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];
}

impl Weight {
    /// Every weight of a decoder, in the order in which new weights are drawn.
    pub(crate) fn all(config: &DecoderConfig) -> Vec<Self> {
        let layers = (0..config.num_hidden_layers)
            .flat_map(|index| LayerWeight::ALL.map(|part| Self::Layer { index, part }));
        std::iter::once(Self::Embedding)
            .chain(layers)
            .chain(std::iter::once(Self::FinalNorm))
            .chain((!config.tie_word_embeddings).then_some(Self::Head))
            .collect()
    }

    /// Shape as files hold it: a vector, or a matrix of `[outputs, inputs]`.
    pub(crate) fn shape(self, config: &DecoderConfig) -> Vec<usize> {
        let hidden = config.hidden_size;
        let queries = config.num_attention_heads * config.head_dim;
        let key_values = config.num_key_value_heads * config.head_dim;
        match self {
            Self::Embedding | Self::Head => vec![config.vocab_size, hidden],
            Self::FinalNorm => vec![hidden],
            Self::Layer { part, .. } => match part {
                LayerWeight::AttentionNorm | LayerWeight::FeedForwardNorm => vec![hidden],
                LayerWeight::Query => vec![queries, hidden],
                LayerWeight::Key | LayerWeight::Value => vec![key_values, hidden],
                LayerWeight::Output => vec![hidden, queries],
                LayerWeight::Gate | LayerWeight::Up => vec![config.intermediate_size, hidden],
                LayerWeight::Down => vec![hidden, config.intermediate_size],
            },
        }
    }
}

/// Where the weights of a new decoder come from: random numbers or a file.
pub(crate) trait WeightSource {
    /// Why a weight cannot be had.
    type Error;

    /// A vector of `[size]`.
    fn vector(&mut self, weight: Weight) -> Result<Tensor<1>, Self::Error>;

    /// A projection as the decoder computes with it: `[inputs, outputs]`.
    fn projection(&mut self, weight: Weight) -> Result<Tensor<2>, Self::Error>;

    /// A table of rows: `[rows, width]`.
    fn table(&mut self, weight: Weight) -> Result<Tensor<2>, Self::Error>;
}

/// A weight read out of a decoder.
pub(crate) enum WeightValue {
    /// `[size]`
    Vector(Tensor<1>),
    /// `[inputs, outputs]`
    Projection(Tensor<2>),
    /// `[rows, width]`
    Table(Tensor<2>),
}
