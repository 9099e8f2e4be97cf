//! SmolLM3: `"model_type": "smollm3"`; Llama with some layers that do not turn queries and keys.

use serde_json::{Value, json};

use super::standard::{self, Expected, sliding_layers};
use crate::architecture::LayerKind;
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;

/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_INTERVAL: usize = 4;

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    let only = [("hidden_act", json!("silu"))];
    let expected = Expected {
        tie_word_embeddings: true,
        rope_theta: None,
        only: &only,
        ..Expected::default()
    };
    let mut decoder = standard::decoder_config(config, &expected)?;
    let num_layers = decoder.num_hidden_layers;
    let interval = match config.optional_usize("no_rope_layer_interval")? {
        Some(0) => return Err(config.wrong_field("no_rope_layer_interval", "at least 1")),
        given => given.unwrap_or(DEFAULT_INTERVAL),
    };
    let rotates = match config.get("no_rope_layers") {
        None | Some(Value::Null) => None,
        // As in the reference implementation, a longer list has flags that no layer reads.
        Some(flags) => {
            let flags = flags.as_array().filter(|flags| flags.len() >= num_layers);
            let flag = |flag: &Value| flag.as_u64().filter(|flag| *flag < 2).map(|flag| flag == 1);
            let flags: Option<Vec<bool>> =
                flags.and_then(|flags| flags.iter().take(num_layers).map(flag).collect());
            let expected = format!("0 or 1 for each of {num_layers} layers");
            Some(flags.ok_or_else(|| config.wrong_field("no_rope_layers", &expected))?)
        }
    };
    let every = |layer: usize| !(layer + 1).is_multiple_of(interval);
    let rotates = rotates.unwrap_or_else(|| (0..num_layers).map(every).collect());
    let may_slide = config.optional_bool("use_sliding_window")?.unwrap_or(false);
    let window = config
        .optional_usize("sliding_window")?
        .filter(|_| may_slide);
    let slides = sliding_layers(config, num_layers, |layer| {
        window.is_some() && !rotates[layer]
    })?;
    if slides.contains(&true) && window.is_none() {
        let only = "sliding layers with `use_sliding_window` and a window";
        return Err(config.unsupported("layer_types", only));
    }
    let kinds = rotates.into_iter().zip(slides);
    let kinds = kinds.map(|(rotates, slides)| LayerKind { slides, rotates });
    let architecture = &mut decoder.architecture;
    architecture.layer_kinds = kinds.collect();
    architecture.sliding_window = window;
    architecture.biases = standard::all_biases(config)?;
    Ok(decoder)
}

pub(super) fn further_fields(config: &DecoderConfig) -> Value {
    let architecture = &config.architecture;
    let layers = 0..config.num_hidden_layers;
    let rotates = layers.map(|layer| u8::from(architecture.layer_kind(layer).rotates));
    json!({
        "no_rope_layers": rotates.collect::<Vec<_>>(),
        "no_rope_layer_interval": DEFAULT_INTERVAL,
        "layer_types": standard::layer_types(config),
        "sliding_window": architecture.sliding_window,
        "use_sliding_window": architecture.sliding_window.is_some(),
        "mlp_bias": architecture.biases.feed_forward,
    })
}
