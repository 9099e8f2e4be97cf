//! What decoders of different families compute differently.

use serde::{Deserialize, Serialize};

use crate::families::Family;
use crate::rope_scaling::RopeScaling;

/// What a decoder computes differently from Llama, whose choices are the defaults.
///
/// [`load_checkpoint`](crate::load_checkpoint) makes it of a `config.json`. Every field is explicit, so that one
/// decoder serves all families.
///
/// ```
/// use alambic_transformer::{Architecture, Family, QueryKeyNorm};
///
/// let qwen3 = Architecture {
///     family: Family::Qwen3,
///     query_key_norm: Some(QueryKeyNorm::PerHead),
///     ..Architecture::default()
/// };
/// assert_eq!(Architecture::default().family, Family::Llama);
/// assert_eq!(serde_json::to_value(&qwen3)?["query_key_norm"], "per_head");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Architecture {
    /// The family whose files the decoder is written as.
    pub family: Family,
    /// How states are normed.
    pub norm: NormKind,
    /// Where the norms of a layer stand.
    pub norm_placement: NormPlacement,
    /// A norm of queries and keys before they are turned, each with a scale of its own.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// Which projections add a bias.
    pub biases: Biases,
    /// What the feed-forward layer computes.
    pub feed_forward: FeedForwardKind,
    /// Whether a learned vector for each position is added to the embeddings.
    pub learned_positions: bool,
    /// How rotary wavelengths are stretched for long texts, in layers that are not sliding if those have wavelengths
    /// of their own.
    pub rope_scaling: RopeScaling,
    /// Dimensions of a head that turn, the first ones; all of them if not given.
    pub rotary_dim: Option<usize>,
    /// Base of the rotary wavelengths in sliding layers, if they have one of their own; it is not scaled.
    pub sliding_rope_theta: Option<f64>,
    /// How many tokens a query of a sliding layer sees, itself included.
    pub sliding_window: Option<usize>,
    /// What each layer does; all see every token before and turn queries and keys if there is none.
    pub layer_kinds: Vec<LayerKind>,
    /// Sizes of each layer, where they are not those of the configuration for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layer_sizes: Vec<LayerSizes>,
    /// Scores are multiplied by it; by `head_dim^(-1/2)` if not given.
    pub attention_scale: Option<f64>,
    /// Scores `z` become `cap · tanh(z / cap)`.
    pub attention_softcap: Option<f64>,
    /// Logits are multiplied by it.
    pub logit_scale: f64,
    /// Logits `z`, scaled, become `cap · tanh(z / cap)`.
    pub logit_softcap: Option<f64>,
    /// Embeddings are multiplied by it.
    pub embedding_scale: f64,
    /// What attention and feed-forward add to the states is multiplied by it.
    pub residual_scale: f64,
}

impl Default for Architecture {
    fn default() -> Self {
        Self {
            family: Family::Llama,
            norm: NormKind::Rms,
            norm_placement: NormPlacement::Before,
            query_key_norm: None,
            biases: Biases::default(),
            feed_forward: FeedForwardKind::GatedSilu,
            learned_positions: false,
            rope_scaling: RopeScaling::None,
            rotary_dim: None,
            sliding_rope_theta: None,
            sliding_window: None,
            layer_kinds: Vec::new(),
            layer_sizes: Vec::new(),
            attention_scale: None,
            attention_softcap: None,
            logit_scale: 1.0,
            logit_softcap: None,
            embedding_scale: 1.0,
            residual_scale: 1.0,
        }
    }
}

impl Architecture {
    /// What the layer at `index` does.
    pub(crate) fn layer_kind(&self, index: usize) -> LayerKind {
        self.layer_kinds.get(index).copied().unwrap_or_default()
    }

    /// The same for a decoder of another width: Gemma's embeddings are multiplied by the root of it.
    ///
    /// ```
    /// use alambic_transformer::{Architecture, Family};
    /// let llama = Architecture::default();
    /// assert_eq!(llama.clone().of_width(64), llama);
    /// let gemma = Architecture { family: Family::Gemma2, ..llama };
    /// assert_eq!(gemma.of_width(64).embedding_scale, 8.0);
    /// ```
    #[must_use]
    pub fn of_width(mut self, hidden_size: usize) -> Self {
        if let Family::Gemma2 | Family::Gemma3 = self.family {
            // In f32, as the reference implementation has it.
            self.embedding_scale = f64::from((hidden_size as f64).sqrt() as f32);
        }
        self
    }

