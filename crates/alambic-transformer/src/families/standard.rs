//! What most families have in common: Llama's names of sizes and tensors.

use serde_json::{Map, Value, json};

use super::rope::{self, Rope};
use crate::architecture::{Architecture, Biases, LayerKind, NormPlacement};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;
use crate::weights::{LayerWeight, Weight};

/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_INITIALIZER_RANGE: f64 = 0.02;
/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_ROPE_THETA: f64 = 10_000.0;

/// What a family assumes where `config.json` says nothing, and what else it must say.
pub(super) struct Expected<'a> {
    /// Whether the head is the embedding.
    pub(super) tie_word_embeddings: bool,
    /// Base of the rotary wavelengths; `None` if it must be given.
    pub(super) rope_theta: Option<f64>,
    /// The length of the first training's texts, where it is read beside the sizes and nowhere else.
    pub(super) original_positions: Option<usize>,
    /// Head width where `config.json` does not give it; `None` for an equal share of the width.
    pub(super) head_dim: Option<usize>,
    /// Whether the reference implementation turns a part of a head, where `config.json` says so.
    pub(super) may_rotate_partly: bool,
    /// Settings that must be absent, null or exactly this, because nothing else is computed.
    pub(super) only: &'a [(&'a str, Value)],
}

impl Default for Expected<'_> {
    fn default() -> Self {
        Self {
            tie_word_embeddings: false,
            rope_theta: Some(DEFAULT_ROPE_THETA),
            original_positions: None,
            head_dim: None,
            may_rotate_partly: false,
            only: &[],
        }
    }
}

/// Reads sizes and rotary positions; the rest is that of Llama.
pub(super) fn decoder_config(
    config: &ConfigFile,
    expected: &Expected<'_>,
) -> Result<DecoderConfig, TransformerError> {
    let max_positions = config.required_usize("max_position_embeddings")?;
    let rope = Rope::read(config, max_positions, expected)?;
    let mut decoder = sizes(config, expected, max_positions, rope.theta)?;
    decoder.architecture.rope_scaling = rope.scaling;
    if expected.may_rotate_partly {
        decoder.architecture.rotary_dim = rope::rotary_dim(config, decoder.head_dim)?;
    } else {
        rope::refuse_partial(config, &["rope_parameters", "rope_scaling"])?;
    }
    Ok(decoder)
}

/// Reads sizes and the rotary positions of layers that do not slide, where those that do have others, whose
/// wavelengths nothing stretches.
pub(super) fn config_of_two_bases(
    config: &ConfigFile,
    expected: &Expected<'_>,
) -> Result<DecoderConfig, TransformerError> {
    let max_positions = config.required_usize("max_position_embeddings")?;
    let objects = [rope::OF_ALL, "rope_scaling"];
    let theta = rope::theta(config, "rope_theta", &objects, expected.rope_theta)?;
    let mut decoder = sizes(config, expected, max_positions, theta)?;
    for key in ["rope_type", "type"] {
        config.refuse_other_than(&format!("{}.{key}", rope::OF_SLIDING), &json!("default"))?;
    }
    rope::refuse_partial(config, &[rope::OF_ALL, rope::OF_SLIDING, "rope_scaling"])?;
    decoder.architecture.rope_scaling =
        rope::agreed_scaling(config, &objects, max_positions, expected.original_positions)?;
    Ok(decoder)
}

/// `rope_parameters` of both kinds of layers.
pub(super) fn fields_of_two_bases(config: &DecoderConfig) -> Map<String, Value> {
    let theta = config.architecture.sliding_rope_theta;
    let theta = theta.unwrap_or(config.rope_theta);
    object(json!({
        "rope_parameters": {
            "full_attention": rope::fields(config).remove("rope_parameters"),
            "sliding_attention": { "rope_type": "default", "rope_theta": theta },
        },
    }))
}

