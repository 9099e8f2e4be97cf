//! The weights of a decoder by role, apart from any file's names for them.

use burn::tensor::Tensor;

use crate::architecture::{Architecture, NormKind, QueryKeyNorm};
use crate::config::DecoderConfig;

/// One weight tensor of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Token embedding, `[vocab, hidden]`.
    Embedding,
    /// Learned positions, `[max_position_embeddings, hidden]`.
    Positions,
    /// A weight of layer `index`.
    Layer { index: usize, part: LayerWeight },
    /// Scale of the final norm, `[hidden]`.
    FinalNorm,
    /// Bias of the final norm, `[hidden]`.
    FinalNormBias,
    /// Output projection, `[vocab, hidden]`; absent when tied to the embedding.
    Head,
}

/// One weight tensor of a layer. A norm without further words stands before attention or feed-forward, an
/// output norm behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LayerWeight {
    AttentionNorm,
    AttentionNormBias,
    Query,
    QueryBias,
    Key,
    KeyBias,
    Value,
    ValueBias,
    QueryNorm,
    KeyNorm,
    Output,
    OutputBias,
    AttentionOutputNorm,
    FeedForwardNorm,
    FeedForwardNormBias,
    Gate,
    GateBias,
    Up,
    UpBias,
    Down,
    DownBias,
    FeedForwardOutputNorm,
}

impl LayerWeight {
    /// In the order in which new weights are drawn.
    pub(crate) const ALL: [Self; 22] = [
        Self::AttentionNorm,
        Self::AttentionNormBias,
        Self::Query,
        Self::QueryBias,
        Self::Key,
        Self::KeyBias,
        Self::Value,
        Self::ValueBias,
        Self::QueryNorm,
        Self::KeyNorm,
        Self::Output,
        Self::OutputBias,
        Self::AttentionOutputNorm,
        Self::FeedForwardNorm,
        Self::FeedForwardNormBias,
        Self::Gate,
        Self::GateBias,
        Self::Up,
        Self::UpBias,
        Self::Down,
        Self::DownBias,
        Self::FeedForwardOutputNorm,
    ];

    /// Whether decoders of an architecture have it.
    fn exists(self, architecture: &Architecture) -> bool {
        let placement = architecture.norm_placement;
        let biases = architecture.biases;
        match self {
            Self::Query | Self::Key | Self::Value | Self::Output | Self::Up | Self::Down => true,
            Self::AttentionNorm | Self::FeedForwardNorm => placement.is_before(),
            Self::AttentionNormBias | Self::FeedForwardNormBias => {
                placement.is_before() && architecture.norm == NormKind::Layer
            }
            Self::AttentionOutputNorm | Self::FeedForwardOutputNorm => placement.is_after(),
            Self::QueryNorm | Self::KeyNorm => architecture.query_key_norm.is_some(),
            Self::QueryBias | Self::KeyBias | Self::ValueBias => biases.query_key_value,
            Self::OutputBias => biases.attention_output,
            Self::Gate => architecture.feed_forward.is_gated(),
            Self::GateBias => biases.feed_forward && architecture.feed_forward.is_gated(),
            Self::UpBias | Self::DownBias => biases.feed_forward,
        }
    }
}

impl Weight {
    /// Every weight of a decoder, in the order in which new weights are drawn.
    pub(crate) fn all(config: &DecoderConfig) -> Vec<Self> {
        let architecture = &config.architecture;
        let has_bias = architecture.norm == NormKind::Layer;
        let layers = (0..config.num_hidden_layers).flat_map(|index| Self::of_layer(config, index));
        std::iter::once(Self::Embedding)
            .chain(architecture.learned_positions.then_some(Self::Positions))
            .chain(layers)
            .chain(std::iter::once(Self::FinalNorm))
            .chain(has_bias.then_some(Self::FinalNormBias))
            .chain((!config.tie_word_embeddings).then_some(Self::Head))
            .collect()
    }

    /// Every weight of one layer.
    pub(crate) fn of_layer(config: &DecoderConfig, index: usize) -> impl Iterator<Item = Self> {
        let parts = LayerWeight::ALL.into_iter();
        let parts = parts.filter(|part| part.exists(&config.architecture));
        parts.map(move |part| Self::Layer { index, part })
    }

    /// Shape as files hold it: a vector, or a matrix of `[outputs, inputs]`.
    pub(crate) fn shape(self, config: &DecoderConfig) -> Vec<usize> {
        let hidden = config.hidden_size;
        let (index, part) = match self {
            Self::Embedding | Self::Head => return vec![config.vocab_size, hidden],
            Self::Positions => return vec![config.max_position_embeddings, hidden],
            Self::FinalNorm | Self::FinalNormBias => return vec![hidden],
            Self::Layer { index, part } => (index, part),
        };
        let sizes = config.layer_sizes(index);
        let queries = sizes.num_attention_heads * config.head_dim;
        let key_values = sizes.num_key_value_heads * config.head_dim;
        let inner = sizes.intermediate_size;
        match part {
            LayerWeight::AttentionNorm
            | LayerWeight::AttentionNormBias
            | LayerWeight::AttentionOutputNorm
            | LayerWeight::FeedForwardNorm
            | LayerWeight::FeedForwardNormBias
            | LayerWeight::FeedForwardOutputNorm
            | LayerWeight::OutputBias
            | LayerWeight::DownBias => vec![hidden],
            LayerWeight::Query => vec![queries, hidden],
            LayerWeight::QueryBias => vec![queries],
            LayerWeight::Key | LayerWeight::Value => vec![key_values, hidden],
            LayerWeight::KeyBias | LayerWeight::ValueBias => vec![key_values],
            LayerWeight::QueryNorm => vec![normed_width(config, queries)],
            LayerWeight::KeyNorm => vec![normed_width(config, key_values)],
            LayerWeight::Output => vec![hidden, queries],
            LayerWeight::Gate | LayerWeight::Up => vec![inner, hidden],
            LayerWeight::GateBias | LayerWeight::UpBias => vec![inner],
            LayerWeight::Down => vec![hidden, inner],
        }
    }

    /// What every number of a new vector is: a norm leaves states as they are, a bias adds nothing.
    pub(crate) fn initial_value(self, config: &DecoderConfig) -> f32 {
        let of_norm = match config.architecture.norm {
            NormKind::Rms | NormKind::Layer => 1.0,
            NormKind::RmsAroundOne => 0.0,
        };
        match self {
            Self::FinalNorm
            | Self::Layer {
                part:
                    LayerWeight::AttentionNorm
                    | LayerWeight::AttentionOutputNorm
                    | LayerWeight::FeedForwardNorm
                    | LayerWeight::FeedForwardOutputNorm
                    | LayerWeight::QueryNorm
                    | LayerWeight::KeyNorm,
                ..
            } => of_norm,
            _ => 0.0,
        }
    }
}

/// Numbers that a norm of queries or keys takes together.
fn normed_width(config: &DecoderConfig, all_heads: usize) -> usize {
    match config.architecture.query_key_norm {
        Some(QueryKeyNorm::AllHeads) => all_heads,
        Some(QueryKeyNorm::PerHead) | None => config.head_dim,
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
