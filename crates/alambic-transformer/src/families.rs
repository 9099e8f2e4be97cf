//! Model families: how the files of each name what the decoder computes.
//!
//! A family is a Hugging Face `model_type`. To add one, write a file beside the others that maps its
//! `config.json` to a [`DecoderConfig`] and back, and each [`Weight`] to its tensor, and add a variant
//! here. What a family computes differently becomes a field of [`Architecture`](crate::Architecture) first.

mod gemma;
mod gpt2;
mod granite;
mod llama;
mod mistral;
mod olmo2;
mod olmo3;
mod phi3;
mod qwen;
mod rope;
mod smollm3;
mod standard;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::architecture::LayerSizes;
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;
use crate::weights::Weight;

/// The families whose checkpoints can be read and written, by their `model_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Family {
    /// Llama 2 and 3, and the many models that share their layout (SmolLM, TinyLlama ...).
    #[serde(rename = "llama")]
    Llama,
    /// Mistral.
    #[serde(rename = "mistral")]
    Mistral,
    /// Qwen2 and Qwen2.5.
    #[serde(rename = "qwen2")]
    Qwen2,
    /// Qwen3 (dense).
    #[serde(rename = "qwen3")]
    Qwen3,
    /// Phi-3 and Phi-4 (dense).
    #[serde(rename = "phi3")]
    Phi3,
    /// SmolLM3.
    #[serde(rename = "smollm3")]
    SmolLm3,
    /// Gemma 2.
    #[serde(rename = "gemma2")]
    Gemma2,
    /// Gemma 3, its text model.
    #[serde(rename = "gemma3_text")]
    Gemma3,
    /// OLMo 2.
    #[serde(rename = "olmo2")]
    Olmo2,
    /// OLMo 3.
    #[serde(rename = "olmo3")]
    Olmo3,
    /// Granite 3 (dense).
    #[serde(rename = "granite")]
    Granite,
    /// GPT-2.
    #[serde(rename = "gpt2")]
    Gpt2,
}

/// Where the numbers of a weight are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorPlace {
    /// The tensor's name.
    pub(crate) name: String,
    /// Whether its matrix is `[inputs, outputs]` rather than `[outputs, inputs]`.
    pub(crate) inputs_first: bool,
    /// Which of the tensor's outputs are the weight's; `None` if they are all.
    pub(crate) part: Option<Part>,
}

/// Some of the outputs of a tensor that several weights share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) start: usize,
    pub(crate) total: usize,
}

impl TensorPlace {
    /// A tensor of its own, laid out as the decoder's weights are by name.
    pub(crate) fn whole(name: String) -> Self {
        Self {
            name,
            inputs_first: false,
            part: None,
        }
    }

