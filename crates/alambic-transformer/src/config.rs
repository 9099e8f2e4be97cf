//! The sizes and constants that define one decoder.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, LayerSizes};
use crate::decoder::Decoder;
use crate::error::TransformerError;
use crate::rope_scaling::RopeScaling;
use crate::weights::Weight;

/// More layers than any decoder has: a larger number comes from a damaged file.
const MAX_HIDDEN_LAYERS: usize = 10_000;
/// More parameters than any machine holds; below it, counts and offsets fit their integers.
const MAX_PARAMETERS: f64 = 1e15;

/// Sizes and constants of a decoder; every field is explicit.
///
/// The names are those of a Hugging Face `config.json` of Llama, whose computation is the default.
///
/// ```
/// use alambic_transformer::{Architecture, DecoderConfig, DeviceChoice};
///
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
///     architecture: Architecture::default(),
/// };
/// config.validate()?;
/// // Embedding and final norm, and per layer: norms, query and output, key and value, three of the feed-forward.
/// let layer = 2 * 16 + 2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 40;
/// assert_eq!(config.num_parameters(), 32 * 16 + 16 + 2 * layer);
///
/// let device = DeviceChoice::Cpu.open()?;
/// device.seed(17);
/// let decoder = config.init(&device);
/// assert_eq!(decoder.config(), &config);
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Number of token ids the decoder embeds and predicts.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of transformer layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; even, because rotary positions turn pairs.
    pub head_dim: usize,
    /// Longest sequence that the decoder is declared for, in tokens.
    pub max_position_embeddings: usize,
    /// Added to the mean square inside each norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary wavelengths.
    pub rope_theta: f64,
    /// Whether the output projection is the embedding, transposed.
    pub tie_word_embeddings: bool,
    /// Standard deviation of newly initialised matrices.
    pub initializer_range: f64,
    /// What is computed differently from Llama.
    #[serde(default)]
    pub architecture: Architecture,
}