/// Reads sizes only.
fn sizes(
    config: &ConfigFile,
    expected: &Expected<'_>,
    max_position_embeddings: usize,
    rope_theta: f64,
) -> Result<DecoderConfig, TransformerError> {
    config.refuse_other_than("quantization_config", &Value::Null)?;
    for (field, only) in expected.only {
        config.refuse_other_than(field, only)?;
    }
    let hidden_size = config.required_usize("hidden_size")?;
    let num_attention_heads = config.required_usize("num_attention_heads")?;
    let decoder = DecoderConfig {
        vocab_size: config.required_usize("vocab_size")?,
        hidden_size,
        intermediate_size: config.required_usize("intermediate_size")?,
        num_hidden_layers: config.required_usize("num_hidden_layers")?,
        num_attention_heads,
        num_key_value_heads: config
            .optional_usize("num_key_value_heads")?
            .unwrap_or(num_attention_heads),
        head_dim: match config.optional_usize("head_dim")?.or(expected.head_dim) {
            Some(head_dim) => head_dim,
            None => head_dim_from_width(config, hidden_size, num_attention_heads)?,
        },
        max_position_embeddings,
        rms_norm_eps: config.required_f64("rms_norm_eps")?,
        rope_theta,
        tie_word_embeddings: config
            .optional_bool("tie_word_embeddings")?
            .unwrap_or(expected.tie_word_embeddings),
        initializer_range: config
            .optional_f64("initializer_range")?
            .unwrap_or(DEFAULT_INITIALIZER_RANGE),
        architecture: Architecture::default(),
    };
    // Before anything is made for each layer.
    decoder.validate()?;
    Ok(decoder)
}

fn head_dim_from_width(
    config: &ConfigFile,
    hidden_size: usize,
    num_attention_heads: usize,
) -> Result<usize, TransformerError> {
    match hidden_size.checked_rem(num_attention_heads) {
        Some(0) => Ok(hidden_size / num_attention_heads),
        _ => Err(config.wrong_field(
            "hidden_size",
            "a multiple of `num_attention_heads`, since `head_dim` is absent",
        )),
    }
}

/// The biases of a family whose `attention_bias` is that of all four projections of attention.
pub(super) fn attention_biases(config: &ConfigFile) -> Result<Biases, TransformerError> {
    let attention = config.optional_bool("attention_bias")?.unwrap_or(false);
    Ok(Biases {
        query_key_value: attention,
        attention_output: attention,
        feed_forward: false,
    })
}

/// The same with `mlp_bias`.
pub(super) fn all_biases(config: &ConfigFile) -> Result<Biases, TransformerError> {
    Ok(Biases {
        feed_forward: config.optional_bool("mlp_bias")?.unwrap_or(false),
        ..attention_biases(config)?
    })
}

