//! What joins the crates: the recipe, its stages, and what they leave behind.

mod answers;
mod cache_check;
mod continuation;
mod doctor;
mod error;
mod experiment;
mod export;
mod found_cache;
mod language_model;
mod model_directory;
mod panels;
mod peak_memory;
mod progress;
mod quickstart;
pub mod recipe;
pub mod report;
mod run_directory;
mod stages;
mod study;
mod text_source;
mod token_files;
mod training_progress;
mod training_setup;

pub use cache_check::{CacheCheckOptions, check_cache};
pub use continuation::{Continuation, ContinuationOptions, continue_text};
pub use doctor::{Diagnosis, Finding, Severity, doctor};
pub use error::PipelineError;
pub use experiment::{Contender, ContenderRun, Experiment, experiment};
pub use export::export;
pub use language_model::LanguageModel;
pub use progress::{NoProgress, Progress};
pub use quickstart::{quickstart, train_quickstart_teacher};
pub use stages::{PartOutcome, RunOptions, RunStage, capture_part, run, run_until};
pub use study::{StudiedVariant, Study, StudyRun, Variant, study};
pub use token_files::{continue_tokens, score_tokens};
