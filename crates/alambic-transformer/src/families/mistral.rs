//! Mistral: `"model_type": "mistral"`; Llama with a sliding window in every layer, in its first version.

use serde_json::{Value, json};

use super::standard::{self, Expected, rotating_layers};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;

/// What Hugging Face assumes where `config.json` does not name a window; null means none.
const DEFAULT_SLIDING_WINDOW: usize = 4096;

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    let only = [
        ("hidden_act", json!("silu")),
        ("attention_bias", json!(false)),
        ("layer_types", Value::Null),
    ];
    let expected = Expected {
        only: &only,
        ..Expected::default()
    };
    let mut decoder = standard::decoder_config(config, &expected)?;
    let window = match config.get("sliding_window") {
        None => Some(DEFAULT_SLIDING_WINDOW),
        Some(_) => config.optional_usize("sliding_window")?,
    };
    decoder.architecture.sliding_window = window;
    let slides = vec![window.is_some(); decoder.num_hidden_layers];
    decoder.architecture.layer_kinds = rotating_layers(slides);
    Ok(decoder)
}

pub(super) fn further_fields(config: &DecoderConfig) -> Value {
    json!({ "sliding_window": config.architecture.sliding_window })
}
