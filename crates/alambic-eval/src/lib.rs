//! Benchmark tasks for small language models: multiple choice by log-likelihood.
//!
//! # Guide
//!
//! A [`Task`] says how the records of a benchmark's own files become [`ChoiceQuestion`]s. [`score_choices`] lets a model
//! score every choice; a [`ChoiceReport`] has the accuracies with their intervals, as JSON and as Markdown.
//!
//! ```
//! use alambic_eval::{Normalisation, Task};
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
//! let questions = task.questions(lines.as_bytes(), "little.jsonl")?;
//! assert_eq!(questions[0].prompt, "Question: 2 + 3?\nAnswer:");
//! assert_eq!(questions[0].choices, [" 4", " 5"]);
//! assert_eq!(Normalisation::Sum.name(), "sum");
//! # Ok::<(), alambic_eval::EvalError>(())
//! ```

mod bootstrap;
mod choice;
mod encoding;
mod error;
mod records;
mod report;
mod shipped;
mod task;

pub use bootstrap::{Interval, accuracy};
pub use choice::{ChoiceScores, ScoredQuestion, ScoringOptions, TooLong, score_choices};
pub use error::EvalError;
pub use records::RecordFormat;
pub use report::{Accuracy, ChoiceReport, Normalisation};
pub use shipped::{shipped_task, shipped_tasks};
pub use task::{ChoiceQuestion, ChoiceTemplates, Task};
