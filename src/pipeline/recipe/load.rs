//! From a file and overrides to a valid recipe.

use std::path::{Path, PathBuf};

use super::assignment::Assignment;
use super::cache::{CACHE_PATH, is_plain_path};
use super::problem::{Location, Problem};
use super::source_tree::Node;
use super::student::STUDENT_TOKENIZER;
use super::{ChatTemplateSource, Recipe, RecipeError, shape};
use crate::pipeline::hub::is_hub_path;

/// A recipe and where it came from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoadedRecipe {
    /// The valid recipe: overrides applied, relative paths made absolute, defaults written out.
    pub recipe: Recipe,
    /// The recipe's name in messages: its path, as it was given.
    pub name: String,
    /// The directory where the file's relative paths start, absolute.
    pub directory: PathBuf,
    /// The text before the overrides.
    pub text: String,
    /// The overrides, in the order in which they were applied.
    pub overrides: Vec<String>,
}

/// A recipe that is not a file, such as one embedded in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipeText<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// The TOML.
    pub text: &'a str,
    /// Where its relative paths start.
    pub directory: &'a Path,
}

impl Recipe {
    /// Reads a recipe, applies overrides, resolves relative paths and validates the result.
    ///
    /// An override is `key.path=value`: the value is TOML, or else a bare string; array entries are
    /// named by their index, as in `objective.terms.0.weight=1`; the bare word `unset` leaves an
    /// optional key out, as in `cache.top_k=unset`; of two overrides of one key the later one
    /// counts. Relative paths start at the recipe's directory when they stand in the
    /// file, and at the current directory when they stand in an override.
    ///
    /// # Errors
    /// [`RecipeError::Read`] and [`RecipeError::NotUtf8`] for the file, [`RecipeError::Syntax`] for
    /// text that is not TOML, and [`RecipeError::Invalid`] with every problem of keys and values.
    pub fn load(path: &Path, overrides: &[String]) -> Result<LoadedRecipe, RecipeError> {
        let (name, text) = read_text(path)?;
        let source = RecipeText {
            name: &name,
            text: &text,
            directory: path.parent().unwrap_or(Path::new("")),
        };
        Self::parse(&source, overrides)
    }

    /// Reads a recipe that is not a file; see [`Recipe::load`].
    ///
    /// # Errors
    /// The same as [`Recipe::load`], except those of reading the file.
    ///
    /// # Example
    /// ```
    /// use alambic::pipeline::recipe::{Recipe, RecipeError, RecipeText};
    ///
    /// let source = RecipeText { name: "demo", text: "sed = 17", directory: "".as_ref() };
    /// let Err(RecipeError::Invalid { problems, .. }) = Recipe::parse(&source, &[]) else {
    ///     panic!("a recipe of one misspelt key is not valid");
    /// };
    /// assert_eq!(problems[0].key, "sed");
    /// assert_eq!(problems[0].advice.as_deref(), Some("did you mean seed?"));
    /// ```
    pub fn parse(
        source: &RecipeText<'_>,
        overrides: &[String],
    ) -> Result<LoadedRecipe, RecipeError> {
        let (document, problems) = Document::parse(source, overrides)?;
        match read_tree(&document, problems) {
            Ok(recipe) => Ok(LoadedRecipe {
                recipe,
                name: source.name.into(),
                directory: document.directory,
                text: source.text.into(),
                overrides: overrides.to_vec(),
            }),
            Err(problems) => Err(RecipeError::Invalid {
                name: source.name.into(),
                problems,
            }),
        }
    }
}

/// The file's name in messages, and its text.
pub(super) fn read_text(path: &Path) -> Result<(String, String), RecipeError> {
    let read_error = |source| RecipeError::Read {
        path: path.into(),
        source,
    };
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(read_error)?;
    let text = decode(&name, bytes)?;
    Ok((name, text))
}

/// Reads the file's bytes as text.
pub(super) fn decode(name: &str, bytes: Vec<u8>) -> Result<String, RecipeError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        RecipeError::NotUtf8 {
            name: name.into(),
            line: 1 + valid.iter().filter(|byte| **byte == b'\n').count(),
        }
    })
}