/// Which layers slide: those that `layer_types` names, or else those that `default` does.
pub(super) fn sliding_layers(
    config: &ConfigFile,
    num_layers: usize,
    default: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, TransformerError> {
    let expected =
        format!("\"full_attention\" or \"sliding_attention\" for each of {num_layers} layers");
    let named = config.optional_list("layer_types", num_layers, &expected, |kind| {
        match kind.as_str()? {
            "full_attention" => Some(false),
            "sliding_attention" => Some(true),
            _ => None,
        }
    })?;
    Ok(named.unwrap_or_else(|| (0..num_layers).map(default).collect()))
}

/// Refuses layers of which some slide, in a family that has none.
pub(super) fn refuse_sliding_layers(
    config: &ConfigFile,
    num_layers: usize,
) -> Result<(), TransformerError> {
    match sliding_layers(config, num_layers, |_| false)?.contains(&true) {
        false => Ok(()),
        true => Err(config.unsupported("layer_types", "\"full_attention\" in every layer")),
    }
}

/// Layers that all turn, and of which some slide; none, if none slides.
pub(super) fn rotating_layers(slides: Vec<bool>) -> Vec<LayerKind> {
    if !slides.contains(&true) {
        return Vec::new();
    }
    let kind = |slides| LayerKind {
        slides,
        rotates: true,
    };
    slides.into_iter().map(kind).collect()
}

/// `layer_types` of a decoder.
pub(super) fn layer_types(config: &DecoderConfig) -> Value {
    let kinds = (0..config.num_hidden_layers).map(|layer| {
        match config.architecture.layer_kind(layer).slides {
            true => "sliding_attention",
            false => "full_attention",
        }
    });
    kinds.collect()
}

/// The name of a weight's tensor.
pub(super) fn tensor_name(weight: Weight, config: &DecoderConfig) -> String {
    match weight {
        Weight::Embedding => "model.embed_tokens.weight".to_owned(),
        Weight::Positions => "model.embed_positions.weight".to_owned(),
        Weight::FinalNorm => "model.norm.weight".to_owned(),
        Weight::FinalNormBias => "model.norm.bias".to_owned(),
        Weight::Head => "lm_head.weight".to_owned(),
        Weight::Layer { index, part } => {
            let part = layer_tensor(part, config.architecture.norm_placement);
            format!("model.layers.{index}.{part}")
        }
    }
}

fn layer_tensor(part: LayerWeight, placement: NormPlacement) -> &'static str {
    match part {
        LayerWeight::AttentionNorm => "input_layernorm.weight",
        LayerWeight::AttentionNormBias => "input_layernorm.bias",
        LayerWeight::Query => "self_attn.q_proj.weight",
        LayerWeight::QueryBias => "self_attn.q_proj.bias",
        LayerWeight::Key => "self_attn.k_proj.weight",
        LayerWeight::KeyBias => "self_attn.k_proj.bias",
        LayerWeight::Value => "self_attn.v_proj.weight",
        LayerWeight::ValueBias => "self_attn.v_proj.bias",
        LayerWeight::QueryNorm => "self_attn.q_norm.weight",
        LayerWeight::KeyNorm => "self_attn.k_norm.weight",
        LayerWeight::Output => "self_attn.o_proj.weight",
        LayerWeight::OutputBias => "self_attn.o_proj.bias",
        LayerWeight::AttentionOutputNorm => "post_attention_layernorm.weight",
        // Where nothing is normed behind attention, its name serves the norm before feed-forward.
        LayerWeight::FeedForwardNorm => match placement {
            NormPlacement::Before => "post_attention_layernorm.weight",
            NormPlacement::After | NormPlacement::Around => "pre_feedforward_layernorm.weight",
        },
        LayerWeight::FeedForwardNormBias => match placement {
            NormPlacement::Before => "post_attention_layernorm.bias",
            NormPlacement::After | NormPlacement::Around => "pre_feedforward_layernorm.bias",
        },
        LayerWeight::FeedForwardOutputNorm => "post_feedforward_layernorm.weight",
        LayerWeight::Gate => "mlp.gate_proj.weight",
        LayerWeight::GateBias => "mlp.gate_proj.bias",
        LayerWeight::Up => "mlp.up_proj.weight",
        LayerWeight::UpBias => "mlp.up_proj.bias",
        LayerWeight::Down => "mlp.down_proj.weight",
        LayerWeight::DownBias => "mlp.down_proj.bias",
    }
}

/// Old checkpoints store the rotary frequencies; the decoder computes them.
pub(super) fn ignores(tensor_name: &str) -> bool {
    tensor_name.ends_with("rotary_emb.inv_freq")
}

/// The sizes and rotary positions, as [`decoder_config`] reads them.
pub(super) fn config_fields(config: &DecoderConfig) -> Map<String, Value> {
    let mut fields = object(json!({
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps,
        "hidden_act": "silu",
        "attention_bias": config.architecture.biases.query_key_value,
        "attention_dropout": 0.0,
        "tie_word_embeddings": config.tie_word_embeddings,
        "initializer_range": config.initializer_range,
        "use_cache": true,
    }));
    fields.extend(rope::fields(config));
    fields
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("a literal of an object"),
    }
}
