//! What joins the crates: the recipe, its stages, and what they leave behind.

mod answers;
mod benchmark;
mod cache_check;
mod continuation;
mod doctor;
mod error;
mod experiment;
mod export;
mod found_cache;
mod hub;
mod language_model;
mod model_directory;
mod model_tokenizer;
mod panels;
mod peak_memory;
mod progress;
mod quickstart;
pub mod recipe;
pub mod report;
mod run_directory;
mod stages;
mod study;
pub mod synthesis;
mod text_source;
mod token_files;
mod training_progress;
mod training_setup;

pub use benchmark::{
    BenchmarkChat, BenchmarkOptions, BenchmarkShots, benchmark, find_task, write_benchmark,
};
pub use cache_check::{CacheCheckOptions, check_cache};
pub use continuation::{Continuation, ContinuationOptions, continue_text};
pub use doctor::{Diagnosis, Finding, Severity, doctor};
pub use error::PipelineError;
pub use experiment::{Contender, ContenderRun, Experiment, experiment};
pub use export::{export, merge_adapter};
pub use hub::find_model;
pub use language_model::LanguageModel;
pub use model_tokenizer::ModelTokenizer;
pub use progress::{NoProgress, Progress};
pub use quickstart::{quickstart, train_quickstart_teacher};
pub use stages::{PartOutcome, RunOptions, RunStage, capture_part, run, run_until};
pub use study::{StudiedVariant, Study, StudyRun, Variant, study};
pub use synthesis::{SynthesisOptions, SynthesisRecipe, SynthesisReport, synthesize};
pub use token_files::{continue_tokens, score_tokens};
