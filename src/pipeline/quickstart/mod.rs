//! The embedded demonstration: everything in one command, nothing to download.

mod teacher_recipe;
mod teacher_training;

use std::path::Path;
use std::sync::Arc;

use alambic_distill::StopHandle;
use burn::tensor::Device;

use super::{PipelineError, Progress};

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
        progress.note(&format!("{family}: {} of {} solved", score.solved, score.asked));
    }
    Ok(score.accuracy())
}
