//! Granite: `"model_type": "granite"`; Llama with factors on embeddings, scores, residuals and logits.

use serde_json::{Value, json};

use super::standard::{self, Expected};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    let only = [("hidden_act", json!("silu"))];
    let expected = Expected {
        only: &only,
        ..Expected::default()
    };
    let mut decoder = standard::decoder_config(config, &expected)?;
    standard::refuse_sliding_layers(config, decoder.num_hidden_layers)?;
    let factor = |field: &str| -> Result<f64, TransformerError> {
        Ok(config.optional_f64(field)?.unwrap_or(1.0))
    };
    let architecture = &mut decoder.architecture;
    architecture.attention_scale = Some(factor("attention_multiplier")?);
    architecture.embedding_scale = factor("embedding_multiplier")?;
    architecture.residual_scale = factor("residual_multiplier")?;
    architecture.logit_scale = 1.0 / factor("logits_scaling")?;
    architecture.biases = standard::all_biases(config)?;
    Ok(decoder)
}

pub(super) fn further_fields(config: &DecoderConfig) -> Value {
    let architecture = &config.architecture;
    json!({
        "attention_multiplier": architecture.attention_scale,
        "embedding_multiplier": architecture.embedding_scale,
        "residual_multiplier": architecture.residual_scale,
        "logits_scaling": 1.0 / architecture.logit_scale,
        "mlp_bias": architecture.biases.feed_forward,
    })
}
