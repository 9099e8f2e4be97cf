//! Model families: how the files of each name what the decoder computes.
//!
//! A family is a Hugging Face `model_type`. To add one, write a file beside `llama.rs` that maps its
//! `config.json` to a [`DecoderConfig`] and each [`Weight`] to its tensor name, and add a variant
//! here. What a family computes differently becomes a field of [`DecoderConfig`] first.

mod llama;

use serde_json::{Map, Value};

use crate::checkpoint::ConfigFile;
use crate::config::DecoderConfig;
use crate::error::TransformerError;
use crate::weights::Weight;

/// The families whose checkpoints can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Llama,
}

impl Family {
    const ALL: [Self; 1] = [Self::Llama];

    fn model_type(self) -> &'static str {
        match self {
            Self::Llama => llama::MODEL_TYPE,
        }
    }

    /// The family that `config.json` names.
    pub(crate) fn of(config: &ConfigFile) -> Result<Self, TransformerError> {
        let model_type = config.required_str("model_type")?;
        Self::ALL
            .into_iter()
            .find(|family| family.model_type() == model_type)
            .ok_or_else(|| {
                let supported: Vec<String> = Self::ALL
                    .iter()
                    .map(|family| format!("{:?}", family.model_type()))
                    .collect();
                config.unsupported("model_type", &supported.join(" and "))
            })
    }

    /// Reads the sizes and constants, and refuses every setting that is not computed.
    pub(crate) fn decoder_config(
        self,
        config: &ConfigFile,
    ) -> Result<DecoderConfig, TransformerError> {
        match self {
            Self::Llama => llama::decoder_config(config),
        }
    }

    /// The name of a weight's tensor.
    pub(crate) fn tensor_name(self, weight: Weight) -> String {
        match self {
            Self::Llama => llama::tensor_name(weight),
        }
    }

    /// The fields of `config.json` that describe a decoder in this family's terms.
    pub(crate) fn config_fields(self, config: &DecoderConfig) -> Map<String, Value> {
        match self {
            Self::Llama => llama::config_fields(config),
        }
    }

    /// Whether a tensor is known to hold nothing that the decoder does not compute itself.
    pub(crate) fn ignores(self, tensor_name: &str) -> bool {
        match self {
            Self::Llama => llama::ignores(tensor_name),
        }
    }
}
