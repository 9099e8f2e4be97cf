//! Benchmark tasks for small language models: choices and continuations by log-likelihood, and answers in a model's own words.
//!
//! # Guide
//!
//! A [`Task`] says how the records of a benchmark's own files become [`Questions`]; a [`Prompting`] says what stands before and
//! around them: examples, a chat, a system's message. [`evaluate`] lets a model answer; a [`TaskReport`] has what it reaches
//! with intervals, as JSON and as Markdown. Each kind of question can be asked alone: [`score_choices`],
//! [`score_continuations`], [`generate_answers`]. Answers to instructions, which no rule judges, are compared in pairs by
//! another model ([`AnswerPair`], [`PairwiseReport`]).
//!
//! ```
//! use alambic_eval::{Normalisation, Prompting, Task};
//!
//! let task: Task = r#"
//!     name = "little"
//!     description = "Two records, as an example"
//!     [records]
//!     format = "json_lines"
//!     [choice]
//!     prompt = "Question: {{ query }}\nAnswer:"
//!     choices = "options"
//!     answer = "gold"
//! "#
//! .parse()?;
//! let lines = r#"{"query": "2 + 3?", "options": ["4", "5"], "gold": 1}
//! {"query": "Is ice warm?", "options": ["yes", "no"], "gold": 1}"#;
//! let records = task.records(lines.as_bytes(), None, "little.jsonl")?;
//! let questions = task.questions(&records, &Prompting::default())?.choices().unwrap_or_default();
//! assert_eq!(questions[0].choices[1].prompt, "Question: 2 + 3?\nAnswer:");
//! assert_eq!(questions[0].choices[1].text, " 5");
//! assert_eq!(Normalisation::Sum.name(), "sum");
//! # Ok::<(), alambic_eval::EvalError>(())
//! ```

mod bootstrap;
mod choice;
mod choice_question;
mod continuation;
mod continuation_question;
mod continuation_report;
mod encoding;
mod error;
mod evaluation;
mod generation;
mod generation_question;
mod generation_report;
mod pairwise;
mod pairwise_report;
mod prefix_templates;
mod prompting;
mod questions;
mod report;
mod shipped;
mod shots;
mod task;
mod task_file;
mod task_records;

pub use bootstrap::{Interval, accuracy, mean};
pub use choice::{ChoiceScores, ScoredQuestion, ScoringOptions, score_choices};
pub use choice_question::{Choice, ChoiceQuestion, ChoiceTemplates};
pub use continuation::{ScoredContinuation, score_continuations};
pub use continuation_question::{ContinuationQuestion, ContinuationTemplates};
pub use continuation_report::ContinuationReport;
pub use encoding::TooLong;
pub use error::EvalError;
pub use evaluation::{EvaluationOptions, TaskReport, evaluate};
pub use generation::{GeneratedAnswer, GenerationOptions, generate_answers};
pub use generation_question::{AnswerTemplates, GenerationQuestion, GenerationTemplates};
pub use generation_report::GenerationReport;
pub use pairwise::{AnswerPair, PairwiseJudgement, Verdict};
pub use pairwise_report::PairwiseReport;
pub use prefix_templates::PrefixTemplates;
pub use prompting::{ChatPrompting, Prompting, ShotTurns};
pub use questions::Questions;
pub use report::{Accuracy, ChoiceReport, Normalisation};
pub use shipped::{shipped_task, shipped_tasks};
pub use shots::{ShotChoice, Shots};
pub use task::{FewShotTemplates, QuestionTemplates, Task};
pub use task_records::{AnswersFile, TaskRecord};