    /// That of a decoder of this width, made of some layers of one of this architecture, counted from 1; with
    /// [sizes](Self::layer_sizes) of one configuration for all of them, unless others are set.
    ///
    /// Layers that do not exist count as those that see every token and turn; [`Decoder::excerpt`](crate::Decoder::excerpt)
    /// refuses them.
    #[must_use]
    pub fn of_excerpt(&self, hidden_size: usize, layers: &[usize]) -> Self {
        let kinds = match self.layer_kinds.is_empty() {
            true => Vec::new(),
            false => {
                let kind = |&layer: &usize| self.layer_kind(layer.wrapping_sub(1));
                layers.iter().map(kind).collect()
            }
        };
        let mut excerpt = Self {
            layer_kinds: kinds,
            layer_sizes: Vec::new(),
            ..self.clone().of_width(hidden_size)
        };
        if !excerpt.slides() {
            excerpt.sliding_window = None;
        }
        let ordinary = LayerKind::default();
        if excerpt.layer_kinds.iter().all(|kind| *kind == ordinary) {
            excerpt.layer_kinds.clear();
        }
        excerpt
    }

    /// Whether any layer turns queries and keys.
    pub(crate) fn rotates(&self) -> bool {
        self.layer_kinds.is_empty() || self.layer_kinds.iter().any(|kind| kind.rotates)
    }

    /// Whether any layer sees a window only.
    pub(crate) fn slides(&self) -> bool {
        self.layer_kinds.iter().any(|kind| kind.slides)
    }

    /// Everything that is wrong with the sizes of layers.
    pub(crate) fn problems_of_sizes(&self, num_layers: usize) -> Vec<String> {
        let sizes = self.layer_sizes.iter().enumerate();
        let of_layers = sizes.flat_map(|(index, sizes)| sizes.problems(index));
        let mut problems: Vec<String> = of_layers.collect();
        let sizes = self.layer_sizes.len();
        if sizes != 0 && sizes != num_layers {
            problems.push(format!(
                "layer_sizes has {sizes} entries, expected one for each of {num_layers} layers, or none"
            ));
        }
        problems
    }

    /// Everything else about it that does not fit together or to `head_dim` and the number of layers.
    pub(crate) fn problems(&self, head_dim: usize, num_layers: usize) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, value) in [
            ("sliding_rope_theta", self.sliding_rope_theta),
            ("attention_scale", self.attention_scale),
            ("attention_softcap", self.attention_softcap),
            ("logit_scale", Some(self.logit_scale)),
            ("logit_softcap", self.logit_softcap),
            ("embedding_scale", Some(self.embedding_scale)),
            ("residual_scale", Some(self.residual_scale)),
        ] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                problems.push(format!("{name} is {value}, expected a positive number"));
            }
        }
        if let Some(dim) = self.rotary_dim
            && !(dim.is_multiple_of(2) && (2..=head_dim).contains(&dim))
        {
            problems.push(format!(
                "rotary_dim is {dim}, expected an even number from 2 to head_dim ({head_dim})"
            ));
        }
        let kinds = self.layer_kinds.len();
        if kinds != 0 && kinds != num_layers {
            problems.push(format!(
                "layer_kinds has {kinds} entries, expected one for each of {num_layers} layers, or none"
            ));
        }
        match self.sliding_window {
            None if self.slides() => {
                problems.push("layers slide without a sliding_window".to_owned());
            }
            Some(0) => problems.push("sliding_window is 0, expected at least 1".to_owned()),
            _ => {}
        }
        problems.extend(
            self.rope_scaling
                .problems(self.rotary_dim.unwrap_or(head_dim)),
        );
        problems
    }
}

