//! Which of several places in a text is meant.

use serde::{Deserialize, Serialize};

/// Which of several places in a text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    /// The first one.
    First,
    /// The last one.
    Last,
}

impl Occurrence {
    /// The item that is meant.
    pub(super) fn of<T>(self, mut items: impl Iterator<Item = T>) -> Option<T> {
        match self {
            Self::First => items.next(),
            Self::Last => items.last(),
        }
    }
}
