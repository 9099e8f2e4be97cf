//! `alambic report`

use std::path::PathBuf;

use alambic::pipeline::PipelineError;
use alambic::pipeline::report::{REPORT_JSON, Report, compare};
use clap::Args;
use serde_json::json;

use crate::output::Outcome;

/// Arguments of `alambic report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Run directories; several are compared.
    #[arg(value_name = "RUN_DIR", required = true)]
    pub(crate) runs: Vec<PathBuf>,
}

/// Shows one report, or compares several.
pub(crate) fn execute(arguments: &ReportArguments) -> anyhow::Result<Outcome> {
    let mut reports = Vec::new();
    for run in &arguments.runs {
        reports.push(Report::read(&run.join(REPORT_JSON)).map_err(PipelineError::from)?);
    }
    let text = match reports.as_slice() {
        [report] => report.table(),
        reports => compare(reports).table(),
    };
    let runs: Vec<_> = arguments.runs.iter().zip(&reports).collect();
    let runs = runs
        .iter()
        .map(|(run, report)| json!({ "directory": run, "report": report }));
    Ok(Outcome::done(
        text,
        json!({ "runs": runs.collect::<Vec<_>>() }),
    ))
}
