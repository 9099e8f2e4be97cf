//! GPT-2: `"model_type": "gpt2"`.
//!
//! Layer norms with biases, learned positions, one tensor for queries, keys and values, and matrices that are
//! stored as they multiply: `[inputs, outputs]`. The original files leave out the prefix of all names.

use serde_json::{Map, Value, json};

use super::standard::object;
use super::{Part, TensorPlace};
use crate::architecture::{Architecture, Biases, FeedForwardKind, LayerKind, NormKind};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;
use crate::weights::{LayerWeight, Weight};

/// Before the name of every tensor.
pub(super) const PREFIX: &str = "transformer.";

/// What nothing turns by.
const UNUSED_THETA: f64 = 10_000.0;

/// Settings that must be absent, null or exactly this, because nothing else is computed.
fn only_supported() -> [(&'static str, Value); 6] {
    [
        ("activation_function", json!("gelu_new")),
        ("scale_attn_weights", json!(true)),
        ("scale_attn_by_inverse_layer_idx", json!(false)),
        ("reorder_and_upcast_attn", json!(false)),
        ("add_cross_attention", json!(false)),
        ("quantization_config", Value::Null),
    ]
}

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    for (field, only) in only_supported() {
        config.refuse_other_than(field, &only)?;
    }
    let hidden_size = config.required_usize("n_embd")?;
    let num_attention_heads = config.required_usize("n_head")?;
    let num_hidden_layers = config.required_usize("n_layer")?;
    let head_dim = match hidden_size.checked_rem(num_attention_heads) {
        Some(0) => hidden_size / num_attention_heads,
        _ => return Err(config.wrong_field("n_embd", "a multiple of `n_head`")),
    };
    let inner = config.optional_usize("n_inner")?;
    let standing = LayerKind {
        slides: false,
        rotates: false,
    };
    Ok(DecoderConfig {
        vocab_size: config.required_usize("vocab_size")?,
        hidden_size,
        intermediate_size: inner.unwrap_or_else(|| hidden_size.saturating_mul(4)),
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads: num_attention_heads,
        head_dim,
        max_position_embeddings: config.required_usize("n_positions")?,
        rms_norm_eps: config.required_f64("layer_norm_epsilon")?,
        rope_theta: UNUSED_THETA,
        tie_word_embeddings: config.optional_bool("tie_word_embeddings")?.unwrap_or(true),
        initializer_range: config.optional_f64("initializer_range")?.unwrap_or(0.02),
        architecture: Architecture {
            norm: NormKind::Layer,
            biases: Biases {
                query_key_value: true,
                attention_output: true,
                feed_forward: true,
            },
            feed_forward: FeedForwardKind::GeluTanh,
            learned_positions: true,
            // One that claims more layers than any decoder has is refused later.
            layer_kinds: vec![standing; num_hidden_layers.min(10_000)],
            ..Architecture::default()
        },
    })
}

pub(super) fn place(weight: Weight, config: &DecoderConfig) -> TensorPlace {
    let whole = |name: &str| TensorPlace::whole(format!("{PREFIX}{name}"));
    let (index, part) = match weight {
        Weight::Embedding => return whole("wte.weight"),
        Weight::Positions => return whole("wpe.weight"),
        Weight::FinalNorm => return whole("ln_f.weight"),
        Weight::FinalNormBias => return whole("ln_f.bias"),
        Weight::Head => return TensorPlace::whole("lm_head.weight".to_owned()),
        Weight::Layer { index, part } => (index, part),
    };
    let sizes = config.layer_sizes(index);
    let queries = sizes.num_attention_heads * config.head_dim;
    let key_values = sizes.num_key_value_heads * config.head_dim;
    let (of_keys, of_values) = (queries, queries + key_values);
    let (tensor, start) = match part {
        LayerWeight::AttentionNorm => ("ln_1.weight", None),
        LayerWeight::AttentionNormBias => ("ln_1.bias", None),
        LayerWeight::Query => ("attn.c_attn.weight", Some(0)),
        LayerWeight::QueryBias => ("attn.c_attn.bias", Some(0)),
        LayerWeight::Key => ("attn.c_attn.weight", Some(of_keys)),
        LayerWeight::KeyBias => ("attn.c_attn.bias", Some(of_keys)),
        LayerWeight::Value => ("attn.c_attn.weight", Some(of_values)),
        LayerWeight::ValueBias => ("attn.c_attn.bias", Some(of_values)),
        LayerWeight::Output => ("attn.c_proj.weight", None),
        LayerWeight::OutputBias => ("attn.c_proj.bias", None),
        LayerWeight::FeedForwardNorm => ("ln_2.weight", None),
        LayerWeight::FeedForwardNormBias => ("ln_2.bias", None),
        LayerWeight::Up => ("mlp.c_fc.weight", None),
        LayerWeight::UpBias => ("mlp.c_fc.bias", None),
        LayerWeight::Down => ("mlp.c_proj.weight", None),
        LayerWeight::DownBias => ("mlp.c_proj.bias", None),
        // What the architecture does not have.
        LayerWeight::QueryNorm => ("attn.q_norm.weight", None),
        LayerWeight::KeyNorm => ("attn.k_norm.weight", None),
        LayerWeight::AttentionOutputNorm => ("attn.norm.weight", None),
        LayerWeight::Gate => ("mlp.gate.weight", None),
        LayerWeight::GateBias => ("mlp.gate.bias", None),
        LayerWeight::FeedForwardOutputNorm => ("mlp.norm.weight", None),
    };
    TensorPlace {
        name: format!("{PREFIX}h.{index}.{tensor}"),
        inputs_first: weight.shape(config).len() == 2,
        part: start.map(|start| Part {
            start,
            total: queries + 2 * key_values,
        }),
    }
}

/// Masks that old files store beside the weights.
pub(super) fn ignores(tensor_name: &str) -> bool {
    tensor_name.ends_with(".attn.bias") || tensor_name.ends_with(".attn.masked_bias")
}

pub(super) fn config_fields(config: &DecoderConfig) -> Map<String, Value> {
    object(json!({
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_head": config.num_attention_heads,
        "n_layer": config.num_hidden_layers,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_position_embeddings,
        "n_ctx": config.max_position_embeddings,
        "layer_norm_epsilon": config.rms_norm_eps,
        "activation_function": "gelu_new",
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "scale_attn_weights": true,
        "scale_attn_by_inverse_layer_idx": false,
        "reorder_and_upcast_attn": false,
        "tie_word_embeddings": config.tie_word_embeddings,
        "initializer_range": config.initializer_range,
        "use_cache": true,
    }))
}
