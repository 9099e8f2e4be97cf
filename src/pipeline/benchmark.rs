//! A model on a benchmark task.

use std::path::{Path, PathBuf};

use alambic_eval::{
    ChatPrompting, EvaluationOptions, Prompting, ShotChoice, ShotTurns, Shots, Task, TaskRecord,
    TaskReport, TooLong, evaluate, shipped_task,
};
use alambic_text::{ChatTemplate, FixedDate, SpecialTokens};
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
    /// A published file of examples that stands before every question, if one does.
    pub preamble: Option<PathBuf>,
    /// Examples before every question, if some are shown.
    pub shots: Option<BenchmarkShots>,
    /// The chat in which questions are asked, if they are.
    pub chat: Option<BenchmarkChat>,
    /// How many answers in the model's own words are written beside each other.
    pub batch: usize,
    /// Decides what the bootstrap draws.
    pub seed: u64,
}

/// Examples before every question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkShots {
    /// Files and directories of records, in the task's format.
    pub data: Vec<PathBuf>,
    /// How many stand before a question.
    pub count: usize,
    /// Which of them do.
    pub choice: ShotChoice,
}

/// A chat with the model's own template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkChat {
    /// The system's message, if there is one.
    pub system: Option<String>,
    /// Where examples stand.
    pub shot_turns: ShotTurns,
    /// The day that the template is told, if it asks for today's; such a template is an error without.
    pub date: Option<FixedDate>,
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

/// Lets a model answer the questions of some files of records; of a directory, those of all its files, in the order of their
/// names.
///
/// Every text begins with the token that the model's tokenizer puts there by itself, if it does; a chat template that writes
/// this token gets no second one.
///
/// # Errors
/// Those of loading the model, of reading tasks and records, and of scoring; [`PipelineError::Input`] for a limit or a batch of 0,
/// and for a chat with a model that has no template.
pub fn benchmark(
    model: &Path,
    task: &Task,
    data: &[PathBuf],
    options: &BenchmarkOptions,
    device: &Device,
) -> Result<TaskReport, PipelineError> {
    if options.batch == 0 {
        return Err(none("the batch of answers", "a batch above 0"));
    }
    let mut records = records_of(task, data)?;
    records.truncate(options.limit.unwrap_or(usize::MAX));
    let questions = task.questions(&records, &prompting(model, task, options)?)?;
    let model = LanguageModel::load(model, device)?;
    let begin = model.tokenizer.encode("", SpecialTokens::Add)?.ids;
    let report = evaluate(
        model.teacher.decoder(),
        &model.tokenizer,
        (task, &model.name()),
        &questions,
        &EvaluationOptions {
            begin_token: begin.first().copied(),
            stop_tokens: model.eos_token_ids.clone(),
            too_long: options.too_long,
            unconditional: options.unconditional,
            batch: options.batch,
            seed: options.seed,
        },
    )?;
    report.ok_or_else(|| none("the questions", "files of records, and a limit above 0"))
}

fn none(what: &str, name: &str) -> PipelineError {
    PipelineError::Input {
        what: what.into(),
        expected: "at least one".into(),
        found: "none".into(),
        advice: format!("name {name}"),
    }
}

/// The records of files, and of the files of directories.
pub(super) fn records_of(task: &Task, data: &[PathBuf]) -> Result<Vec<TaskRecord>, PipelineError> {
    let mut records = Vec::new();
    for path in data {
        if !path.is_dir() {
            records.extend(task.records_of_file(path)?);
            continue;
        }
        let failed = |source| PipelineError::io("read", path, source);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            files.push(entry.map_err(failed)?.path());
        }
        files.retain(|file| file.is_file());
        files.sort();
        for file in files {
            records.extend(task.records_of_file(&file)?);
        }
    }
    Ok(records)
}

/// What stands before and around every question.
fn prompting(
    model: &Path,
    task: &Task,
    options: &BenchmarkOptions,
) -> Result<Prompting, PipelineError> {
    let preamble = match &options.preamble {
        None => String::new(),
        Some(file) => task.preamble_of_file(file)?,
    };
    let shots = match &options.shots {
        None => None,
        Some(shots) => Some(Shots {
            records: records_of(task, &shots.data)?,
            count: shots.count,
            choice: shots.choice,
        }),
    };
    let chat = match &options.chat {
        None => None,
        Some(chat) => {
            let template = ChatTemplate::from_directory(model)?;
            let template = template.ok_or_else(|| PipelineError::Input {
                what: format!("a chat with {}", model.display()),
                expected: "chat_template.jinja, or a chat_template in tokenizer_config.json".into(),
                found: "neither".into(),
                advice: "ask without a chat, or add the template that the model was trained with"
                    .into(),
            })?;
            Some(ChatPrompting {
                template: match chat.date {
                    None => template,
                    Some(date) => template.with_date(date),
                },
                system: chat.system.clone(),
                shot_turns: chat.shot_turns,
            })
        }
    };
    Ok(Prompting {
        preamble,
        shots,
        chat,
    })
}

/// Writes a report with every question as JSON; the file appears whole or not at all.
///
/// # Errors
/// [`PipelineError::Io`].
pub fn write_benchmark(report: &TaskReport, out: &Path) -> Result<(), PipelineError> {
    let text = serde_json::to_string_pretty(report).expect("a report is numbers and names") + "\n";
    let written = write_atomically(out, text.as_bytes());
    written.map_err(|source| PipelineError::io("write", out, source))
}
