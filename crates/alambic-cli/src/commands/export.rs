//! `alambic export`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
