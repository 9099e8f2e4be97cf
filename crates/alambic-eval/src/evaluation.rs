//! A model on a task, of whatever kind its questions are.

use alambic_text::Tokenizer;
use alambic_transformer::Decoder;
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::choice::{ScoringOptions, score_choices};
use crate::continuation::score_continuations;
use crate::continuation_report::ContinuationReport;
use crate::encoding::TooLong;
use crate::generation::{GenerationOptions, generate_answers};
use crate::generation_report::GenerationReport;
use crate::questions::Questions;
use crate::report::ChoiceReport;
use crate::task::{QuestionTemplates, Task};

/// How a model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationOptions {
    /// The token that begins every text, if one does. A text that begins with it already gets no second one.
    pub begin_token: Option<u32>,
    /// Tokens that end an answer in the model's own words.
    pub stop_tokens: Vec<u32>,
    /// What becomes of texts that are longer than the model reads.
    pub too_long: TooLong,
    /// Whether choices are also scored without their question.
    pub unconditional: bool,
    /// How many answers are written beside each other.
    pub batch: usize,
    /// Decides what the bootstrap draws.
    pub seed: u64,
}

/// What a model reaches on a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TaskReport {
    /// Of questions with choices.
    Choice(ChoiceReport),
    /// Of given continuations.
    Continuation(ContinuationReport),
    /// Of answers in the model's own words.
    Generation(GenerationReport),
}

/// Lets a model answer the questions of a task; none if there are no questions.
///
/// # Errors
/// Those of [`score_choices`], [`score_continuations`] and [`generate_answers`]; [`EvalError::Task`] for questions of another
/// kind than the task's.
///
/// # Panics
/// If answers are to be written in batches of 0.
pub fn evaluate(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    (task, model): (&Task, &str),
    questions: &Questions,
    options: &EvaluationOptions,
) -> Result<Option<TaskReport>, EvalError> {
    let scoring = ScoringOptions {
        begin_token: options.begin_token,
        too_long: options.too_long,
        unconditional: options.unconditional,
    };
    let (name, seed) = (&task.name, options.seed);
    Ok(match (questions, &task.question) {
        (Questions::Choice(questions), _) => {
            let scored = score_choices(decoder, tokenizer, questions, &scoring)?;
            ChoiceReport::new(name, model, scored, seed).map(TaskReport::Choice)
        }
        (Questions::Continuation(questions), _) => {
            let scored = score_continuations(decoder, tokenizer, questions, &scoring)?;
            ContinuationReport::new(name, model, scored, seed).map(TaskReport::Continuation)
        }
        (Questions::Generation(questions), QuestionTemplates::Generation(templates)) => {
            let options = GenerationOptions {
                begin_token: options.begin_token,
                stop_tokens: options.stop_tokens.clone(),
                too_long: options.too_long,
                batch: options.batch,
            };
            let answers = generate_answers(decoder, tokenizer, templates, questions, &options)?;
            GenerationReport::new(name, model, answers, seed).map(TaskReport::Generation)
        }
        (Questions::Generation(_), _) => {
            return Err(EvalError::Task {
                task: name.clone(),
                problem: "expected questions of its own kind, found ones to be answered freely"
                    .into(),
            });
        }
    })
}

impl TaskReport {
    /// How many questions were asked.
    pub fn num_questions(&self) -> usize {
        match self {
            Self::Choice(report) => report.questions.len(),
            Self::Continuation(report) => report.questions.len(),
            Self::Generation(report) => report.questions.len(),
        }
    }

    /// How many questions lost their first tokens.
    pub fn cut_questions(&self) -> usize {
        match self {
            Self::Choice(report) => report.cut_questions,
            Self::Continuation(report) => report.cut_questions,
            Self::Generation(report) => report.cut_questions,
        }
    }

    /// A Markdown table with one line.
    pub fn markdown(&self) -> String {
        match self {
            Self::Choice(report) => ChoiceReport::markdown(std::slice::from_ref(report)),
            Self::Continuation(report) => {
                ContinuationReport::markdown(std::slice::from_ref(report))
            }
            Self::Generation(report) => GenerationReport::markdown(std::slice::from_ref(report)),
        }
    }
}
