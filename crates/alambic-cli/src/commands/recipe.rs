//! `alambic run`, `train`, `evaluate` and `experiment`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic::pipeline::recipe::{LoadedRecipe, Recipe};
use alambic::pipeline::report::{REPORT_HTML, Report};
use alambic::pipeline::{self, Progress, RunOptions, RunStage};
use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::run_options;
use crate::arguments::{DashboardArguments, DeviceArguments, OverrideArguments};
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
    #[command(flatten)]
    pub(crate) dashboard: DashboardArguments,
}

impl RecipeArguments {
    /// The recipe first: its mistakes cost no device.
    pub(super) fn open(
        &self,
        progress: Arc<dyn Progress>,
    ) -> anyhow::Result<(LoadedRecipe, RunOptions)> {
        let recipe = Recipe::load(&self.recipe, &self.overrides.set)?;
        let options = run_options(&self.out, &self.device, &self.dashboard, progress)?;
        Ok((recipe, options))
    }
}

/// Runs every stage.
pub(crate) fn run(
    arguments: &RecipeArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let (recipe, options) = arguments.open(progress)?;
    let report = pipeline::run(&recipe, &options)?;
    Ok(report_outcome(&arguments.out, &report))
}

/// What a finished run is told with.
pub(crate) fn report_outcome(out: &Path, report: &Report) -> Outcome {
    Outcome::done(
        format!(
            "{}\n\n{}",
            report.table().trim_end(),
            out.join(REPORT_HTML).display()
        ),
        json!({ "out": out, "report": report }),
    )
}

/// Runs the stages up to `last`.
pub(crate) fn run_until(
    arguments: &RecipeArguments,
    last: RunStage,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let (recipe, options) = arguments.open(progress)?;
    pipeline::run_until(&recipe, &options, last)?;
    let out = &arguments.out;
    Ok(Outcome::done(
        out.display().to_string(),
        json!({ "out": out }),
    ))
}

/// The page that an experiment leaves in its directory.
const EXPERIMENT_PAGE: &str = "experiment.md";

/// Repeats the recipe over seeds and learning rates.
pub(crate) fn experiment(
    arguments: &RecipeArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let (recipe, options) = arguments.open(progress)?;
    let experiment = pipeline::experiment(&recipe, &options)?;
    let page = arguments.out.join(EXPERIMENT_PAGE);
    let text = std::fs::read_to_string(&page)
        .with_context(|| format!("cannot read {}", page.display()))?;
    Ok(Outcome::done(
        text,
        json!({ "out": arguments.out, "experiment": experiment }),
    ))
}
