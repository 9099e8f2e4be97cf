//! Writing a decoder in the Hugging Face layout.

use std::io::{self, Write};
use std::path::Path;

use burn::tensor::TensorReadError;
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::CONFIG_FILE;
use super::atomic_file::write_atomically;
use super::header::METADATA_KEY;
use super::weight_files::SINGLE_FILE;
use crate::decoder::Decoder;
use crate::error::TransformerError;
use crate::families::Family;
use crate::weights::{Weight, WeightValue};

/// Name of the file that generation programs take special tokens from.
const GENERATION_FILE: &str = "generation_config.json";
/// The header is padded so that the tensors begin at a multiple of this.
const ALIGNMENT_BYTES: usize = 8;

/// The type that weights are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightType {
    /// 32 bits: exact.
    F32,
    /// 16 bits with 11 bits of precision, up to 65504.
    F16,
    /// 16 bits with 8 bits of precision and the range of f32.
    BF16,
}

/// What a checkpoint states besides the decoder's own configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveOptions {
    /// The type that weights are stored in.
    pub dtype: WeightType,
    /// The token that begins a sequence.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a sequence.
    pub eos_token_ids: Vec<u32>,
    /// The token that fills up a batch.
    pub pad_token_id: Option<u32>,
}

/// Writes `model.safetensors`, `config.json` and `generation_config.json` into `dir`.
///
/// The directory is created if need be; each file is replaced as a whole or not at all, the weights
/// first. The same decoder and options give the same bytes. The tokenizer's files are the caller's.
///
/// # Errors
/// If a file cannot be written, or a weight does not fit [`WeightType::F16`].
pub fn save_checkpoint(
    decoder: &Decoder,
    dir: &Path,
    options: &SaveOptions,
) -> Result<(), TransformerError> {
    std::fs::create_dir_all(dir).map_err(|source| TransformerError::Io {
        action: "create",
        path: dir.to_path_buf(),
        source,
    })?;
    let family = Family::Llama;
    write_weights(decoder, family, &dir.join(SINGLE_FILE), options.dtype)?;
    let mut config = family.config_fields(decoder.config());
    config.insert("torch_dtype".to_string(), json!(options.dtype.torch_name()));
    let tokens = options.token_fields();
    config.extend(tokens.clone());
    write_json(&dir.join(CONFIG_FILE), config)?;
    write_json(&dir.join(GENERATION_FILE), tokens)
}

impl SaveOptions {
    fn token_fields(&self) -> Map<String, Value> {
        let eos = match self.eos_token_ids.as_slice() {
            [] => None,
            [single] => Some(json!(single)),
            several => Some(json!(several)),
        };
        [
            ("bos_token_id", self.bos_token_id.map(|id| json!(id))),
            ("eos_token_id", eos),
            ("pad_token_id", self.pad_token_id.map(|id| json!(id))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_string(), value?)))
        .collect()
    }
}

impl WeightType {
    fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
        }
    }

    fn safetensors_name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    fn encode(self, value: f32, bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(value.to_le_bytes()),
            Self::F16 => bytes.extend(f16::from_f32(value).to_le_bytes()),
            Self::BF16 => bytes.extend(bf16::from_f32(value).to_le_bytes()),
        }
    }

    /// The first value that is finite, and would be stored as an infinity.
    fn overflow(self, values: &[f32]) -> Option<f32> {
        let fits = |value: f32| match self {
            Self::F32 => true,
            Self::F16 => f16::from_f32(value).is_finite(),
            Self::BF16 => bf16::from_f32(value).is_finite(),
        };
        values
            .iter()
            .copied()
            .find(|value| value.is_finite() && !fits(*value))
    }
}

fn write_json(path: &Path, fields: Map<String, Value>) -> Result<(), TransformerError> {
    let mut text = serde_json::to_string_pretty(&Value::Object(fields))
        .expect("a map of plain values serialises");
    text.push('\n');
    write_atomically(path, |writer| write_bytes(writer, path, text.as_bytes()))
}

fn write_bytes(writer: &mut impl Write, path: &Path, bytes: &[u8]) -> Result<(), TransformerError> {
    writer
        .write_all(bytes)
        .map_err(|source: io::Error| TransformerError::Io {
            action: "write",
            path: path.to_path_buf(),
            source,
        })
}

/// Writes all tensors in the order of their names.
fn write_weights(
    decoder: &Decoder,
    family: Family,
    path: &Path,
    dtype: WeightType,
) -> Result<(), TransformerError> {
    let mut weights: Vec<(String, Weight)> = Weight::all(decoder.config())
        .into_iter()
        .map(|weight| (family.tensor_name(weight), weight))
        .collect();
    weights.sort_unstable();
    let header = header_bytes(decoder, &weights, dtype);
    write_atomically(path, |writer| {
        write_bytes(writer, path, &(header.len() as u64).to_le_bytes())?;
        write_bytes(writer, path, &header)?;
        for (name, weight) in &weights {
            let values =
                stored_values(decoder, *weight).map_err(|source| TransformerError::ReadTensor {
                    what: format!("weight `{name}`"),
                    source,
                })?;
            if let Some(value) = dtype.overflow(&values) {
                return Err(TransformerError::WeightOverflow {
                    tensor: name.clone(),
                    value,
                    dtype,
                });
            }
            let mut bytes = Vec::with_capacity(values.len() * dtype.bytes());
            for value in values {
                dtype.encode(value, &mut bytes);
            }
            write_bytes(writer, path, &bytes)?;
        }
        Ok(())
    })
}

fn header_bytes(decoder: &Decoder, weights: &[(String, Weight)], dtype: WeightType) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert(METADATA_KEY.to_string(), json!({ "format": "pt" }));
    let mut offset = 0;
    for (name, weight) in weights {
        let shape = weight.shape(decoder.config());
        let end = offset + shape.iter().product::<usize>() * dtype.bytes();
        let entry = json!({
            "dtype": dtype.safetensors_name(),
            "shape": shape,
            "data_offsets": [offset, end],
        });
        entries.insert(name.clone(), entry);
        offset = end;
    }
    let mut header =
        serde_json::to_vec(&Value::Object(entries)).expect("a map of plain values serialises");
    header.resize(header.len().next_multiple_of(ALIGNMENT_BYTES), b' ');
    header
}

/// A weight in the order in which files hold it: `[outputs, inputs]`.
fn stored_values(decoder: &Decoder, weight: Weight) -> Result<Vec<f32>, TensorReadError> {
    match decoder.weight(weight) {
        WeightValue::Vector(vector) => vector.try_into_vec_as(),
        WeightValue::Table(table) => table.try_into_vec_as(),
        WeightValue::Projection(projection) => {
            let [inputs, outputs] = projection.dims();
            let values: Vec<f32> = projection.try_into_vec_as()?;
            let stored = (0..outputs)
                .flat_map(|output| (0..inputs).map(move |input| input * outputs + output));
            Ok(stored.map(|index| values[index]).collect())
        }
    }
}
