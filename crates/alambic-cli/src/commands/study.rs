//! `alambic study`.

use std::path::PathBuf;
use std::sync::Arc;

use alambic::pipeline::{self, Progress};
use clap::Args;
use serde_json::json;

use super::run_options;
use crate::arguments::{DashboardArguments, DeviceArguments, OverrideArguments};
use crate::output::Outcome;

/// Which variants of a recipe are compared, and where their runs go.
#[derive(Debug, Args)]
pub(crate) struct StudyArguments {
    /// The study, a TOML file with a recipe, seeds and variants.
    pub(crate) study: PathBuf,
    /// The directory of all its runs; the same directory resumes a study.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) overrides: OverrideArguments,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
    #[command(flatten)]
    pub(crate) dashboard: DashboardArguments,
}

/// Runs the study and shows its table.
pub(crate) fn execute(
    arguments: &StudyArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let out = &arguments.out;
    let options = run_options(out, &arguments.device, &arguments.dashboard, progress)?;
    let study = pipeline::study(&arguments.study, &arguments.overrides.set, &options)?;
    Ok(Outcome::done(
        study.table(),
        json!({ "out": out, "study": study }),
    ))
}
