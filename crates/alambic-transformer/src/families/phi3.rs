//! Phi-3: `"model_type": "phi3"`; queries, keys and values in one tensor, gate and up in another.

use serde_json::{Value, json};

use super::rope;
use super::standard::{self, Expected, rotating_layers};
use super::{Part, TensorPlace};
use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;
use crate::rope_scaling::RopeScaling;
use crate::weights::{LayerWeight, Weight};

/// What Hugging Face assumes where `config.json` says nothing.
const DEFAULT_ORIGINAL_POSITIONS: usize = 4096;

pub(super) fn decoder_config(config: &ConfigFile) -> Result<DecoderConfig, TransformerError> {
    let only = [
        ("hidden_act", json!("silu")),
        ("attention_bias", json!(false)),
        ("layer_types", Value::Null),
    ];
    let expected = Expected {
        may_rotate_partly: true,
        original_positions: Some(DEFAULT_ORIGINAL_POSITIONS),
        only: &only,
        ..Expected::default()
    };
    let mut decoder = standard::decoder_config(config, &expected)?;
    let architecture = &mut decoder.architecture;
    if !matches!(
        architecture.rope_scaling,
        RopeScaling::None | RopeScaling::LongRope { .. }
    ) {
        return Err(config.unsupported("rope_scaling", "null or \"longrope\""));
    }
    let window = config.optional_usize("sliding_window")?;
    architecture.sliding_window = window;
    architecture.layer_kinds = rotating_layers(vec![window.is_some(); decoder.num_hidden_layers]);
    Ok(decoder)
}

pub(super) fn place(weight: Weight, config: &DecoderConfig) -> TensorPlace {
    let name = standard::tensor_name(weight, config);
    let Weight::Layer { index, part } = weight else {
        return TensorPlace::whole(name);
    };
    let sizes = config.layer_sizes(index);
    let queries = sizes.num_attention_heads * config.head_dim;
    let key_values = sizes.num_key_value_heads * config.head_dim;
    let inner = sizes.intermediate_size;
    let (tensor, start, total) = match part {
        LayerWeight::Query => ("self_attn.qkv_proj", 0, queries + 2 * key_values),
        LayerWeight::Key => ("self_attn.qkv_proj", queries, queries + 2 * key_values),
        LayerWeight::Value => (
            "self_attn.qkv_proj",
            queries + key_values,
            queries + 2 * key_values,
        ),
        LayerWeight::Gate => ("mlp.gate_up_proj", 0, 2 * inner),
        LayerWeight::Up => ("mlp.gate_up_proj", inner, 2 * inner),
        _ => return TensorPlace::whole(name),
    };
    TensorPlace {
        name: format!("model.layers.{index}.{tensor}.weight"),
        inputs_first: false,
        part: Some(Part { start, total }),
    }
}

pub(super) fn further_fields(config: &DecoderConfig) -> Value {
    let architecture = &config.architecture;
    let mut fields = standard::object(json!({
        "sliding_window": architecture.sliding_window,
        "original_max_position_embeddings": config.max_position_embeddings,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
    }));
    if let RopeScaling::LongRope {
        short_factor,
        long_factor,
        original_max_position_embeddings: original,
        attention_factor,
    } = &architecture.rope_scaling
    {
        fields.insert(
            "original_max_position_embeddings".to_owned(),
            json!(original),
        );
        let growth = config.max_position_embeddings as f64 / *original as f64;
        if *attention_factor == rope::longrope_attention_factor(growth, *original) {
            // Older readers take these three fields and no others.
            let spelled = json!({
                "type": "longrope",
                "short_factor": short_factor,
                "long_factor": long_factor,
            });
            fields.insert("rope_scaling".to_owned(), spelled);
        }
    }
    Value::Object(fields)
}