impl DecoderConfig {
    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`TransformerError::InvalidConfig`] lists every problem at once.
    pub fn validate(&self) -> Result<(), TransformerError> {
        let mut problems = Vec::new();
        for (name, value) in self.sizes() {
            if value == 0 {
                problems.push(format!("{name} is 0, expected at least 1"));
            }
            if value > i32::MAX as usize {
                problems.push(format!("{name} is {value}, expected at most {}", i32::MAX));
            }
        }
        let of_layers = self.architecture.problems_of_sizes(self.num_hidden_layers);
        problems.extend(of_layers);
        if self.num_hidden_layers > MAX_HIDDEN_LAYERS {
            problems.push(format!(
                "num_hidden_layers is {}, expected at most {MAX_HIDDEN_LAYERS}",
                self.num_hidden_layers
            ));
        } else if problems.is_empty() && self.approximate_parameters() > MAX_PARAMETERS {
            problems.push(format!(
                "the sizes make {:e} parameters, expected at most {MAX_PARAMETERS:e}",
                self.approximate_parameters()
            ));
        }
        if self.num_key_value_heads > 0
            && !self
                .num_attention_heads
                .is_multiple_of(self.num_key_value_heads)
        {
            problems.push(format!(
                "num_attention_heads is {}, expected a multiple of num_key_value_heads ({})",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) && self.architecture.rotates() {
            problems.push(format!(
                "head_dim is {}, expected an even number (rotary positions turn pairs)",
                self.head_dim
            ));
        }
        for (name, value) in [
            ("rms_norm_eps", self.rms_norm_eps),
            ("rope_theta", self.rope_theta),
        ] {
            if !(value.is_finite() && value > 0.0) {
                problems.push(format!("{name} is {value}, expected a positive number"));
            }
        }
        if !(self.initializer_range.is_finite() && self.initializer_range >= 0.0) {
            problems.push(format!(
                "initializer_range is {}, expected zero or a positive number",
                self.initializer_range
            ));
        }
        let architecture = &self.architecture;
        problems.extend(architecture.problems(self.head_dim, self.num_hidden_layers));
        if problems.is_empty() {
            Ok(())
        } else {
            Err(TransformerError::InvalidConfig { problems })
        }
    }

    /// Creates a decoder with new weights: matrices normal(0, `initializer_range`), norms one.
    ///
    /// Every weight is drawn before the call returns, in a fixed order, so `device.seed(..)` right
    /// before it decides all of them. The generator belongs to the process: a thread that draws
    /// between the two calls changes the result. On an autodiff device the weights track gradients.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) would fail.
    pub fn init(&self, device: &Device) -> Decoder {
        self.validate()
            .expect("init needs a configuration that passes validate()");
        Decoder::random(self, device)
    }

    /// The longest sequence that the decoder reads, in tokens: `max_position_embeddings`, and longer ones where
    /// rotary wavelengths are stretched further ([`RopeScaling::Dynamic`], [`RopeScaling::Yarn`]).
    pub fn max_sequence_tokens(&self) -> usize {
        let declared = self.max_position_embeddings;
        let stretched = |tokens: usize, factor: f64| (tokens as f64 * factor) as usize;
        match self.architecture.rope_scaling {
            RopeScaling::Dynamic { factor } => declared.max(stretched(declared, factor)),
            RopeScaling::Yarn {
                factor,
                original_max_position_embeddings: original,
                ..
            } => declared.max(stretched(original, factor)),
            _ => declared,
        }
    }

    /// Whether a text of so many tokens is the first that other wavelengths than those of shorter ones are for: keys
    /// that were turned before are no longer right.
    pub(crate) fn outgrows(&self, tokens: usize) -> bool {
        match self.architecture.rope_scaling {
            RopeScaling::LongRope {
                original_max_position_embeddings: original,
                ..
            } => tokens.checked_sub(1) == Some(original),
            _ => false,
        }
    }

    /// The longest sequence that means the same beside any others in a batch: where rotary wavelengths depend on
    /// the length of a text ([`RopeScaling::LongRope`], [`RopeScaling::Dynamic`]), the one up to which they stay.
    ///
    /// Teachers and students are trained, asked and evaluated in batches of unequal texts, and read no longer ones.
    pub fn max_batched_tokens(&self) -> usize {
        match self.architecture.rope_scaling {
            RopeScaling::LongRope {
                original_max_position_embeddings: original,
                ..
            } => original.min(self.max_position_embeddings),
            RopeScaling::Dynamic { .. } => self.max_position_embeddings,
            _ => self.max_sequence_tokens(),
        }
    }

    /// [`num_parameters`](Self::num_parameters) of sizes whose product may not fit an integer.
    fn approximate_parameters(&self) -> f64 {
        let elements = |weight: Weight| -> f64 {
            let shape = weight.shape(self).into_iter();
            shape.map(|size| size as f64).product()
        };
        // Layers of one size are counted once: there may be as many as a damaged file says.
        let different = match self.architecture.layer_sizes.len() {
            0 => 1,
            different => different,
        };
        let of_layer = |index| -> f64 { Weight::of_layer(self, index).map(elements).sum() };
        let layers: f64 = (0..different).map(of_layer).sum();
        let each = self.num_hidden_layers as f64 / different as f64;
        2.0 * elements(Weight::Embedding) + each * layers
    }

    /// Number of trainable parameters; a tied embedding counts once.
    pub fn num_parameters(&self) -> usize {
        Weight::all(self)
            .into_iter()
            .map(|weight| weight.shape(self).iter().product::<usize>())
            .sum()
    }

    /// The sizes of the layer at `index`, counted from 0: its own, or those that all layers have.
    pub fn layer_sizes(&self, index: usize) -> LayerSizes {
        let own = self.architecture.layer_sizes.get(index).copied();
        own.unwrap_or(LayerSizes {
            intermediate_size: self.intermediate_size,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
        })
    }

    /// The sizes of every layer, from the first to the last.
    pub fn all_layer_sizes(&self) -> impl Iterator<Item = LayerSizes> + '_ {
        (0..self.num_hidden_layers).map(|index| self.layer_sizes(index))
    }

    fn sizes(&self) -> [(&'static str, usize); 8] {
        [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sound() -> DecoderConfig {
        DecoderConfig {
            vocab_size: 32,
            hidden_size: 16,
            intermediate_size: 40,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 4,
            max_position_embeddings: 64,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            tie_word_embeddings: false,
            initializer_range: 0.02,
            architecture: Architecture::default(),
        }
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let broken = DecoderConfig {
            vocab_size: 0,
            num_key_value_heads: 3,
            head_dim: 5,
            rope_theta: -1.0,
            initializer_range: f64::NAN,
            ..sound()
        };
        let message = broken.validate().unwrap_err().to_string();
        for part in [
            "vocab_size is 0",
            "num_attention_heads is 4, expected a multiple of num_key_value_heads (3)",
            "head_dim is 5",
            "rope_theta is -1",
            "initializer_range is NaN",
        ] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[test]
    fn a_configuration_survives_json() {
        let text = serde_json::to_string(&sound()).unwrap();
        assert_eq!(
            serde_json::from_str::<DecoderConfig>(&text).unwrap(),
            sound()
        );
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut fields = serde_json::to_value(sound()).unwrap();
        fields["hiden_size"] = 16.into();
        let error = serde_json::from_value::<DecoderConfig>(fields).unwrap_err();
        assert!(error.to_string().contains("hiden_size"));
    }
}
