//! `alambic merge`

use std::path::PathBuf;

use alambic::pipeline::{find_model, merge_adapter};
use clap::Args;
use serde_json::json;

use super::export::WeightType;
use crate::output::Outcome;
use crate::progress::for_stderr;

/// Arguments of `alambic merge`.
#[derive(Debug, Args)]
pub(crate) struct MergeArguments {
    /// The model: a directory in the Hugging Face layout, or hub:ORG/NAME@REVISION.
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// The adapters: adapter_config.json and adapter_model.safetensors, as PEFT writes them.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: PathBuf,
    /// The new directory; it must not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Number type of the weights.
    #[arg(long, value_enum, default_value_t = WeightType::F32)]
    pub(crate) dtype: WeightType,
}

/// Writes the merged model.
pub(crate) fn execute(arguments: &MergeArguments) -> anyhow::Result<Outcome> {
    let out = &arguments.out;
    let model = find_model(&arguments.model, &*for_stderr())?;
    merge_adapter(&model, &arguments.adapter, out, arguments.dtype.into())?;
    Ok(Outcome::done(
        out.display().to_string(),
        json!({ "out": out }),
    ))
}
