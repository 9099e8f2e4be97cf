//! `alambic benchmark`

use std::path::PathBuf;

use alambic::eval::{ChoiceReport, TooLong};
use alambic::pipeline::{
    BenchmarkOptions, PipelineError, benchmark, find_model, find_task, write_benchmark,
};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::arguments::DeviceArguments;
use crate::output::Outcome;
use crate::progress::for_stderr;

/// What the bootstrap draws when nothing else is said.
const DEFAULT_SEED: u64 = 0;

/// Arguments of `alambic benchmark`.
#[derive(Debug, Args)]
pub(crate) struct BenchmarkArguments {
    /// The model: a directory in the Hugging Face layout with a tokenizer, or hub:ORG/NAME@REVISION.
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// A task that comes with Alambic, such as mmlu, or a TOML file that describes one.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) task: String,
    /// A file of the task's records; may be repeated.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) data: Vec<PathBuf>,
    /// Ask the first N questions only.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// What becomes of texts that are longer than the model reads.
    #[arg(long, value_enum, default_value_t = LongTexts::Error)]
    pub(crate) too_long: LongTexts,
    /// Also score choices without their question, where the task says what stands before them.
    #[arg(long)]
    pub(crate) unconditional: bool,
    /// Decides what the bootstrap draws.
    #[arg(long, value_name = "S", default_value_t = DEFAULT_SEED)]
    pub(crate) seed: u64,
    /// A JSON file that gets the report, with the scores of every choice.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

/// What becomes of texts that are longer than the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LongTexts {
    /// They are refused.
    Error,
    /// They lose their first tokens; how many did is said.
    CutFront,
}

impl From<LongTexts> for TooLong {
    fn from(long: LongTexts) -> Self {
        match long {
            LongTexts::Error => Self::Error,
            LongTexts::CutFront => Self::CutFront,
        }
    }
}

/// Asks the model, and prints what it reaches.
pub(crate) fn execute(arguments: &BenchmarkArguments) -> anyhow::Result<Outcome> {
    let device = arguments.device.device;
    let device = device.open().map_err(PipelineError::from)?;
    let task = find_task(&arguments.task)?;
    let model = find_model(&arguments.model, &*for_stderr())?;
    let options = BenchmarkOptions {
        limit: arguments.limit,
        too_long: arguments.too_long.into(),
        unconditional: arguments.unconditional,
        seed: arguments.seed,
    };
    let report = benchmark(&model, &task, &arguments.data, &options, &device)?;
    if let Some(out) = &arguments.out {
        write_benchmark(&report, out)?;
    }
    let mut text = ChoiceReport::markdown(std::slice::from_ref(&report));
    if report.cut_questions > 0 {
        let (cut, all) = (report.cut_questions, report.questions.len());
        text += &format!("{cut} of {all} questions lost their first tokens\n");
    }
    let document = json!({
        "task": report.task,
        "model": report.model,
        "questions": report.questions.len(),
        "cut_questions": report.cut_questions,
        "chance": report.chance,
        "accuracies": report.accuracies,
    });
    Ok(Outcome::done(text.trim_end().to_owned(), document))
}
