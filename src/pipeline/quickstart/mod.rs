//! The embedded demonstration: everything in one command, nothing to download.

mod embedded;
mod teacher_recipe;
mod teacher_training;

use std::path::Path;
use std::sync::Arc;

use alambic_distill::StopHandle;
use burn::tensor::Device;

use super::recipe::{Recipe, RecipeText};
use super::report::Report;
use super::{PipelineError, Progress, RunOptions, run};

/// Distils the embedded teacher into a student a quarter of its size and reports on both.
///
/// Runs `configs/quickstart.toml`, which is part of the program, in `options.out`. An interrupted
/// quickstart continues where it was; a finished one is found again.
///
/// # Errors
/// Those of [`run`]; a directory that holds another run is refused.
pub fn quickstart(options: &RunOptions, seed: Option<u64>) -> Result<Report, PipelineError> {
    embedded::write_teacher(&options.out.join("teacher"))?;
    let source = RecipeText {
        name: "quickstart.toml",
        text: include_str!("../../../configs/quickstart.toml"),
        directory: &options.out,
    };
    let overrides: Vec<String> = seed.iter().map(|seed| format!("seed={seed}")).collect();
    run(&Recipe::parse(&source, &overrides)?, options)
}

/// Trains the quickstart's teacher anew, by the recipe that made the embedded one.
///
/// Writes a Hugging Face directory to `directory/teacher` and returns the share of problems of
/// unseen templates that it solves. An interrupted training continues where it was.
///
/// # Errors
/// Those of the trainer, and of writing the directory.
pub fn train_quickstart_teacher(
    directory: &Path,
    device: &Device,
    stop: &StopHandle,
    progress: &Arc<dyn Progress>,
) -> Result<f64, PipelineError> {
    let score = teacher_training::train_teacher(directory, device, stop, progress)?;
    for (family, score) in &score.families {
        progress.note(&format!(
            "{family}: {} of {} solved",
            score.solved, score.asked
        ));
    }
    Ok(score.accuracy())
}
