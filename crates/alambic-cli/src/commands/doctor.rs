//! `alambic doctor`

use std::path::PathBuf;

use alambic::pipeline::recipe::Recipe;
use alambic::pipeline::{Diagnosis, PipelineError, Severity, doctor, find_model};
use clap::Args;
use serde_json::json;

use crate::arguments::{DeviceArguments, OverrideArguments};
use crate::output::{Outcome, Verdict};
use crate::progress::for_stderr;

/// Arguments of `alambic doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// Check against this run directory too: could the run be resumed there?
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overrides: OverrideArguments,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

/// Examines the recipe and the files it names.
pub(crate) fn execute(arguments: &DoctorArguments) -> anyhow::Result<Outcome> {
    let recipe = Recipe::load(&arguments.recipe, &arguments.overrides.set)?;
    let device = arguments
        .device
        .device
        .open()
        .map_err(PipelineError::from)?;
    // What is wrong with it, the diagnosis says; here a download is only shown.
    let _ = find_model(&recipe.recipe.teacher.path, &*for_stderr());
    let diagnosis = doctor(&recipe, &device, arguments.out.as_deref());
    let verdict = if diagnosis.has_errors() {
        Verdict::BadInput
    } else {
        Verdict::Done
    };
    Ok(Outcome {
        text: describe(&diagnosis),
        document: json!(diagnosis),
        verdict,
    })
}

fn describe(diagnosis: &Diagnosis) -> String {
    let line = |severity: Severity, subject: &str, message: &str| {
        let mark = match severity {
            Severity::Note => "note   ",
            Severity::Warning => "warning",
            Severity::Error => "error  ",
        };
        format!("{mark}  {subject}: {message}\n")
    };
    let findings = diagnosis.findings.iter();
    let lines: String = findings
        .map(|finding| line(finding.severity, finding.subject, &finding.message))
        .collect();
    let conclusion = if diagnosis.has_errors() {
        "the run would fail"
    } else {
        "nothing would make the run fail"
    };
    lines + conclusion
}
