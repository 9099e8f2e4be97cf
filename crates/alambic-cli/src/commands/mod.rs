//! One file per command: its arguments, and the call that does its work.

pub(crate) mod cache;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod quickstart;
pub(crate) mod recipe;
pub(crate) mod report;

use std::sync::Arc;

use alambic::pipeline::{Progress, RunStage};

use crate::arguments::Command;
use crate::output::Outcome;

/// Does what was asked for.
pub(crate) fn execute(command: &Command, progress: Arc<dyn Progress>) -> anyhow::Result<Outcome> {
    match command {
        Command::Run(arguments) => recipe::run(arguments, progress),
        Command::Capture(arguments) => recipe::run_until(arguments, RunStage::Capture, progress),
        Command::Train(arguments) => recipe::run_until(arguments, RunStage::Train, progress),
        Command::Evaluate(arguments) => recipe::run_until(arguments, RunStage::Evaluate, progress),
        Command::Cache { command } => cache::execute(command),
        Command::Report(arguments) => report::execute(arguments),
        Command::Quickstart(_)
        | Command::Doctor(_)
        | Command::Generate(_)
        | Command::Experiment(_)
        | Command::Export(_) => {
            anyhow::bail!("alambic {} is not part of this build", command.name())
        }
    }
}
