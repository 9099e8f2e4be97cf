//! Writing a decoder in the Hugging Face layout.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use burn::tensor::TensorReadError;
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::atomic_file::write_atomically;
use super::header::METADATA_KEY;
use super::weight_files::{INDEX_FILE, SINGLE_FILE};
use super::{CONFIG_FILE, ConfigFile};
use crate::config::DecoderConfig;
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
    /// Above so many bytes of weights, these are divided among files of at most as many, but for a tensor that is
    /// larger alone; `None` for one file whatever its size.
    pub max_shard_bytes: Option<u64>,
}

/// Writes `model.safetensors`, or shards with their index, `config.json` and `generation_config.json` into `dir`.
///
/// Names and shapes are those of the decoder's family. The directory is created if need be; each file is replaced as
/// a whole or not at all, the weights first. The same decoder and options give the same bytes. The tokenizer's files
/// are the caller's.
///
/// # Errors
/// [`TransformerError::NotOfFamily`] if the family would compute something else; if a file cannot be written, or a
/// weight does not fit [`WeightType::F16`].
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
    let family = decoder.config().architecture.family;
    let mut config = family.config_fields(decoder.config());
    check_family(decoder.config())?;
    write_weights(decoder, family, dir, options)?;
    config.insert("torch_dtype".to_string(), json!(options.dtype.torch_name()));
    let tokens = options.token_fields();
    config.extend(tokens.clone());
    write_json(&dir.join(CONFIG_FILE), config)?;
    write_json(&dir.join(GENERATION_FILE), tokens)
}

/// Refuses a decoder that its family's `config.json` would not describe.
pub(crate) fn check_family(decoder: &DecoderConfig) -> Result<(), TransformerError> {
    let family = decoder.architecture.family;
    let written = ConfigFile::of_fields(CONFIG_FILE.into(), family.config_fields(decoder));
    let read = family.decoder_config(&written)?;
    if read == *decoder {
        return Ok(());
    }
    Err(TransformerError::NotOfFamily {
        family: family.model_type(),
        differences: differences(decoder, &read),
    })
}

pub(super) fn as_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("structures serialise as objects"),
    }
}

/// The fields of two configurations that are not equal, as `name: of the first, not of the second`.
fn differences(decoder: &DecoderConfig, read: &DecoderConfig) -> Vec<String> {
    let fields = |config: &DecoderConfig| {
        let value = serde_json::to_value(config).expect("a configuration serialises");
        let mut fields = as_object(value);
        let architecture = fields.remove("architecture").map(as_object);
        fields.extend(architecture.into_iter().flatten());
        fields
    };
    let read = fields(read);
    fields(decoder)
        .into_iter()
        .filter(|(name, value)| read.get(name) != Some(value))
        .map(|(name, value)| {
            let again = read.get(&name).unwrap_or(&Value::Null);
            format!("{name} is {value}, which would be read back as {again}")
        })
        .collect()
}

