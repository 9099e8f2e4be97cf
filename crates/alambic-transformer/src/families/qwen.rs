//! Qwen2 and Qwen3: `"model_type": "qwen2"` and `"qwen3"`.
//!
//! The former has biases of queries, keys and values; the latter norms queries and keys head by head.

use serde_json::{Value, json};

use super::standard::{self, Expected, rotating_layers, sliding_layers};
use crate::architecture::QueryKeyNorm;
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;

/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_HEAD_DIM: usize = 128;
const DEFAULT_MAX_WINDOW_LAYERS: usize = 28;
const DEFAULT_SLIDING_WINDOW: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Two,
    Three,
}

pub(super) fn decoder_config(
    config: &ConfigFile,
    version: Version,
) -> Result<DecoderConfig, TransformerError> {
    let only = [("hidden_act", json!("silu"))];
    let expected = Expected {
        head_dim: match version {
            Version::Two => None,
            Version::Three => Some(DEFAULT_HEAD_DIM),
        },
        only: &only,
        ..Expected::default()
    };
    let mut decoder = standard::decoder_config(config, &expected)?;
    let architecture = &mut decoder.architecture;
    match version {
        Version::Two => architecture.biases.query_key_value = true,
        Version::Three => {
            architecture.query_key_norm = Some(QueryKeyNorm::PerHead);
            architecture.biases = standard::attention_biases(config)?;
        }
    }
    let may_slide = config.optional_bool("use_sliding_window")?.unwrap_or(false);
    let window = match config.get("sliding_window") {
        None => Some(DEFAULT_SLIDING_WINDOW),
        Some(_) => config.optional_usize("sliding_window")?,
    };
    let window = window.filter(|_| may_slide);
    let first = config.optional_usize("max_window_layers")?;
    let first = first.unwrap_or(DEFAULT_MAX_WINDOW_LAYERS);
    let sliding = sliding_layers(config, decoder.num_hidden_layers, |layer| {
        window.is_some() && layer >= first
    })?;
    if sliding.contains(&true) {
        let named = window.ok_or_else(|| {
            config.unsupported(
                "layer_types",
                "sliding layers with `use_sliding_window` and a window",
            )
        })?;
        decoder.architecture.sliding_window = Some(named);
    }
    decoder.architecture.layer_kinds = rotating_layers(sliding);
    Ok(decoder)
}

pub(super) fn further_fields(config: &DecoderConfig) -> Value {
    let architecture = &config.architecture;
    let kinds = 0..config.num_hidden_layers;
    let first = kinds
        .into_iter()
        .find(|&layer| architecture.layer_kind(layer).slides);
    json!({
        "sliding_window": architecture.sliding_window,
        "use_sliding_window": architecture.slides(),
        "max_window_layers": first.unwrap_or(config.num_hidden_layers),
        "layer_types": standard::layer_types(config),
    })
}