/// Types, resolves and validates a tree; `problems` are those known before.
fn read_tree(document: &Document, mut problems: Vec<Problem>) -> Result<Recipe, Vec<Problem>> {
    let tree = &document.tree;
    let shaped = shape::read::<Recipe>(tree);
    problems.extend(shaped.problems);
    let Some(mut recipe) = shaped.value else {
        return Err(problems);
    };
    document.resolve_recipe(&mut recipe);
    let found = recipe
        .problems(&shaped.broken)
        .into_iter()
        .map(|problem| locate(problem, tree));
    problems.extend(found);
    if problems.is_empty() {
        recipe.resolve_defaults();
        Ok(recipe)
    } else {
        Err(problems)
    }
}

/// Adds where the value of a problem was written, or else where its table was.
fn locate(mut problem: Problem, tree: &Node) -> Problem {
    let mut key = problem.key.as_str();
    let mut node = tree.get(key);
    while let (None, Some((outer, _))) = (node, key.rsplit_once('.')) {
        key = outer;
        node = tree.get(key);
    }
    problem.location = node.map(|node| node.location.clone());
    if let Some(Location::Override { assignment }) = &mut problem.location
        && (problem.key == CACHE_PATH || problem.key.starts_with("cache.reuse"))
    {
        // A URL that is refused may hold a secret, which is not to be repeated.
        *assignment = format!("{}=...", problem.key);
    }
    problem
}

/// A TOML document with its overrides, before it is read as anything.
pub(super) struct Document {
    /// The values, with where each was written.
    pub(super) tree: Node,
    /// Where the text's relative paths start, absolute.
    pub(super) directory: PathBuf,
    current_directory: PathBuf,
}

impl Document {
    /// Parses the text and applies overrides; also what is wrong with these.
    pub(super) fn parse(
        source: &RecipeText<'_>,
        overrides: &[String],
    ) -> Result<(Self, Vec<Problem>), RecipeError> {
        let current_directory =
            std::env::current_dir().map_err(|source| RecipeError::CurrentDirectory { source })?;
        let mut tree = Node::parse_document(source.text).map_err(|faults| RecipeError::Syntax {
            name: source.name.into(),
            faults,
        })?;
        let mut problems = Vec::new();
        for text in overrides {
            let applied =
                Assignment::parse(text).and_then(|assignment| assignment.apply(&mut tree));
            problems.extend(applied.err());
        }
        let document = Self {
            tree,
            directory: current_directory.join(source.directory),
            current_directory,
        };
        Ok((document, problems))
    }

    /// Makes every path of the recipe absolute; empty ones are left for validation to report.
    fn resolve_recipe(&self, recipe: &mut Recipe) {
        for (index, file) in recipe.data.files.iter_mut().enumerate() {
            self.resolve(file, &format!("data.files.{index}"));
        }
        if let Some(ChatTemplateSource::File(path)) = &mut recipe.data.chat_template {
            self.resolve(path, "data.chat_template");
        }
        if !is_hub_path(&recipe.teacher.path) {
            self.resolve(&mut recipe.teacher.path, "teacher.path");
        }
        if let Some(path) = &mut recipe.student.tokenizer
            && !is_hub_path(path)
        {
            self.resolve(path, STUDENT_TOKENIZER);
        }
        let Some(cache) = &mut recipe.cache else {
            return;
        };
        let reused = cache.reuse.iter_mut().flatten().enumerate();
        for (index, cache) in reused.filter(|(_, path)| is_plain_path(path)) {
            self.resolve(cache, &format!("cache.reuse.{index}"));
        }
        if let Some(path) = cache.path.as_mut().filter(|path| is_plain_path(path)) {
            self.resolve(path, CACHE_PATH);
        }
    }

    /// Makes the path at a key absolute.
    pub(super) fn resolve(&self, path: &mut PathBuf, key: &str) {
        let base = match self.tree.get(key).map(|node| &node.location) {
            Some(Location::Override { .. }) => &self.current_directory,
            Some(Location::Text { .. }) | None => &self.directory,
        };
        if !path.as_os_str().is_empty() {
            *path = base.join(&*path);
        }
    }
}
