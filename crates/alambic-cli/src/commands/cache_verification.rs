//! `alambic cache verify`

use std::path::PathBuf;
use std::sync::Arc;

use alambic::cache::{CacheLocation, VerifyReport, verify};
use alambic::distill::{QuantityCheck, TeacherCheck};
use alambic::pipeline::{CacheCheckOptions, PipelineError, Progress, check_cache, find_model};
use alambic::transformer::DeviceChoice;
use clap::Args;
use serde_json::json;

use crate::output::{Outcome, Verdict};

/// The sample of a first attempt.
const DEFAULT_SEED: u64 = 0;

/// A cache, and the teacher that is asked about it.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Where the cache is: a directory, or a URL such as s3://BUCKET/PREFIX.
    #[arg(value_name = "CACHE")]
    pub(crate) cache: CacheLocation,
    /// Also compare a sample with what this model says now: the teacher that filled the cache, a
    /// directory in the Hugging Face layout or hub:ORG/NAME@REVISION.
    #[arg(long, value_name = "MODEL_DIR", requires = "sample")]
    pub(crate) teacher: Option<PathBuf>,
    /// How many segments the teacher reads again; all, if the cache has no more.
    #[arg(long, value_name = "N", requires = "teacher", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,
    /// Decides which segments.
    #[arg(long, value_name = "S", requires = "teacher", default_value_t = DEFAULT_SEED)]
    pub(crate) seed: u64,
    /// Where the teacher computes: auto, cpu, ndarray, wgpu, wgpu:N, cuda or cuda:N; auto takes a
    /// GPU when there is one.
    #[arg(
        long,
        value_name = "DEVICE",
        requires = "teacher",
        default_value = "auto"
    )]
    pub(crate) device: DeviceChoice,
}

impl VerifyArguments {
    /// What the teacher is asked; `None` without a teacher.
    fn teacher_check(
        &self,
        progress: &dyn Progress,
    ) -> Result<Option<CacheCheckOptions>, PipelineError> {
        let (Some(teacher), Some(num_segments)) = (&self.teacher, self.sample) else {
            return Ok(None);
        };
        Ok(Some(CacheCheckOptions {
            teacher: find_model(teacher, progress)?,
            device: self.device.open()?,
            num_segments,
            seed: self.seed,
        }))
    }
}

/// Checks the cache against its manifest, and then against its teacher, if there is one.
pub(crate) fn execute(
    arguments: &VerifyArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let options = arguments.teacher_check(progress.as_ref())?;
    let report = verify(&arguments.cache).map_err(PipelineError::from)?;
    let whole = Outcome::done(describe(&report), serde_json::to_value(report)?);
    let Some(options) = options else {
        return Ok(whole);
    };
    let check = check_cache(&arguments.cache, &options, progress.as_ref())?;
    let mut document = whole.document;
    document["teacher"] = json!(check);
    document["teacher"]["passed"] = json!(check.passed());
    Ok(Outcome {
        text: format!("{}\n{}", whole.text, describe_check(&check)),
        document,
        verdict: match check.passed() {
            true => Verdict::Done,
            false => Verdict::Failed,
        },
    })
}

fn describe(report: &VerifyReport) -> String {
    format!(
        "whole: {} shards, {} segments, {} tokens, {} targets, {} bytes",
        report.num_shards, report.num_segments, report.num_tokens, report.num_targets, report.bytes
    )
}

fn describe_check(check: &TeacherCheck) -> String {
    let mut lines = vec![format!(
        "the teacher read {} of {} sampled segments again, {} labels",
        check.num_compared, check.num_sampled, check.num_labels
    )];
    if check.num_not_comparable > 0 {
        lines.push(format!(
            "{} segments cannot be compared: the teacher read other tokens than the cache stores",
            check.num_not_comparable
        ));
    }
    lines.push(format!(
        "{:<18} {:>21} {:>21} {:>21} {:>13}",
        "mean, largest", "difference", "control", "rounding", "allowed mean"
    ));
    lines.extend(check.quantities.iter().map(line));
    if check.passed() {
        lines.push("the cache is what the teacher says".into());
        return lines.join("\n");
    }
    lines.push(format!(
        "the cache is not what the teacher says: {} labels deviate; capture it again",
        check.num_deviating_labels
    ));
    let deviations = check.deviations.iter();
    lines.extend(deviations.map(|deviation| format!("  {deviation}")));
    if check.num_unlisted_labels() > 0 {
        lines.push(format!("  and {} more labels", check.num_unlisted_labels()));
    }
    lines.join("\n")
}

fn line(check: &QuantityCheck) -> String {
    let spreads = [check.difference, check.control, check.rounding];
    let [difference, control, rounding] =
        spreads.map(|spread| format!("{:.2e}, {:.2e}", spread.mean, spread.largest));
    format!(
        "{:<18} {difference:>21} {control:>21} {rounding:>21} {:>13.2e}",
        check.quantity.to_string(),
        check.allowed_mean
    )
}
