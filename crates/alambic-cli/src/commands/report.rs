//! `alambic report`

use std::path::PathBuf;

use clap::Args;

/// Arguments of `alambic report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Run directories; several are compared.
    #[arg(value_name = "RUN_DIR", required = true)]
    pub(crate) runs: Vec<PathBuf>,
}
