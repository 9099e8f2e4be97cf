//! `alambic quickstart`

use std::path::PathBuf;
use std::sync::Arc;

use alambic::pipeline::{self, Progress};
use clap::Args;
use serde_json::json;

use super::recipe::report_outcome;
use super::run_options;
use crate::arguments::{DashboardArguments, DeviceArguments};
use crate::output::Outcome;

/// Where the demonstration is written when nothing else is said.
const DEFAULT_OUT: &str = "runs/quickstart";

/// Arguments of `alambic quickstart`.
#[derive(Debug, Args)]
pub(crate) struct QuickstartArguments {
    /// The run directory; the same directory resumes the demonstration.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_OUT)]
    pub(crate) out: PathBuf,
    /// Only train the embedded teacher anew, into DIR/teacher, by the recipe that made it.
    #[arg(long, conflicts_with = "seed")]
    pub(crate) train_teacher: bool,
    /// Replaces the seed of the demonstration's recipe.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
    #[command(flatten)]
    pub(crate) dashboard: DashboardArguments,
}

/// Runs the demonstration, or trains its teacher.
pub(crate) fn execute(
    arguments: &QuickstartArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let out = &arguments.out;
    let options = run_options(out, &arguments.device, &arguments.dashboard, progress)?;
    if arguments.train_teacher {
        let accuracy = pipeline::train_quickstart_teacher(
            out,
            &options.device,
            &options.stop,
            &options.progress,
        )?;
        let teacher = out.join("teacher");
        return Ok(Outcome::done(
            format!(
                "{} solves {:.1} % of the problems of unseen templates",
                teacher.display(),
                100.0 * accuracy
            ),
            json!({ "teacher": teacher, "answer_accuracy": accuracy }),
        ));
    }
    let report = pipeline::quickstart(&options, arguments.seed)?;
    Ok(report_outcome(out, &report))
}
