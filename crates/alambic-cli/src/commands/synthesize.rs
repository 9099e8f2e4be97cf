//! `alambic synthesize`.

use std::path::PathBuf;
use std::sync::Arc;

use alambic::pipeline::{PipelineError, Progress, SynthesisOptions, SynthesisRecipe, synthesize};
use alambic::synth::EarlierFailures;
use clap::Args;
use serde_json::json;

use crate::arguments::{DeviceArguments, OverrideArguments};
use crate::interrupt;
use crate::output::{Outcome, Verdict};

/// What a dataset is made from, and where it goes.
#[derive(Debug, Args)]
pub(crate) struct SynthesizeArguments {
    /// The recipe of the dataset, a TOML file with prompts, strategies, a teacher and checks.
    #[arg(value_name = "RECIPE")]
    pub(crate) recipe: PathBuf,
    /// The directory of answers and dataset; the same directory goes on where it ended.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Ask again for what failed for good earlier.
    #[arg(long)]
    pub(crate) retry_failed: bool,
    #[command(flatten)]
    pub(crate) overrides: OverrideArguments,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

/// Makes the dataset, or goes on with it, and says what became of the answers.
pub(crate) fn execute(
    arguments: &SynthesizeArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let recipe = SynthesisRecipe::load(&arguments.recipe, &arguments.overrides.set);
    let recipe = recipe.map_err(PipelineError::from)?;
    let stop = interrupt::stop_on_ctrl_c()?;
    let options = SynthesisOptions {
        out: arguments.out.clone(),
        device: arguments
            .device
            .device
            .open()
            .map_err(PipelineError::from)?,
        earlier_failures: match arguments.retry_failed {
            true => EarlierFailures::Retry,
            false => EarlierFailures::Keep,
        },
        stop,
        progress,
    };
    let report = synthesize(&recipe, &options)?;
    Ok(Outcome {
        text: report.summary(),
        verdict: match report.is_complete() {
            true => Verdict::Done,
            false => Verdict::Failed,
        },
        document: json!({ "out": arguments.out, "synthesis": report }),
    })
}
