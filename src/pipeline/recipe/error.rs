//! Why a recipe could not be loaded.

use std::path::PathBuf;

use super::problem::{Problem, list};

/// Why a recipe could not be loaded or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file could not be read.
    #[error("cannot read the recipe {}", path.display())]
    Read {
        /// The recipe's path, as it was given.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file is not text.
    #[error(
        "{name} is not UTF-8 text: line {line} holds a byte that no character starts with; save it as UTF-8"
    )]
    NotUtf8 {
        /// The recipe's name in messages.
        name: String,
        /// Number of the line, from 1.
        line: usize,
    },
    /// The text is not TOML.
    #[error("{name} is not valid TOML:{}", list_faults(faults))]
    Syntax {
        /// The recipe's name in messages.
        name: String,
        /// Every place where the parser stumbled, from top to bottom.
        faults: Vec<SyntaxFault>,
    },
    /// Keys or values are wrong; all of them are listed.
    #[error("{name} has {}:{}", count_problems(problems), list(problems))]
    Invalid {
        /// The recipe's name in messages.
        name: String,
        /// Every problem.
        problems: Vec<Problem>,
    },
    /// A key of settings that are no recipe of a run is missing or wrong.
    #[error("{name}: {problem}")]
    Settings {
        /// The file's name in messages.
        name: String,
        /// The first problem, with its place.
        problem: String,
    },
    /// A relative path could not be resolved.
    #[error("cannot find the current directory, where relative paths start")]
    CurrentDirectory {
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The recipe holds what TOML cannot, such as a path that is not UTF-8.
    #[error("cannot write the recipe as TOML")]
    Serialize {
        /// The value that could not be written.
        #[source]
        source: toml::ser::Error,
    },
}

/// One place where a recipe is not TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyntaxFault {
    /// Number of the line, from 1.
    pub line: usize,
    /// Number of the character in its line, from 1.
    pub column: usize,
    /// What the parser expected.
    pub message: String,
}

impl RecipeError {
    /// Says what to do about it, in one sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Read { .. } => "give the path of a readable TOML file; configs/ holds examples",
            Self::NotUtf8 { .. } => "save the recipe as UTF-8 text",
            Self::Syntax { .. } => {
                "correct the TOML at the places named above; strings need quotes"
            }
            Self::Invalid { .. } => {
                "correct the keys named above, in the file or with --set key.path=value"
            }
            Self::Settings { .. } => {
                "correct the key named above, in the file or with --set key.path=value"
            }
            Self::CurrentDirectory { .. } => "start the command in a directory that exists",
            Self::Serialize { .. } => "use paths that are valid UTF-8",
        }
    }
}

fn list_faults(faults: &[SyntaxFault]) -> String {
    faults
        .iter()
        .map(|fault| {
            format!(
                "\n  line {}, column {}: {}",
                fault.line, fault.column, fault.message
            )
        })
        .collect()
}

fn count_problems(problems: &[Problem]) -> String {
    match problems.len() {
        1 => "1 problem".into(),
        count => format!("{count} problems"),
    }
}
