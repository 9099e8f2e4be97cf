//! One thing that is wrong with a recipe, and where.

use std::fmt;

use serde::Serialize;

/// One rejected value, unknown key or missing key of a recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Path of the key, for example `objective.terms.0.weight`.
    pub key: String,
    /// Where the value was written; nowhere for a missing section or a recipe built in code.
    pub location: Option<Location>,
    /// What would be accepted.
    pub expected: String,
    /// What was written instead.
    pub found: String,
    /// What to do, where it does not follow from `expected`.
    pub advice: Option<String>,
}

/// Where a value of a recipe was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Location {
    /// In the recipe's text; both numbers start at 1, columns count characters.
    Text {
        /// Line number.
        line: usize,
        /// Column number.
        column: usize,
    },
    /// In an override, quoted as it was given.
    Override {
        /// The whole assignment, `key.path=value`.
        assignment: String,
    },
}

impl Problem {
    /// A problem whose location is not known yet.
    pub(super) fn new(
        key: impl Into<String>,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self {
            key: key.into(),
            location: None,
            expected: expected.into(),
            found: found.to_string(),
            advice: None,
        }
    }

    /// Adds what to do.
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds where the value was written.
    pub(super) fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.key)?;
        if let Some(location) = &self.location {
            write!(formatter, " ({location})")?;
        }
        write!(
            formatter,
            ": expected {}, found {}",
            self.expected, self.found
        )?;
        match &self.advice {
            Some(advice) => write!(formatter, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(formatter, "line {line}, column {column}"),
            Self::Override { assignment } => write!(formatter, "override {assignment:?}"),
        }
    }
}

/// Every problem of a recipe, one line each.
pub(super) fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("\n  {problem}"))
        .collect()
}
