//! `alambic export`

use std::path::PathBuf;

use alambic::pipeline::export;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::output::Outcome;

/// Arguments of `alambic export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The run whose student is written.
    #[arg(value_name = "RUN_DIR")]
    pub(crate) run: PathBuf,
    /// The new directory; it must not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Number type of the weights.
    #[arg(long, value_enum, default_value_t = WeightType::F32)]
    pub(crate) dtype: WeightType,
}

/// Number type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightType {
    /// Four bytes, as trained.
    F32,
    /// Two bytes, narrow range.
    F16,
    /// Two bytes, the range of f32.
    Bf16,
}

impl From<WeightType> for alambic::transformer::WeightType {
    fn from(dtype: WeightType) -> Self {
        match dtype {
            WeightType::F32 => Self::F32,
            WeightType::F16 => Self::F16,
            WeightType::Bf16 => Self::BF16,
        }
    }
}

/// Writes the student.
pub(crate) fn execute(arguments: &ExportArguments) -> anyhow::Result<Outcome> {
    let out = &arguments.out;
    export(&arguments.run, out, arguments.dtype.into())?;
    Ok(Outcome::done(
        out.display().to_string(),
        json!({ "out": out }),
    ))
}
