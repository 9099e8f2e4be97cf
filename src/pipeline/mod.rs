//! What joins the crates: the recipe, its stages, and what they leave behind.

mod answers;
mod error;
mod language_model;
mod peak_memory;
mod progress;
mod quickstart;
pub mod recipe;
pub mod report;
mod run_directory;
mod stages;
mod text_source;
mod training_progress;
mod training_setup;

pub use error::PipelineError;
pub use language_model::LanguageModel;
pub use progress::{NoProgress, Progress};
pub use quickstart::train_quickstart_teacher;
pub use stages::{RunOptions, RunStage, run, run_until};
