//! What can go wrong: one enum for the crate.

use std::path::PathBuf;

use burn::tensor::TensorReadError;

use crate::checkpoint::WeightType;

/// Most problems that a message lists.
const MOST_LISTED: usize = 20;

/// The first problems, and how many more there are: weights of another model have thousands.
fn first_of(problems: &[String]) -> String {
    let listed = problems[..problems.len().min(MOST_LISTED)].join("; ");
    match problems.len().saturating_sub(MOST_LISTED) {
        0 => listed,
        more => format!("{listed}; and {more} more"),
    }
}

/// Everything that can fail in this crate; the message says where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformerError {
    /// The sizes of a decoder contradict each other; every problem is listed.
    #[error("invalid decoder configuration: {}", problems.join("; "))]
    InvalidConfig {
        /// One sentence per problem, in the order of the fields.
        problems: Vec<String>,
    },
    /// Adapters that do not fit a decoder; every problem is listed.
    #[error("invalid adapters: {}", problems.join("; "))]
    InvalidLora {
        /// One sentence per problem.
        problems: Vec<String>,
    },
    /// A device does not compute with numbers of a type.
    #[error("{device} does not compute in {precision}, only in {}", supported.join(", "))]
    PrecisionNotSupported {
        /// The device's name.
        device: String,
        /// What was asked for.
        precision: &'static str,
        /// What the device has.
        supported: Vec<&'static str>,
    },
    /// A file or directory could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was being done: "open", "read", "write" ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A JSON file is malformed, or a field has the wrong type.
    #[error("{path} is not the expected JSON")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        #[source]
        source: serde_json::Error,
    },
    /// `config.json` lacks a field, or holds one of the wrong kind.
    #[error("{path}: `{field}` is {found}, expected {expected}")]
    ConfigField {
        /// The configuration file.
        path: PathBuf,
        /// Dotted name of the field.
        field: String,
        /// What stands there ("missing" if nothing does).
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The checkpoint is of a model, or has a setting, that this crate does not compute.
    #[error("{path}: `{setting}` = {found} is not supported, only {supported}")]
    UnsupportedModel {
        /// The configuration file.
        path: PathBuf,
        /// Dotted name of the setting.
        setting: String,
        /// Its value.
        found: String,
        /// The values that are supported.
        supported: String,
    },
    /// The directory holds neither `model.safetensors` nor `model.safetensors.index.json`.
    #[error(
        "{path} holds no weights: expected `model.safetensors` or `model.safetensors.index.json`"
    )]
    NoWeights {
        /// The checkpoint's directory.
        path: PathBuf,
    },
    /// A shard index names a file outside its own directory, or not a plain file name.
    #[error(
        "{path}: tensor `{tensor}` is said to be in {shard:?}, expected a plain file name in the same directory"
    )]
    ShardName {
        /// The index file.
        path: PathBuf,
        /// The tensor whose entry is wrong.
        tensor: String,
        /// The offending value.
        shard: String,
    },
    /// A safetensors file is damaged, or was never one.
    #[error("{path} is not a valid safetensors file: {problem}")]
    WeightFile {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// The tensors do not fit the configuration; every problem is listed.
    #[error(
        "the weights in {path} do not fit its config.json: {}",
        first_of(problems)
    )]
    WeightMismatch {
        /// The checkpoint's directory.
        path: PathBuf,
        /// One sentence per missing, unknown or misshapen tensor.
        problems: Vec<String>,
    },
    /// A decoder computes what the family that it should be written as does not.
    #[error(
        "a decoder cannot be written as {family}: {}; give it the sizes and the architecture of that family",
        differences.join("; ")
    )]
    NotOfFamily {
        /// The family's `model_type`.
        family: &'static str,
        /// One sentence per field that would be read back with another value.
        differences: Vec<String>,
    },
    /// A decoder is no excerpt of another one; every problem is listed.
    #[error(
        "a student that starts from its teacher's layers has other sizes or settings than these allow: {}",
        problems.join("; ")
    )]
    NotAnExcerpt {
        /// One sentence per size, layer or setting that does not fit.
        problems: Vec<String>,
    },
    /// A weight is too large for the type it should be stored in.
    #[error("weight `{tensor}` holds {value}, which {dtype:?} cannot store; save as BF16 or F32")]
    WeightOverflow {
        /// The tensor's name in the file.
        tensor: String,
        /// The weight.
        value: f32,
        /// The type asked for.
        dtype: WeightType,
    },
    /// A tensor could not be brought back from its device.
    #[error("cannot read {what} back from its device")]
    ReadTensor {
        /// Which tensor.
        what: String,
        /// The backend's reason.
        #[source]
        source: TensorReadError,
    },
    /// A device's name is not one that this crate knows.
    #[error(
        "unknown device {found:?}: expected auto, cpu, ndarray, wgpu, wgpu:N, cuda or cuda:N, where N counts from 0"
    )]
    DeviceName {
        /// The text.
        found: String,
    },
    /// The device needs a feature that this program was built without.
    #[error(
        "device {device} needs the cargo feature `{feature}`, which this program was built without"
    )]
    DeviceFeature {
        /// The device asked for.
        device: String,
        /// The missing feature.
        feature: &'static str,
    },
    /// The machine has no such device.
    #[error("device {device} was not found: {found}")]
    DeviceNotFound {
        /// The device asked for.
        device: String,
        /// What the machine has.
        found: String,
    },
    /// A prompt is empty; a decoder needs at least one token (usually the beginning-of-sequence token).
    #[error("prompt {prompt} is empty, expected at least one token")]
    EmptyPrompt {
        /// Index of the prompt in its batch.
        prompt: usize,
    },
    /// A prompt is longer than the decoder's positions.
    #[error(
        "prompt {prompt} has {found} tokens, the decoder has {limit} positions; shorten the prompt"
    )]
    PromptTooLong {
        /// Index of the prompt in its batch.
        prompt: usize,
        /// Its length in tokens.
        found: usize,
        /// `max_position_embeddings`.
        limit: usize,
    },
    /// A prompt holds a token that the decoder has no embedding for.
    #[error(
        "prompt {prompt}: token {token} at position {position} is outside the vocabulary of {vocab_size}; is the tokenizer the decoder's own?"
    )]
    TokenOutOfRange {
        /// Index of the prompt in its batch.
        prompt: usize,
        /// Position in the prompt.
        position: usize,
        /// The token id.
        token: u32,
        /// The decoder's vocabulary size.
        vocab_size: usize,
    },
    /// The generation settings make no sense; every problem is listed.
    #[error("invalid generation settings: {}", problems.join("; "))]
    InvalidGeneration {
        /// One sentence per problem.
        problems: Vec<String>,
    },
    /// The decoder returned a logit that is not a number or is infinite: its weights are broken.
    #[error(
        "the decoder returned {found} as the logit of token {token} after {position} tokens; its weights are damaged"
    )]
    LogitNotFinite {
        /// The token whose logit is broken.
        token: usize,
        /// How many tokens had been read.
        position: usize,
        /// The logit.
        found: f32,
    },
}
