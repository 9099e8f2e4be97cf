//! What a recipe accepts, what it refuses, and how it says so.

#![allow(clippy::unwrap_used)]

mod cache;
mod contradictions;
mod damaged;
mod lora;
mod misfits;
mod reading;
mod refused;
mod resolved;
mod student_tokenizer;
mod unreadable;
mod unset;

use std::path::{Path, PathBuf};

use super::*;

/// A recipe with every section.
const STORIES: &str = include_str!("stories.toml");
/// A shipped recipe of conversations.
const CHAT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/configs/chat_erasing.toml"
));

fn parse(text: &str, overrides: &[&str]) -> Result<LoadedRecipe, RecipeError> {
    let source = RecipeText {
        name: "recipe.toml",
        text,
        directory: Path::new("/recipes"),
    };
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Recipe::parse(&source, &overrides)
}

fn problems(text: &str, overrides: &[&str]) -> Vec<Problem> {
    match parse(text, overrides).unwrap_err() {
        RecipeError::Invalid { problems, .. } => problems,
        other => panic!("{other}"),
    }
}

/// The one problem of the recipe.
fn problem(text: &str, overrides: &[&str]) -> Problem {
    let mut problems = problems(text, overrides);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

fn line_of(text: &str, needle: &str) -> usize {
    1 + text.lines().position(|line| line.contains(needle)).unwrap()
}
