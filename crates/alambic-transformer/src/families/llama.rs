//! The Llama family: `"model_type": "llama"`.
//!
//! Covers the original models and the many that share their layout (SmolLM, TinyLlama ...).
//! `torch_dtype` and `dtype` are not read: each tensor states its own type.

use serde_json::{Map, Value, json};

use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;
use crate::weights::{LayerWeight, Weight};

pub(super) const MODEL_TYPE: &str = "llama";

/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_ROPE_THETA: f64 = 10_000.0;
/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_INITIALIZER_RANGE: f64 = 0.02;

/// Settings that must be absent, null or exactly this, because nothing else is computed.
fn only_supported() -> [(&'static str, Value); 9] {
    [
        ("hidden_act", json!("silu")),
        ("attention_bias", json!(false)),
        ("mlp_bias", json!(false)),
        ("partial_rotary_factor", json!(1.0)),
        ("sliding_window", Value::Null),
        ("use_sliding_window", json!(false)),
        ("quantization_config", Value::Null),
        ("final_logit_softcapping", Value::Null),
        ("attn_logit_softcapping", Value::Null),
    ]
}

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    for (field, only) in only_supported() {
        config.refuse_other_than(field, &only)?;
    }
    refuse_mixed_layers(config)?;
    let hidden_size = config.required_usize("hidden_size")?;
    let num_attention_heads = config.required_usize("num_attention_heads")?;
    let head_dim = match config.optional_usize("head_dim")? {
        Some(head_dim) => head_dim,
        None => head_dim_from_width(config, hidden_size, num_attention_heads)?,
    };
    let decoder = DecoderConfig {
        vocab_size: config.required_usize("vocab_size")?,
        hidden_size,
        intermediate_size: config.required_usize("intermediate_size")?,
        num_hidden_layers: config.required_usize("num_hidden_layers")?,
        num_attention_heads,
        num_key_value_heads: config
            .optional_usize("num_key_value_heads")?
            .unwrap_or(num_attention_heads),
        head_dim,
        max_position_embeddings: config.required_usize("max_position_embeddings")?,
        rms_norm_eps: config.required_f64("rms_norm_eps")?,
        rope_theta: rope_theta(config)?,
        tie_word_embeddings: config
            .optional_bool("tie_word_embeddings")?
            .unwrap_or(false),
        initializer_range: config
            .optional_f64("initializer_range")?
            .unwrap_or(DEFAULT_INITIALIZER_RANGE),
    };
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

fn refuse_mixed_layers(config: &ConfigFile) -> Result<(), TransformerError> {
    let full = json!("full_attention");
    match config.get("layer_types") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(kinds)) if kinds.iter().all(|kind| *kind == full) => Ok(()),
        Some(_) => Err(config.unsupported("layer_types", "\"full_attention\" in every layer")),
    }
}

/// The base of the rotary wavelengths in either spelling; scaled variants are refused by name.
fn rope_theta(config: &ConfigFile) -> Result<f64, TransformerError> {
    for object in ["rope_scaling", "rope_parameters"] {
        for key in ["rope_type", "type"] {
            config.refuse_other_than(&format!("{object}.{key}"), &json!("default"))?;
        }
        config.refuse_other_than(&format!("{object}.partial_rotary_factor"), &json!(1.0))?;
    }
    let top = config.optional_f64("rope_theta")?;
    let nested = config.optional_f64("rope_parameters.rope_theta")?;
    match (top, nested) {
        (Some(top), Some(nested)) if top != nested => Err(config.wrong_field(
            "rope_theta",
            &format!("{nested}, as `rope_parameters.rope_theta` says"),
        )),
        (Some(theta), _) | (None, Some(theta)) => Ok(theta),
        (None, None) => Ok(DEFAULT_ROPE_THETA),
    }
}

pub(super) fn tensor_name(weight: Weight) -> String {
    match weight {
        Weight::Embedding => "model.embed_tokens.weight".to_string(),
        Weight::FinalNorm => "model.norm.weight".to_string(),
        Weight::Head => "lm_head.weight".to_string(),
        Weight::Layer { index, part } => {
            let part = match part {
                LayerWeight::AttentionNorm => "input_layernorm",
                LayerWeight::Query => "self_attn.q_proj",
                LayerWeight::Key => "self_attn.k_proj",
                LayerWeight::Value => "self_attn.v_proj",
                LayerWeight::Output => "self_attn.o_proj",
                LayerWeight::FeedForwardNorm => "post_attention_layernorm",
                LayerWeight::Gate => "mlp.gate_proj",
                LayerWeight::Up => "mlp.up_proj",
                LayerWeight::Down => "mlp.down_proj",
            };
            format!("model.layers.{index}.{part}.weight")
        }
    }
}

/// Old checkpoints store the rotary frequencies; the decoder computes them.
pub(super) fn ignores(tensor_name: &str) -> bool {
    tensor_name.ends_with("rotary_emb.inv_freq")
}

/// The fields of `config.json` that [`decoder_config`] reads back to the same configuration.
pub(super) fn config_fields(config: &DecoderConfig) -> Map<String, Value> {
    let fields = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": MODEL_TYPE,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "rope_parameters": { "rope_theta": config.rope_theta, "rope_type": "default" },
        "hidden_act": "silu",
        "attention_bias": false,
        "attention_dropout": 0.0,
        "mlp_bias": false,
        "tie_word_embeddings": config.tie_word_embeddings,
        "initializer_range": config.initializer_range,
        "use_cache": true,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => unreachable!("the literal above is an object"),
    }
}
