//! Llama: `"model_type": "llama"`.
//!
//! Covers the original models and the many that share their layout (SmolLM, TinyLlama ...).
//! `torch_dtype` and `dtype` are not read: each tensor states its own type.

use serde_json::{Value, json};

use super::standard::{self, Expected};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    let only = [
        ("hidden_act", json!("silu")),
        ("sliding_window", Value::Null),
        ("use_sliding_window", json!(false)),
        ("final_logit_softcapping", Value::Null),
        ("attn_logit_softcapping", Value::Null),
    ];
    let expected = Expected {
        only: &only,
        ..Expected::default()
    };
    let mut decoder = standard::decoder_config(config, &expected)?;
    standard::refuse_sliding_layers(config, decoder.num_hidden_layers)?;
    decoder.architecture.biases = standard::all_biases(config)?;
    Ok(decoder)
}

pub(super) fn further_fields(config: &DecoderConfig) -> Value {
    json!({ "mlp_bias": config.architecture.biases.feed_forward })
}
