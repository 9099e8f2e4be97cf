//! `alambic score`

use std::path::PathBuf;

use alambic::pipeline::{PipelineError, find_model, score_tokens};
use alambic::transformer::Precision;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::arguments::DeviceArguments;
use crate::output::Outcome;
use crate::progress::for_stderr;

/// Arguments of `alambic score`.
#[derive(Debug, Args)]
pub(crate) struct ScoreArguments {
    /// The model: a directory in the Hugging Face layout, which needs no tokenizer, or hub:ORG/NAME@REVISION.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// A safetensors file with `input_ids`, int32 of [B, T].
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: PathBuf,
    /// The safetensors file that gets `logits`, float32 of [B, T, V].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Number type that matrix products are rounded to; weights and logits stay in float32.
    #[arg(long, value_enum, default_value_t = ComputeType::F32)]
    pub(crate) dtype: ComputeType,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

/// Number type that a model computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComputeType {
    /// Nothing is rounded.
    F32,
    /// 8 bits of precision, the range of float32.
    Bf16,
    /// 11 bits of precision, numbers up to 65,504.
    F16,
}

impl From<ComputeType> for Precision {
    fn from(dtype: ComputeType) -> Self {
        match dtype {
            ComputeType::F32 => Self::F32,
            ComputeType::Bf16 => Self::Bf16,
            ComputeType::F16 => Self::F16,
        }
    }
}

/// Writes the logits.
pub(crate) fn execute(arguments: &ScoreArguments) -> anyhow::Result<Outcome> {
    let device = arguments
        .device
        .device
        .open()
        .map_err(PipelineError::from)?;
    let out = &arguments.out;
    let model = find_model(&arguments.model, &*for_stderr())?;
    let shape = score_tokens(
        &model,
        &arguments.tokens,
        out,
        &device,
        arguments.dtype.into(),
    )?;
    Ok(Outcome::done(
        format!("{}: logits {shape:?}", out.display()),
        json!({ "out": out, "shape": shape }),
    ))
}
