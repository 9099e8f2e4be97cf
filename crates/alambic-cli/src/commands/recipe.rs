//! `alambic run`, `capture`, `train` and `evaluate`.

use std::path::PathBuf;
use std::sync::Arc;

use alambic::pipeline::recipe::Recipe;
use alambic::pipeline::{self, PipelineError, Progress, RunOptions, RunStage};
use clap::Args;
use serde_json::json;

use crate::arguments::{DeviceArguments, OverrideArguments};
use crate::interrupt;
use crate::output::Outcome;

/// A recipe, where its run goes, and what is changed about it.
#[derive(Debug, Args)]
pub(crate) struct RecipeArguments {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// The run directory; the same directory resumes a run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) overrides: OverrideArguments,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

impl RecipeArguments {
    fn options(&self, progress: Arc<dyn Progress>) -> anyhow::Result<RunOptions> {
        Ok(RunOptions {
            out: self.out.clone(),
            device: self.device.device.open().map_err(PipelineError::from)?,
            stop: interrupt::stop_on_ctrl_c()?,
            progress,
            dashboard: false,
        })
    }
}

/// Runs every stage.
pub(crate) fn run(
    arguments: &RecipeArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides.set)?;
    let report = pipeline::run(&recipe, &arguments.options(progress)?)?;
    Ok(Outcome {
        text: format!("{}\n{}", report.table(), arguments.out.display()),
        document: json!({ "out": arguments.out, "report": report }),
    })
}

/// Runs the stages up to `last`.
pub(crate) fn run_until(
    arguments: &RecipeArguments,
    last: RunStage,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides.set)?;
    pipeline::run_until(&recipe, &arguments.options(progress)?, last)?;
    Ok(Outcome {
        text: arguments.out.display().to_string(),
        document: json!({ "out": arguments.out }),
    })
}
