//! Strategies: how a teacher is told to go about a task.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::SynthError;

/// A way to go about a task. A TOML file.
///
/// A teacher that is told which steps to take answers better, and differently for each kind of task (Mitra et al. 2023,
/// Orca 2, arXiv:2311.11045, section 3). The student never sees the system prompt: it learns to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// A short name, as in maps and records.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// The kinds of tasks that it suits, by their labels.
    pub suits: Vec<String>,
    /// What the teacher is told before the task.
    pub system_prompt: String,
}

impl FromStr for Strategy {
    type Err = SynthError;

    fn from_str(text: &str) -> Result<Self, SynthError> {
        let wrong = |problem| SynthError::Strategy {
            origin: "the strategy".into(),
            problem,
        };
        let strategy: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let empty = [
            ("name", &strategy.name),
            ("system_prompt", &strategy.system_prompt),
        ];
        match empty.iter().find(|(_, text)| text.trim().is_empty()) {
            Some((key, _)) => Err(wrong(format!("`{key}` is empty, expected some text"))),
            None => Ok(strategy),
        }
    }
}

impl Strategy {
    /// Reads a strategy's TOML file.
    ///
    /// # Errors
    /// [`SynthError::File`] and [`SynthError::Strategy`], which name the file.
    pub fn from_file(path: &Path) -> Result<Self, SynthError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| SynthError::file("read", path, source))?;
        text.parse()
            .map_err(|error: SynthError| error.of_strategy(path))
    }
}
