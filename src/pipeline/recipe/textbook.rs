//! `[data.textbook]`: how much of the generated textbook each split gets.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The `[data.textbook]` section: stories and problems that the project writes itself.
///
/// Validation and the final likelihood read new items of the templates that were trained on, and
/// never the same ones; the problems that are asked have templates that no other text has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextbookSection {
    /// Decides every item.
    pub seed: u64,
    /// Share of stories among the items, in `[0, 1]`; the others are problems.
    pub story_ratio: f64,
    /// Items of the training split.
    pub train_items: u64,
    /// Items of the validation split.
    pub validation_items: u64,
    /// Items for the final evaluation: as many of known templates as of unseen ones.
    pub test_items: u64,
}

impl TextbookSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        let ratio = self.story_ratio;
        checker.require(
            (0.0..=1.0).contains(&ratio),
            Problem::new(
                "data.textbook.story_ratio",
                "a number from 0 to 1",
                format!("{ratio:?}"),
            ),
        );
        checker.require(
            self.train_items > 0,
            Problem::new("data.textbook.train_items", "at least 1", self.train_items),
        );
    }
}