impl SaveOptions {
    /// All of them, since readers assume a family's tokens where nothing is said.
    fn token_fields(&self) -> Map<String, Value> {
        let eos = match self.eos_token_ids.as_slice() {
            [] => Value::Null,
            [single] => json!(single),
            several => json!(several),
        };
        as_object(json!({
            "bos_token_id": self.bos_token_id,
            "eos_token_id": eos,
            "pad_token_id": self.pad_token_id,
        }))
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

pub(super) fn write_json(path: &Path, fields: Map<String, Value>) -> Result<(), TransformerError> {
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

/// A tensor of a file, and the weights that share it, by their places in it.
struct StoredTensor {
    name: String,
    shape: Vec<usize>,
    inputs_first: bool,
    weights: Vec<Weight>,
}

impl StoredTensor {
    fn bytes(&self, dtype: WeightType) -> u64 {
        (self.shape.iter().product::<usize>() * dtype.bytes()) as u64
    }
}

/// All tensors of a decoder in the order of their names.
fn stored_tensors(config: &DecoderConfig, family: Family) -> Vec<StoredTensor> {
    let mut tensors: BTreeMap<String, Vec<(usize, Weight)>> = BTreeMap::new();
    for weight in Weight::all(config) {
        let place = family.place(weight, config);
        let start = place.part.map_or(0, |part| part.start);
        tensors.entry(place.name).or_default().push((start, weight));
    }
    let stored = tensors.into_iter().map(|(name, mut weights)| {
        weights.sort_unstable();
        let weights: Vec<Weight> = weights.into_iter().map(|(_, weight)| weight).collect();
        let place = family.place(weights[0], config);
        StoredTensor {
            name,
            shape: place.tensor_shape(&weights[0].shape(config)),
            inputs_first: place.inputs_first,
            weights,
        }
    });
    stored.collect()
}

/// Writes all tensors in the order of their names, to one file or to shards with an index.
fn write_weights(
    decoder: &Decoder,
    family: Family,
    dir: &Path,
    options: &SaveOptions,
) -> Result<(), TransformerError> {
    let tensors = stored_tensors(decoder.config(), family);
    let bytes = |tensor: &StoredTensor| tensor.bytes(options.dtype);
    let total: u64 = tensors.iter().map(bytes).sum();
    let most = options.max_shard_bytes.filter(|&most| most < total);
    let Some(most) = most else {
        write_file(decoder, &tensors, &dir.join(SINGLE_FILE), options.dtype)?;
        remove_if_there(&dir.join(INDEX_FILE))?;
        return remove_other_shards(dir, 0);
    };
    let shards = shards(&tensors, most, bytes);
    // No index speaks of shards of which some are old and some are new.
    remove_if_there(&dir.join(INDEX_FILE))?;
    let mut weight_map = Map::new();
    for (number, shard) in shards.iter().enumerate() {
        let name = shard_name(number + 1, shards.len());
        write_file(decoder, shard, &dir.join(&name), options.dtype)?;
        let names = shard
            .iter()
            .map(|tensor| (tensor.name.clone(), json!(name)));
        weight_map.extend(names);
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    write_json(&dir.join(INDEX_FILE), as_object(index))?;
    // A reader would prefer it.
    remove_if_there(&dir.join(SINGLE_FILE))?;
    remove_other_shards(dir, shards.len())
}

fn shard_name(number: usize, shards: usize) -> String {
    format!("model-{number:05}-of-{shards:05}.safetensors")
}

/// Removes shards of weights that were divided in another way.
fn remove_other_shards(dir: &Path, shards: usize) -> Result<(), TransformerError> {
    let io = |source| TransformerError::Io {
        action: "list",
        path: dir.to_path_buf(),
        source,
    };
    let kept: BTreeSet<String> = (1..=shards)
        .map(|number| shard_name(number, shards))
        .collect();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_shard_name(&name) && !kept.contains(&name) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether it is one that [`shard_name`] makes.
fn is_shard_name(name: &str) -> bool {
    let numbers = name.strip_prefix("model-");
    let numbers = numbers.and_then(|name| name.strip_suffix(".safetensors"));
    let numbers = numbers.and_then(|numbers| numbers.split_once("-of-"));
    numbers.is_some_and(|(number, shards)| {
        let parsed = [number, shards].map(|digits| digits.parse::<usize>());
        matches!(parsed, [Ok(number), Ok(shards)] if name == shard_name(number, shards))
    })
}

/// Runs of tensors of at most so many bytes, and at least one tensor.
fn shards(
    mut tensors: &[StoredTensor],
    most: u64,
    bytes: impl Fn(&StoredTensor) -> u64,
) -> Vec<&[StoredTensor]> {
    let mut shards = Vec::new();
    while !tensors.is_empty() {
        let mut total = 0;
        let fitting = tensors.iter().take_while(|tensor| {
            total += bytes(tensor);
            total <= most
        });
        let (shard, rest) = tensors.split_at(fitting.count().max(1));
        shards.push(shard);
        tensors = rest;
    }
    shards
}

fn remove_if_there(path: &Path) -> Result<(), TransformerError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(TransformerError::Io {
            action: "remove",
            path: path.to_path_buf(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Writes some tensors to one file.
fn write_file(
    decoder: &Decoder,
    tensors: &[StoredTensor],
    path: &Path,
    dtype: WeightType,
) -> Result<(), TransformerError> {
    let entries = tensors.iter();
    let header = header_bytes(
        entries.map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())),
        dtype,
    );
    write_atomically(path, |writer| {
        write_bytes(writer, path, &(header.len() as u64).to_le_bytes())?;
        write_bytes(writer, path, &header)?;
        for tensor in tensors {
            let values =
                tensor_values(decoder, tensor).map_err(|source| TransformerError::ReadTensor {
                    what: format!("weight `{}`", tensor.name),
                    source,
                })?;
            write_bytes(writer, path, &encoded(&tensor.name, &values, dtype)?)?;
        }
        Ok(())
    })
}

/// Writes tensors by name, with their shapes and values, to one file.
pub(super) fn write_tensors(
    path: &Path,
    tensors: &[(String, Vec<usize>, Vec<f32>)],
    dtype: WeightType,
) -> Result<(), TransformerError> {
    let entries = tensors.iter();
    let header = header_bytes(
        entries.map(|(name, shape, _)| (name.as_str(), shape.as_slice())),
        dtype,
    );
    write_atomically(path, |writer| {
        write_bytes(writer, path, &(header.len() as u64).to_le_bytes())?;
        write_bytes(writer, path, &header)?;
        for (name, _, values) in tensors {
            write_bytes(writer, path, &encoded(name, values, dtype)?)?;
        }
        Ok(())
    })
}

/// The bytes of a tensor's values.
fn encoded(name: &str, values: &[f32], dtype: WeightType) -> Result<Vec<u8>, TransformerError> {
    if let Some(value) = dtype.overflow(values) {
        return Err(TransformerError::WeightOverflow {
            tensor: name.to_owned(),
            value,
            dtype,
        });
    }
    let mut bytes = Vec::with_capacity(values.len() * dtype.bytes());
    for &value in values {
        dtype.encode(value, &mut bytes);
    }
    Ok(bytes)
}

fn header_bytes<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a [usize])>,
    dtype: WeightType,
) -> Vec<u8> {
    let mut entries = Map::new();
    entries.insert(METADATA_KEY.to_string(), json!({ "format": "pt" }));
    let mut offset = 0;
    for (name, shape) in tensors {
        let end = offset + shape.iter().product::<usize>() * dtype.bytes();
        let entry = json!({
            "dtype": dtype.safetensors_name(),
            "shape": shape,
            "data_offsets": [offset, end],
        });
        entries.insert(name.to_owned(), entry);
        offset = end;
    }
    let mut header =
        serde_json::to_vec(&Value::Object(entries)).expect("a map of plain values serialises");
    header.resize(header.len().next_multiple_of(ALIGNMENT_BYTES), b' ');
    header
}

/// The values of a tensor in the order in which files hold them.
fn tensor_values(decoder: &Decoder, tensor: &StoredTensor) -> Result<Vec<f32>, TensorReadError> {
    if !tensor.inputs_first {
        let parts = tensor.weights.iter();
        let parts = parts.map(|weight| outputs_first(decoder, *weight));
        return Ok(parts.collect::<Result<Vec<_>, _>>()?.concat());
    }
    let [inputs, outputs] = tensor.shape[..] else {
        unreachable!("only matrices have inputs");
    };
    let mut values = Vec::with_capacity(inputs * outputs);
    let mut parts = Vec::new();
    for &weight in &tensor.weights {
        let WeightValue::Projection(projection) = decoder.weight(weight) else {
            unreachable!("only projections have inputs");
        };
        let [_, width] = projection.dims();
        parts.push((projection.try_into_vec_as::<f32>()?, width));
    }
    for input in 0..inputs {
        for (part, width) in &parts {
            values.extend(&part[input * width..(input + 1) * width]);
        }
    }
    Ok(values)
}

/// A weight in the order in which most files hold it: `[outputs, inputs]`.
fn outputs_first(decoder: &Decoder, weight: Weight) -> Result<Vec<f32>, TensorReadError> {
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
