//! `alambic benchmark`

use std::path::PathBuf;

use alambic::eval::{ShotChoice, ShotTurns, TaskReport, TooLong};
use alambic::pipeline::{
    BenchmarkChat, BenchmarkOptions, BenchmarkShots, PipelineError, benchmark, find_model,
    find_task, write_benchmark,
};
use alambic::text::FixedDate;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::arguments::DeviceArguments;
use crate::output::Outcome;
use crate::progress::for_stderr;

/// What the bootstrap draws, and which examples are drawn, when nothing else is said.
const DEFAULT_SEED: u64 = 0;
/// How many answers are written beside each other when nothing else is said.
const DEFAULT_BATCH: usize = 16;

/// Arguments of `alambic benchmark`.
#[derive(Debug, Args)]
pub(crate) struct BenchmarkArguments {
    /// The model: a directory in the Hugging Face layout with a tokenizer, or hub:ORG/NAME@REVISION.
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// A task that comes with Alambic, such as mmlu, or a TOML file that describes one.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) task: String,
    /// A file of the task's records, or a directory of such files; may be repeated.
    #[arg(long, value_name = "FILE|DIR", required = true)]
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
    /// Show N examples before every question.
    #[arg(long, value_name = "N", requires = "shots_file")]
    pub(crate) shots: Option<usize>,
    /// A file of records for the examples, or a directory of such files; may be repeated. A question is never its own example.
    #[arg(long, value_name = "FILE|DIR", requires = "shots")]
    pub(crate) shots_file: Vec<PathBuf>,
    /// Which records are shown as examples.
    #[arg(long, value_enum, default_value_t = ShotOrder::First)]
    pub(crate) shot_choice: ShotOrder,
    /// A file of examples as the task's authors publish it, such as BIG-Bench Hard's chains of thought: stands before every question.
    #[arg(long, value_name = "FILE")]
    pub(crate) preamble: Option<PathBuf>,
    /// Ask in a chat, with the model's own template.
    #[arg(long)]
    pub(crate) chat: bool,
    /// The system's message of the chat.
    #[arg(long, value_name = "TEXT", requires = "chat")]
    pub(crate) system: Option<String>,
    /// Where examples stand in the chat.
    #[arg(long, value_enum, requires = "chat", default_value_t = ShotPlace::Joined)]
    pub(crate) shot_turns: ShotPlace,
    /// The day that the chat template is told, if it asks for today's: YYYY-MM-DD.
    #[arg(long, value_name = "DATE", requires = "chat")]
    pub(crate) chat_date: Option<FixedDate>,
    /// Write N answers beside each other, where they are in the model's own words.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BATCH)]
    pub(crate) batch: usize,
    /// Decides what the bootstrap draws, and which examples are drawn.
    #[arg(long, value_name = "S", default_value_t = DEFAULT_SEED)]
    pub(crate) seed: u64,
    /// A JSON file that gets the report, with every question.
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

/// Which records are shown as examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShotOrder {
    /// The first ones, before every question the same.
    First,
    /// Others before every question, drawn by the seed.
    Random,
}

/// Where examples stand in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShotPlace {
    /// In the user's turn, before the question.
    Joined,
    /// Each in two turns of its own.
    Separate,
}

impl From<LongTexts> for TooLong {
    fn from(long: LongTexts) -> Self {
        match long {
            LongTexts::Error => Self::Error,
            LongTexts::CutFront => Self::CutFront,
        }
    }
}

impl From<ShotPlace> for ShotTurns {
    fn from(place: ShotPlace) -> Self {
        match place {
            ShotPlace::Joined => Self::Joined,
            ShotPlace::Separate => Self::Separate,
        }
    }
}

impl BenchmarkArguments {
    fn options(&self) -> BenchmarkOptions {
        let shots = self.shots.map(|count| BenchmarkShots {
            data: self.shots_file.clone(),
            count,
            choice: match self.shot_choice {
                ShotOrder::First => ShotChoice::First,
                ShotOrder::Random => ShotChoice::Random { seed: self.seed },
            },
        });
        BenchmarkOptions {
            limit: self.limit,
            too_long: self.too_long.into(),
            unconditional: self.unconditional,
            preamble: self.preamble.clone(),
            shots,
            chat: self.chat.then(|| BenchmarkChat {
                system: self.system.clone(),
                shot_turns: self.shot_turns.into(),
                date: self.chat_date,
            }),
            batch: self.batch,
            seed: self.seed,
        }
    }
}

/// Asks the model, and prints what it reaches.
pub(crate) fn execute(arguments: &BenchmarkArguments) -> anyhow::Result<Outcome> {
    let device = arguments.device.device;
    let device = device.open().map_err(PipelineError::from)?;
    let task = find_task(&arguments.task)?;
    let model = find_model(&arguments.model, &*for_stderr())?;
    let report = benchmark(
        &model,
        &task,
        &arguments.data,
        &arguments.options(),
        &device,
    )?;
    if let Some(out) = &arguments.out {
        write_benchmark(&report, out)?;
    }
    let mut text = report.markdown();
    if report.cut_questions() > 0 {
        let (cut, all) = (report.cut_questions(), report.num_questions());
        text += &format!("{cut} of {all} questions lost their first tokens\n");
    }
    Ok(Outcome::done(text.trim_end().to_owned(), document(&report)))
}

/// The report without its single questions.
fn document(report: &TaskReport) -> Value {
    let (questions, cut_questions) = (report.num_questions(), report.cut_questions());
    let (task, model, figures) = match report {
        TaskReport::Choice(report) => (
            &report.task,
            &report.model,
            json!({ "chance": report.chance, "accuracies": report.accuracies }),
        ),
        TaskReport::Continuation(report) => (
            &report.task,
            &report.model,
            json!({
                "accuracy": report.accuracy,
                "log_likelihood": report.log_likelihood,
                "perplexity": report.perplexity(),
            }),
        ),
        TaskReport::Generation(report) => (
            &report.task,
            &report.model,
            json!({
                "score": report.score,
                "without_answer": report.without_answer,
                "unfinished": report.unfinished,
            }),
        ),
    };
    let mut document = json!({
        "task": task,
        "model": model,
        "questions": questions,
        "cut_questions": cut_questions,
    });
    for (key, figure) in figures.as_object().into_iter().flatten() {
        document[key] = figure.clone();
    }
    document
}
