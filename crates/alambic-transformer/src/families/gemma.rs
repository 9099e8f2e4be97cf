//! Gemma 2 and the text model of Gemma 3: `"model_type": "gemma2"` and `"gemma3_text"`.
//!
//! Norms around attention and feed-forward whose scales are stored less 1, gated gelu, scaled embeddings, sliding
//! layers between the others. The former caps scores and logits softly; the latter norms queries and keys, and its
//! sliding layers have wavelengths of their own.

use serde_json::{Value, json};

use super::rope::{self, agreed_scaling, refuse_partial, theta};
use super::standard::{self, Expected, rotating_layers, sliding_layers};
use crate::architecture::{Biases, FeedForwardKind, NormKind, NormPlacement, QueryKeyNorm};
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
/// Where the newer spelling of Gemma 3 has the rotary positions of both kinds of layers.
const OF_ALL: &str = "rope_parameters.full_attention";
const OF_SLIDING: &str = "rope_parameters.sliding_attention";

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
        Version::Three => with_two_bases(config, &expected)?,
    };
    let pattern = match version {
        Version::Two => 2,
        Version::Three => pattern(config)?,
    };
    let slides = sliding_layers(config, decoder.num_hidden_layers, |layer| {
        !(layer + 1).is_multiple_of(pattern)
    })?;
    let attention = config.optional_bool("attention_bias")?.unwrap_or(false);
    let architecture = &mut decoder.architecture;
    architecture.norm = NormKind::RmsAroundOne;
    architecture.norm_placement = NormPlacement::Around;
    architecture.feed_forward = FeedForwardKind::GatedGeluTanh;
    architecture.attention_scale = Some(config.required_f64("query_pre_attn_scalar")?.powf(-0.5));
    architecture.attention_softcap = softcap(config, "attn_logit_softcapping", version)?;
    architecture.logit_softcap = softcap(config, "final_logit_softcapping", version)?;
    architecture.biases = Biases {
        query_key_value: attention,
        attention_output: attention,
        feed_forward: false,
    };
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

/// Sizes with the rotary positions of both kinds of layers.
fn with_two_bases(
    config: &ConfigFile,
    expected: &Expected<'_>,
) -> Result<DecoderConfig, TransformerError> {
    let max_positions = config.required_usize("max_position_embeddings")?;
    let base = theta(
        config,
        "rope_theta",
        &[OF_ALL, "rope_scaling"],
        Some(DEFAULT_THETA),
    )?;
    let mut decoder = standard::sizes(config, expected, max_positions, base)?;
    let sliding = theta(
        config,
        "rope_local_base_freq",
        &[OF_SLIDING],
        Some(DEFAULT_SLIDING_THETA),
    )?;
    for key in ["rope_type", "type"] {
        config.refuse_other_than(&format!("{OF_SLIDING}.{key}"), &json!("default"))?;
    }
    refuse_partial(config, &[OF_ALL, OF_SLIDING, "rope_scaling"])?;
    let architecture = &mut decoder.architecture;
    architecture.rope_scaling =
        agreed_scaling(config, &[OF_ALL, "rope_scaling"], max_positions, None)?;
    architecture.sliding_rope_theta = Some(sliding);
    Ok(decoder)
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
        let sliding_theta = architecture
            .sliding_rope_theta
            .unwrap_or(DEFAULT_SLIDING_THETA);
        let of_all = rope::fields(config).remove("rope_parameters");
        fields.extend(standard::object(json!({
            "rope_local_base_freq": sliding_theta,
            "rope_parameters": {
                "full_attention": of_all,
                "sliding_attention": { "rope_type": "default", "rope_theta": sliding_theta },
            },
        })));
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
