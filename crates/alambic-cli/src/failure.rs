//! How a failure is told: what failed, why, what to do, and the exit code.

use alambic::pipeline::PipelineError;
use alambic::pipeline::recipe::RecipeError;
use serde_json::{Value, json};

use crate::output::{Outcome, Verdict};

/// The command did its work.
const DONE: u8 = 0;
/// The input was good, the work failed.
const FAILED: u8 = 1;
/// The command line, the recipe or a named file is wrong.
const BAD_INPUT: u8 = 2;

/// Advice for bad input that has none of its own.
const CORRECT: &str = "correct what is named above, and repeat the command";
/// Advice for failures that have none of their own.
const RESUME: &str =
    "remove the cause and repeat the same command; finished work in the run directory is kept";

/// Chooses the exit code: 0 done, 1 failed, 2 bad input.
pub(crate) fn exit_code(result: &anyhow::Result<Outcome>) -> u8 {
    match result {
        Ok(Outcome {
            verdict: Verdict::Done,
            ..
        }) => DONE,
        Ok(Outcome {
            verdict: Verdict::BadInput,
            ..
        }) => BAD_INPUT,
        Ok(Outcome {
            verdict: Verdict::Failed,
            ..
        }) => FAILED,
        Err(error) if asked_for_help(error) => DONE,
        Err(error) if is_bad_input(error) => BAD_INPUT,
        Err(_) => FAILED,
    }
}

/// Help and version come from the argument parser as errors, but are none.
fn asked_for_help(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<clap::Error>()
        .is_some_and(|usage| !usage.use_stderr())
}

fn is_bad_input(error: &anyhow::Error) -> bool {
    let of_pipeline = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<PipelineError>());
    match (of_pipeline, recipe_error(error)) {
        (Some(pipeline), _) => pipeline.is_bad_input(),
        (None, Some(_)) => true,
        (None, None) => error.is::<clap::Error>(),
    }
}

/// What failed, then the chain of causes, then what to do.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let causes: String = causes(error)
        .iter()
        .map(|cause| format!("\n  because {cause}"))
        .collect();
    format!("error: {error}{causes}\nwhat to do: {}", advice(error))
}

/// The same for machines.
pub(crate) fn document(command: &str, error: &anyhow::Error) -> Value {
    let mut document = json!({
        "command": command,
        "status": if is_bad_input(error) { "bad_input" } else { "failed" },
        "error": error.to_string(),
        "causes": causes(error),
        "advice": advice(error),
    });
    if let Some(RecipeError::Invalid { problems, .. }) = recipe_error(error) {
        document["problems"] = json!(problems);
    }
    document
}

fn causes(error: &anyhow::Error) -> Vec<String> {
    error.chain().skip(1).map(ToString::to_string).collect()
}

fn advice(error: &anyhow::Error) -> &'static str {
    match recipe_error(error) {
        Some(recipe) => recipe.advice(),
        None if is_bad_input(error) => CORRECT,
        None => RESUME,
    }
}

/// The recipe's error, on its own or inside the pipeline's.
fn recipe_error(error: &anyhow::Error) -> Option<&RecipeError> {
    error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(PipelineError::Recipe(recipe)) => Some(recipe),
        _ => cause.downcast_ref(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use alambic::pipeline::recipe::{Recipe, RecipeText};
    use anyhow::Context;
    use clap::Parser;

    use super::*;
    use crate::arguments::Cli;

    fn invalid_recipe() -> anyhow::Error {
        let source = RecipeText {
            name: "recipe.toml",
            text: "sed = 1",
            directory: Path::new(""),
        };
        let result = Recipe::parse(&source, &[]).context("cannot start the run");
        result.unwrap_err()
    }

    #[test]
    fn exit_codes_tell_bad_input_from_failed_work() {
        let usage =
            |line: &[&str]| Err(anyhow::Error::from(Cli::try_parse_from(line).unwrap_err()));
        let outcome = |verdict| Outcome {
            verdict,
            ..Outcome::done(String::new(), json!(null))
        };
        assert_eq!(exit_code(&Ok(outcome(Verdict::Done))), 0);
        assert_eq!(exit_code(&Ok(outcome(Verdict::BadInput))), 2);
        assert_eq!(exit_code(&Ok(outcome(Verdict::Failed))), 1);
        assert_eq!(exit_code(&usage(&["alambic", "--help"])), 0);
        assert_eq!(exit_code(&usage(&["alambic", "--version"])), 0);
        assert_eq!(exit_code(&usage(&["alambic", "run"])), 2);
        assert_eq!(exit_code(&usage(&["alambic"])), 2);
        assert_eq!(exit_code(&Err(invalid_recipe())), 2);
        let RecipeError::Invalid { name, problems } =
            invalid_recipe().downcast::<RecipeError>().unwrap()
        else {
            unreachable!("the recipe is invalid");
        };
        let wrapped = PipelineError::Recipe(RecipeError::Invalid { name, problems });
        assert_eq!(exit_code(&Err(anyhow::Error::new(wrapped))), 2);
        let stopped = PipelineError::Stopped { stage: "training" };
        assert_eq!(exit_code(&Err(anyhow::Error::new(stopped))), 1);
        assert_eq!(exit_code(&Err(anyhow::anyhow!("the disk is full"))), 1);
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_what_to_do() {
        let error = anyhow::anyhow!("the disk is full")
            .context("cannot write shard 3")
            .context("capture stopped");
        assert_eq!(
            describe(&error),
            format!(
                "error: capture stopped\n  because cannot write shard 3\n  because the disk is full\nwhat to do: {RESUME}"
            )
        );
    }

    #[test]
    fn a_refused_recipe_is_told_key_by_key() {
        let error = invalid_recipe();
        let text = describe(&error);
        assert!(
            text.starts_with("error: cannot start the run\n  because recipe.toml has "),
            "{text}"
        );
        assert!(text.contains("did you mean seed?"), "{text}");
        let document = document("run", &error);
        assert_eq!(document["status"], "bad_input");
        assert_eq!(document["problems"][0]["key"], "sed");
        assert_eq!(document["problems"][0]["location"]["line"], 1);
    }
}