/// How states are normed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Divided by the root of the mean square, times the scale (Zhang & Sennrich 2019, arXiv:1910.07467).
    Rms,
    /// The same, times 1 more than what is stored as scale.
    RmsAroundOne,
    /// Less the mean, divided by the standard deviation, times the scale, plus a bias (Ba et al. 2016,
    /// arXiv:1607.06450).
    Layer,
}

/// Where the norms of a layer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormPlacement {
    /// Before attention and before feed-forward.
    Before,
    /// On what attention and feed-forward give, before it is added.
    After,
    /// Both.
    Around,
}

impl NormPlacement {
    pub(crate) fn is_before(self) -> bool {
        matches!(self, Self::Before | Self::Around)
    }

    pub(crate) fn is_after(self) -> bool {
        matches!(self, Self::After | Self::Around)
    }
}

/// Which numbers of queries and keys are normed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryKeyNorm {
    /// Those of one head; all heads share a scale of `[head_dim]`.
    PerHead,
    /// Those of all heads.
    AllHeads,
}

/// Which projections add a bias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Biases {
    /// Queries, keys and values.
    pub query_key_value: bool,
    /// What attention gives.
    pub attention_output: bool,
    /// All projections of the feed-forward layer.
    pub feed_forward: bool,
}

/// What the feed-forward layer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedForwardKind {
    /// `down(silu(gate(x)) · up(x))` (Shazeer 2020, arXiv:2002.05202).
    GatedSilu,
    /// `down(gelu(gate(x)) · up(x))`, gelu in its approximation by tanh.
    GatedGeluTanh,
    /// `down(gelu(up(x)))`, gelu in its approximation by tanh.
    GeluTanh,
}

impl FeedForwardKind {
    pub(crate) fn is_gated(self) -> bool {
        self != Self::GeluTanh
    }
}

/// What one layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerKind {
    /// Whether a query sees [`Architecture::sliding_window`] tokens rather than all before it.
    pub slides: bool,
    /// Whether queries and keys are turned by their positions (Su et al. 2021, arXiv:2104.09864).
    pub rotates: bool,
}

impl Default for LayerKind {
    fn default() -> Self {
        Self {
            slides: false,
            rotates: true,
        }
    }
}

/// What may differ from layer to layer, as in a decoder that was pruned.
///
/// ```
/// use alambic_transformer::{Architecture, DecoderConfig, LayerSizes};
/// use burn::tensor::Device;
///
/// let narrow = LayerSizes { intermediate_size: 24, num_attention_heads: 2, num_key_value_heads: 1 };
/// let wide = LayerSizes { intermediate_size: 40, num_attention_heads: 4, num_key_value_heads: 2 };
/// let config = DecoderConfig {
///     vocab_size: 32,
///     hidden_size: 16,
///     intermediate_size: 40,
///     num_hidden_layers: 2,
///     num_attention_heads: 4,
///     num_key_value_heads: 2,
///     head_dim: 4,
///     max_position_embeddings: 64,
///     rms_norm_eps: 1e-5,
///     rope_theta: 10_000.0,
///     tie_word_embeddings: true,
///     initializer_range: 0.02,
///     architecture: Architecture { layer_sizes: vec![wide, narrow], ..Architecture::default() },
/// };
/// config.validate()?;
/// assert_eq!(config.layer_sizes(1), narrow);
/// let decoder = config.init(&Device::flex());
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerSizes {
    /// Width inside the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
}

impl LayerSizes {
    /// Query heads that share one key and value head.
    pub(crate) fn queries_per_key_value(self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Everything that is wrong with the sizes of the layer at `index`.
    fn problems(self, index: usize) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, value) in [
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
        ] {
            if !(1..=i32::MAX as usize).contains(&value) {
                problems.push(format!(
                    "layer_sizes[{index}].{name} is {value}, expected 1 to {}",
                    i32::MAX
                ));
            }
        }
        let (heads, groups) = (self.num_attention_heads, self.num_key_value_heads);
        if groups > 0 && !heads.is_multiple_of(groups) {
            problems.push(format!(
                "layer_sizes[{index}].num_attention_heads is {heads}, expected a multiple of its num_key_value_heads ({groups})"
            ));
        }
        problems
    }
}
