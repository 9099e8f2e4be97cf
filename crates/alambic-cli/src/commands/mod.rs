//! One file per command: its arguments, and the call that does its work.

pub(crate) mod benchmark;
pub(crate) mod cache;
pub(crate) mod cache_conversion;
pub(crate) mod cache_verification;
pub(crate) mod capture;
pub(crate) mod derived_cache;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod merge;
pub(crate) mod quickstart;
pub(crate) mod recipe;
pub(crate) mod report;
pub(crate) mod score;
pub(crate) mod study;
pub(crate) mod synthesize;

use std::path::Path;
use std::sync::Arc;

use alambic::pipeline::{PipelineError, Progress, RunOptions, RunStage};

use crate::arguments::{Command, DashboardArguments, DeviceArguments};
use crate::interrupt;
use crate::output::{Outcome, Output};

/// Does what was asked for.
pub(crate) fn execute(
    command: &Command,
    output: Output,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    match command {
        Command::Quickstart(arguments) => quickstart::execute(arguments, progress),
        Command::Run(arguments) => recipe::run(arguments, progress),
        Command::Capture(arguments) => capture::execute(arguments, progress),
        Command::Train(arguments) => recipe::run_until(arguments, RunStage::Train, progress),
        Command::Evaluate(arguments) => recipe::run_until(arguments, RunStage::Evaluate, progress),
        Command::Doctor(arguments) => doctor::execute(arguments),
        Command::Generate(arguments) => generate::execute(arguments, output),
        Command::Cache { command } => cache::execute(command, progress),
        Command::Score(arguments) => score::execute(arguments),
        Command::Report(arguments) => report::execute(arguments),
        Command::Experiment(arguments) => recipe::experiment(arguments, progress),
        Command::Study(arguments) => study::execute(arguments, progress),
        Command::Export(arguments) => export::execute(arguments),
        Command::Merge(arguments) => merge::execute(arguments),
        Command::Benchmark(arguments) => benchmark::execute(arguments),
        Command::Synthesize(arguments) => synthesize::execute(arguments, progress),
    }
}

/// Opens the device and listens for Ctrl-C.
fn run_options(
    out: &Path,
    device: &DeviceArguments,
    dashboard: &DashboardArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<RunOptions> {
    Ok(RunOptions {
        out: out.into(),
        device: device.device.open().map_err(PipelineError::from)?,
        stop: interrupt::stop_on_ctrl_c()?,
        progress,
        dashboard: dashboard.dashboard,
    })
}
