//! `alambic doctor`

use std::path::PathBuf;

use clap::Args;

use crate::arguments::{DeviceArguments, OverrideArguments};

/// Arguments of `alambic doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// Check against this run directory too: could the run be resumed there?
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overrides: OverrideArguments,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}
