//! `alambic quickstart`

use std::path::PathBuf;

use clap::Args;

use crate::arguments::DeviceArguments;

/// Where the demonstration is written when nothing else is said.
const DEFAULT_OUT: &str = "runs/quickstart";

/// Arguments of `alambic quickstart`.
#[derive(Debug, Args)]
pub(crate) struct QuickstartArguments {
    /// The run directory; the same directory resumes the demonstration.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_OUT)]
    pub(crate) out: PathBuf,
    /// Train the teacher too, instead of taking the one that comes along.
    #[arg(long)]
    pub(crate) train_teacher: bool,
    /// Replaces the seed of the demonstration's recipe.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}