    /// The tensor's shape, of a weight of this shape.
    pub(crate) fn tensor_shape(&self, weight_shape: &[usize]) -> Vec<usize> {
        let mut shape = weight_shape.to_vec();
        if let Some(part) = self.part {
            shape[0] = part.total;
        }
        if self.inputs_first {
            shape.reverse();
        }
        shape
    }
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Llama,
        Self::Mistral,
        Self::Qwen2,
        Self::Qwen3,
        Self::Phi3,
        Self::SmolLm3,
        Self::Gemma2,
        Self::Gemma3,
        Self::Olmo2,
        Self::Olmo3,
        Self::Granite,
        Self::Gpt2,
    ];

    /// The `model_type` of its `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Phi3 => "phi3",
            Self::SmolLm3 => "smollm3",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3_text",
            Self::Olmo2 => "olmo2",
            Self::Olmo3 => "olmo3",
            Self::Granite => "granite",
            Self::Gpt2 => "gpt2",
        }
    }

    /// The class that `architectures` names.
    fn class(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Mistral => "MistralForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Phi3 => "Phi3ForCausalLM",
            Self::SmolLm3 => "SmolLM3ForCausalLM",
            Self::Gemma2 => "Gemma2ForCausalLM",
            Self::Gemma3 => "Gemma3ForCausalLM",
            Self::Olmo2 => "Olmo2ForCausalLM",
            Self::Olmo3 => "Olmo3ForCausalLM",
            Self::Granite => "GraniteForCausalLM",
            Self::Gpt2 => "GPT2LMHeadModel",
        }
    }

    /// The family that `config.json` names.
    pub(crate) fn of(config: &ConfigFile) -> Result<Self, TransformerError> {
        let model_type = config.required_str("model_type")?;
        let named = |family: &Self| family.model_type() == model_type;
        Self::ALL.into_iter().find(named).ok_or_else(|| {
            let supported = Self::ALL.map(|family| format!("{:?}", family.model_type()));
            config.unsupported("model_type", &supported.join(", "))
        })
    }

    /// Reads the sizes and constants, and refuses every setting that is not computed.
    pub(crate) fn decoder_config(
        self,
        config: &ConfigFile,
    ) -> Result<DecoderConfig, TransformerError> {
        let mut decoder = match self {
            Self::Llama => llama::decoder_config(config),
            Self::Mistral => mistral::decoder_config(config),
            Self::Qwen2 => qwen::decoder_config(config, qwen::Version::Two),
            Self::Qwen3 => qwen::decoder_config(config, qwen::Version::Three),
            Self::Phi3 => phi3::decoder_config(config),
            Self::SmolLm3 => smollm3::decoder_config(config),
            Self::Gemma2 => gemma::decoder_config(config, gemma::Version::Two),
            Self::Gemma3 => gemma::decoder_config(config, gemma::Version::Three),
            Self::Olmo2 => olmo2::decoder_config(config),
            Self::Olmo3 => olmo3::decoder_config(config),
            Self::Granite => granite::decoder_config(config),
            Self::Gpt2 => gpt2::decoder_config(config),
        }?;
        decoder.architecture.family = self;
        decoder.architecture.layer_sizes = layer_sizes(config, decoder.num_hidden_layers)?;
        decoder.architecture = decoder.architecture.of_width(decoder.hidden_size);
        decoder.validate()?;
        Ok(decoder)
    }

    /// Where a weight is stored.
    pub(crate) fn place(self, weight: Weight, config: &DecoderConfig) -> TensorPlace {
        match self {
            Self::Phi3 => phi3::place(weight, config),
            Self::Gpt2 => gpt2::place(weight, config),
            _ => TensorPlace::whole(standard::tensor_name(weight, config)),
        }
    }

    /// What some of the family's files leave out before every tensor's name.
    pub(crate) fn optional_prefix(self) -> Option<&'static str> {
        match self {
            Self::Gpt2 => Some(gpt2::PREFIX),
            _ => None,
        }
    }

    /// The fields of `config.json` that describe a decoder in this family's terms.
    pub(crate) fn config_fields(self, config: &DecoderConfig) -> Map<String, Value> {
        let mut fields = match self {
            Self::Gpt2 => gpt2::config_fields(config),
            _ => standard::config_fields(config),
        };
        let further = match self {
            Self::Llama => llama::further_fields(config),
            Self::Mistral => mistral::further_fields(config),
            Self::Qwen2 | Self::Qwen3 => qwen::further_fields(config),
            Self::Phi3 => phi3::further_fields(config),
            Self::SmolLm3 => smollm3::further_fields(config),
            Self::Gemma2 => gemma::further_fields(config, gemma::Version::Two),
            Self::Gemma3 => gemma::further_fields(config, gemma::Version::Three),
            Self::Olmo3 => olmo3::further_fields(config),
            Self::Granite => granite::further_fields(config),
            Self::Olmo2 | Self::Gpt2 => Value::Null,
        };
        if let Value::Object(further) = further {
            fields.extend(further);
        }
        let sizes = &config.architecture.layer_sizes;
        if !sizes.is_empty() {
            fields.insert(LAYER_SIZES.to_owned(), serde_json::json!(sizes));
        }
        fields.insert("model_type".to_owned(), self.model_type().into());
        fields.insert("architectures".to_owned(), vec![self.class()].into());
        fields
    }

    /// Whether a tensor is known to hold nothing that the decoder does not compute itself.
    pub(crate) fn ignores(self, tensor_name: &str) -> bool {
        match self {
            Self::Gpt2 => gpt2::ignores(tensor_name),
            _ => standard::ignores(tensor_name),
        }
    }
}

/// Alambic's own field for layers of unlike sizes, which no family knows; other readers find weights of other shapes
/// than they expect, and refuse them.
const LAYER_SIZES: &str = "layer_sizes";

fn layer_sizes(
    config: &ConfigFile,
    num_layers: usize,
) -> Result<Vec<LayerSizes>, TransformerError> {
    let expected =
        "sizes (intermediate_size, num_attention_heads, num_key_value_heads) for each layer";
    let sizes = config.optional_list(LAYER_SIZES, num_layers, expected, |sizes| {
        serde_json::from_value(sizes.clone()).ok()
    });
    Ok(sizes?.unwrap_or_default())
}
