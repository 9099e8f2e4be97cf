//! OLMo 3: `"model_type": "olmo3"`; OLMo 2 with sliding layers, whose wavelengths nothing stretches.

use serde_json::{Value, json};

use super::rope::OF_SLIDING;
use super::standard::{self, Expected, rotating_layers, sliding_layers};
use crate::architecture::{NormPlacement, QueryKeyNorm};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;

/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_THETA: f64 = 500_000.0;
const DEFAULT_SLIDING_WINDOW: usize = 4096;
/// Of so many layers the last one does not slide.
const PATTERN: usize = 4;

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    let only = [("hidden_act", json!("silu"))];
    let expected = Expected {
        rope_theta: Some(DEFAULT_THETA),
        only: &only,
        ..Expected::default()
    };
    let mut decoder = standard::config_of_two_bases(config, &expected)?;
    let sliding_theta = format!("{OF_SLIDING}.rope_theta");
    let sliding_theta = match config.optional_f64(&sliding_theta)? {
        Some(theta) => theta,
        // Versions of the reference implementation disagree about anything else.
        None if decoder.rope_theta == DEFAULT_THETA => DEFAULT_THETA,
        None => return Err(config.wrong_field(&sliding_theta, "a number")),
    };
    let slides = sliding_layers(config, decoder.num_hidden_layers, |layer| {
        !(layer + 1).is_multiple_of(PATTERN)
    })?;
    let window = match config.get("sliding_window") {
        None => Some(DEFAULT_SLIDING_WINDOW),
        Some(_) => config.optional_usize("sliding_window")?,
    };
    if slides.contains(&true) && window.is_none() {
        return Err(config.wrong_field("sliding_window", "a whole number, since layers slide"));
    }
    let architecture = &mut decoder.architecture;
    architecture.sliding_rope_theta = Some(sliding_theta);
    architecture.sliding_window = window.filter(|_| slides.contains(&true));
    architecture.layer_kinds = rotating_layers(slides);
    architecture.norm_placement = NormPlacement::After;
    architecture.query_key_norm = Some(QueryKeyNorm::AllHeads);
    architecture.biases = standard::attention_biases(config)?;
    Ok(decoder)
}

pub(super) fn further_fields(config: &DecoderConfig) -> Value {
    let window = config.architecture.sliding_window;
    let mut fields = standard::object(json!({
        // The reference implementation makes the mask of a window whether a layer needs it or not.
        "sliding_window": window.unwrap_or(DEFAULT_SLIDING_WINDOW),
        "layer_types": standard::layer_types(config),
    }));
    fields.extend(standard::fields_of_two_bases(config));
    Value::Object(fields)
}
