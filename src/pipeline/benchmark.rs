//! A model on a benchmark task.

use std::path::{Path, PathBuf};

use alambic_eval::{ChoiceReport, ScoringOptions, Task, TooLong, score_choices, shipped_task};
use alambic_text::SpecialTokens;
use burn::tensor::Device;

use super::run_directory::write_atomically;
use super::{LanguageModel, PipelineError};

/// How a model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkOptions {
    /// The first so many questions only.
    pub limit: Option<usize>,
    /// What becomes of texts that are longer than the model reads.
    pub too_long: TooLong,
    /// Whether choices are also scored without their question.
    pub unconditional: bool,
    /// Decides what the bootstrap draws.
    pub seed: u64,
}

/// The task of a name that comes with Alambic, or of a TOML file.
///
/// # Errors
/// [`PipelineError::Eval`] naming all tasks, if it is neither.
pub fn find_task(name_or_file: &str) -> Result<Task, PipelineError> {
    let path = Path::new(name_or_file);
    match path.is_file() {
        true => Ok(Task::from_file(path)?),
        false => Ok(shipped_task(name_or_file)?),
    }
}

/// Lets a model answer the questions of some files of records.
///
/// Every text begins with the token that the model's tokenizer puts there by itself, if it does.
///
/// # Errors
/// Those of loading the model, of reading tasks and records, and of scoring; [`PipelineError::Input`] for a limit of 0.
pub fn benchmark(
    model: &Path,
    task: &Task,
    data: &[PathBuf],
    options: &BenchmarkOptions,
    device: &Device,
) -> Result<ChoiceReport, PipelineError> {
    let mut questions = Vec::new();
    for file in data {
        questions.extend(task.questions_of_file(file)?);
    }
    questions.truncate(options.limit.unwrap_or(usize::MAX));
    let model = LanguageModel::load(model, device)?;
    let begin = model.tokenizer.encode("", SpecialTokens::Add)?.ids;
    let scored = score_choices(
        model.teacher.decoder(),
        &model.tokenizer,
        &questions,
        &ScoringOptions {
            begin_token: begin.first().copied(),
            too_long: options.too_long,
            unconditional: options.unconditional,
        },
    )?;
    let report = ChoiceReport::new(&task.name, &model.name(), scored, options.seed);
    report.ok_or_else(|| PipelineError::Input {
        what: "the questions".into(),
        expected: "at least one".into(),
        found: "none".into(),
        advice: "name files of records, and a limit above 0".into(),
    })
}

/// Writes a report with the scores of every choice as JSON; the file appears whole or not at all.
///
/// # Errors
/// [`PipelineError::Io`].
pub fn write_benchmark(report: &ChoiceReport, out: &Path) -> Result<(), PipelineError> {
    let text = serde_json::to_string_pretty(report).expect("a report is numbers and names") + "\n";
    let written = write_atomically(out, text.as_bytes());
    written.map_err(|source| PipelineError::io("write", out, source))
}
