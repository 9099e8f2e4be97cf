//! OLMo 2: `"model_type": "olmo2"`; norms behind attention and feed-forward, and of all queries and keys.

use serde_json::json;

use super::standard::{self, Expected};
use crate::architecture::{NormPlacement, QueryKeyNorm};
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
    let architecture = &mut decoder.architecture;
    architecture.norm_placement = NormPlacement::After;
    architecture.query_key_norm = Some(QueryKeyNorm::AllHeads);
    architecture.biases = standard::attention_biases(config)?;
    Ok(decoder)
}
