//! Gemma 2 and the text model of Gemma 3: `"model_type": "gemma2"` and `"gemma3_text"`.
//!
//! Norms around attention and feed-forward whose scales are stored less 1, gated gelu, scaled embeddings, sliding
//! layers between the others. The former caps scores and logits softly; the latter norms queries and keys, and its
//! sliding layers have wavelengths of their own.

use serde_json::{Value, json};

use super::rope::SlidingBase;
use super::standard::{self, Expected, rotating_layers, sliding_layers};
use crate::architecture::{FeedForwardKind, NormKind, NormPlacement, QueryKeyNorm};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;

/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_PATTERN: usize = 6;
const DEFAULT_THETA: f64 = 1_000_000.0;
const DEFAULT_SLIDING_THETA: f64 = 10_000.0;

/// What stands for a window where no layer slides.
const UNUSED_WINDOW: usize = 4096;

const GELU: &str = "gelu_pytorch_tanh";
const SLIDING_BASE: SlidingBase = SlidingBase {
    field: "rope_local_base_freq",
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Two,
    Three,
}

pub(super) fn decoder_config(
    config: &ConfigFile,
    version: Version,
) -> Result<DecoderConfig, TransformerError> {
    let only = [
        ("hidden_activation", json!(GELU)),
        ("use_bidirectional_attention", json!(false)),
    ];
    let expected = Expected {
        tie_word_embeddings: true,
        only: &only,
        ..Expected::default()
    };
    config.required_usize("head_dim")?;
    if version == Version::Three {
        // The reference implementation reads it and does not apply it.
        config.refuse_other_than("attn_logit_softcapping", &Value::Null)?;
    }
    let mut decoder = match version {
        Version::Two => standard::decoder_config(config, &expected)?,
        Version::Three => {
            let expected = Expected {
                rope_theta: Some(DEFAULT_THETA),
                ..expected
            };
            let mut decoder = standard::config_of_two_bases(config, &expected)?;
            let sliding = SLIDING_BASE.read(config)?.unwrap_or(DEFAULT_SLIDING_THETA);
            decoder.architecture.sliding_rope_theta = Some(sliding);
            decoder
        }
    };
    let pattern = match version {
        Version::Two => 2,
        Version::Three => pattern(config)?,
    };
    let slides = sliding_layers(config, decoder.num_hidden_layers, |layer| {
        !(layer + 1).is_multiple_of(pattern)
    })?;
    let architecture = &mut decoder.architecture;
    architecture.norm = NormKind::RmsAroundOne;
    architecture.norm_placement = NormPlacement::Around;
    architecture.feed_forward = FeedForwardKind::GatedGeluTanh;
    architecture.attention_scale = Some(config.required_f64("query_pre_attn_scalar")?.powf(-0.5));
    architecture.attention_softcap = softcap(config, "attn_logit_softcapping", version)?;
    architecture.logit_softcap = softcap(config, "final_logit_softcapping", version)?;
    architecture.biases = standard::attention_biases(config)?;
    if version == Version::Three {
        architecture.query_key_norm = Some(QueryKeyNorm::PerHead);
    }
    if slides.contains(&true) {
        architecture.sliding_window = Some(config.required_usize("sliding_window")?);
    }
    architecture.layer_kinds = rotating_layers(slides);
    Ok(decoder)
}

/// What Gemma 2 must say, be it null, and Gemma 3 may.
fn softcap(
    config: &ConfigFile,
    field: &str,
    version: Version,
) -> Result<Option<f64>, TransformerError> {
    match (config.get(field), version) {
        (None, Version::Two) => Err(config.wrong_field(field, "a number or null")),
        _ => config.optional_f64(field),
    }
}

fn pattern(config: &ConfigFile) -> Result<usize, TransformerError> {
    for field in ["sliding_window_pattern", "_sliding_window_pattern"] {
        match config.optional_usize(field)? {
            Some(0) => return Err(config.wrong_field(field, "at least 1")),
            Some(pattern) => return Ok(pattern),
            None => {}
        }
    }
    Ok(DEFAULT_PATTERN)
}

pub(super) fn further_fields(config: &DecoderConfig, version: Version) -> Value {
    let architecture = &config.architecture;
    let scale = architecture.attention_scale.unwrap_or(1.0);
    let mut fields = standard::object(json!({
        "hidden_act": GELU,
        "hidden_activation": GELU,
        "query_pre_attn_scalar": whole_if_near(scale.powi(-2)),
        "attn_logit_softcapping": architecture.attention_softcap,
        "final_logit_softcapping": architecture.logit_softcap,
        // The reference implementation makes the mask of a window whether a layer needs it or not.
        "sliding_window": architecture.sliding_window.unwrap_or(UNUSED_WINDOW),
        "layer_types": standard::layer_types(config),
    }));
    if version == Version::Three {
        fields.extend(standard::fields_of_two_bases(config));
        let base = architecture.sliding_rope_theta;
        fields.insert(SLIDING_BASE.field.to_owned(), json!(base));
    }
    Value::Object(fields)
}

/// Undoes the rounding of a square root and its square; the reference implementation takes integers only.
fn whole_if_near(value: f64) -> Value {
    match (value - value.round()).abs() < 1e-9 * value {
        true => json!(value.round() as u64),
        false => json!(value),
    }
}
