//! The stages of a run, each resumable by itself.

mod capture;
mod evaluate;
mod plan;
mod samples;
mod train;
mod write_report;

pub use capture::PartOutcome;
pub(crate) use capture::{capture as capture_caches, capture_config};
pub(crate) use evaluate::{Likelihood, measure_likelihood};
pub(crate) use plan::{ForeignTeacher, Plan, student_config, tokenizer_of_student};
pub use plan::{RunOptions, RunStage};
pub(crate) use train::{TrainedArm, train_one_arm};

use alambic_cache::Part;
use alambic_transformer::check_precision;
use burn::tensor::Device;

use super::PipelineError;
use super::recipe::LoadedRecipe;
use super::report::Report;

/// Runs every stage of a recipe in order: capture, training of both arms, evaluation, report.
///
/// Finished stages are found again and skipped, interrupted ones continue.
///
/// # Errors
/// What the stages report; [`PipelineError::Stopped`] when a stop was requested.
pub fn run(recipe: &LoadedRecipe, options: &RunOptions) -> Result<Report, PipelineError> {
    check_trains(recipe, &options.device)?;
    run_plan(&Plan::open(recipe, options)?)
}

/// [`run`] for a plan that is already open.
pub(crate) fn run_plan(plan: &Plan) -> Result<Report, PipelineError> {
    capture::capture(plan)?;
    train::train(plan)?;
    write_report::write_report(plan)
}

/// Runs a recipe up to and including one stage.
///
/// # Errors
/// Those of [`run`]; [`PipelineError::Input`] for a recipe that captures nothing, if that is all that is asked for.
pub fn run_until(
    recipe: &LoadedRecipe,
    options: &RunOptions,
    last: RunStage,
) -> Result<(), PipelineError> {
    if last == RunStage::Capture {
        check_captures(recipe)?;
    }
    if last >= RunStage::Train {
        check_trains(recipe, &options.device)?;
    }
    let plan = Plan::open(recipe, options)?;
    capture::capture(&plan)?;
    if last >= RunStage::Train {
        train::train(&plan)?;
    }
    if last >= RunStage::Evaluate {
        write_report::write_report(&plan)?;
    }
    Ok(())
}

/// Captures one part of a recipe's caches, beside processes that capture the other parts.
///
/// All are given the same recipe and the same run directory, on one machine or many, and each its
/// own [`Part`]; the last one to end completes the caches. The same part again resumes it.
///
/// # Errors
/// Those of [`run`]; [`PipelineError::Input`] for a recipe that captures nothing.
pub fn capture_part(
    recipe: &LoadedRecipe,
    options: &RunOptions,
    part: Part,
) -> Result<Vec<PartOutcome>, PipelineError> {
    check_captures(recipe)?;
    capture::capture_part(&Plan::open_part(recipe, options, part)?)
}

/// Refuses a precision that students cannot be trained in on a device; teachers are asked in f32.
pub(crate) fn check_trains(recipe: &LoadedRecipe, device: &Device) -> Result<(), PipelineError> {
    let precision = recipe.recipe.training.precision.unwrap_or_default();
    check_precision(precision, device).map_err(|error| PipelineError::Input {
        what: "training.precision".into(),
        expected: "a precision that the device computes in".into(),
        found: error.to_string(),
        advice: "choose another precision, or another device with --device".into(),
    })
}

/// Refuses to capture for a recipe whose teacher answers while the student trains.
fn check_captures(recipe: &LoadedRecipe) -> Result<(), PipelineError> {
    match recipe.recipe.cache {
        Some(_) => Ok(()),
        None => Err(PipelineError::Input {
            what: recipe.name.clone(),
            expected: "a section [cache], which says what is captured".into(),
            found: "student.tokenizer, with a teacher that answers while the student trains".into(),
            advice: "train right away, with `alambic train` or `alambic run`".into(),
        }),
    }
}
