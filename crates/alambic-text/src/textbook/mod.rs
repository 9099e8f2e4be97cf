//! The project's own training text: simple stories and reasoning problems, seeded and unlimited.

mod boolean_expressions;
mod comparison;
mod counting;
mod date_arithmetic;
mod framing;
mod item_rng;
mod object_tracking;
mod ordering;
mod pattern;
mod problem;
mod story;
mod story_plots;
#[cfg(test)]
mod tests;
mod vocabulary;
mod word_arithmetic;
mod word_arithmetic_templates;

use std::ops::Range;

use crate::{SourcedDocument, Split, TextError};
use item_rng::ItemRng;
pub use problem::{Problem, ProblemFamily, chance_accuracy, extract_answer};
pub use story::Story;

/// What a [`Textbook`] holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextbookConfig {
    /// Another seed gives other text from the same templates.
    pub seed: u64,
    /// Train and validation share templates, not items; test has templates of its own.
    pub split: Split,
    /// Share of stories among the items, in `[0, 1]`; the rest are problems, all families equally often.
    pub story_ratio: f64,
}

/// An unlimited book of short stories and worked reasoning problems.
///
/// Item `index` is a pure function of seed, split and index (and of whether the story ratio makes it a story),
/// so a corpus can be read in any order and resumed anywhere. Every answer is exact.
///
/// ```
/// use alambic_text::{Split, Textbook, TextbookConfig, TextbookItem};
/// let config = TextbookConfig { seed: 17, split: Split::Train, story_ratio: 0.0 };
/// let textbook = Textbook::new(config)?;
/// let TextbookItem::Problem(problem) = textbook.item(3) else { unreachable!("no stories asked for") };
/// assert!(problem.is_solved_by(&format!(" {}\nAnswer: {}\n", problem.explanation, problem.answer)));
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Textbook {
    config: TextbookConfig,
}

impl Textbook {
    /// Opens the textbook that `config` describes.
    ///
    /// # Errors
    /// [`TextError::InvalidOption`] if `story_ratio` is not in `[0, 1]`.
    pub fn new(config: TextbookConfig) -> Result<Self, TextError> {
        if !(0.0..=1.0).contains(&config.story_ratio) {
            return Err(TextError::InvalidOption {
                option: "textbook story_ratio",
                expected: "a number from 0 to 1",
                found: config.story_ratio.to_string(),
            });
        }
        Ok(Self { config })
    }

    /// The item at `index`.
    pub fn item(&self, index: u64) -> TextbookItem {
        let split = self.config.split;
        let mut rng = ItemRng::for_item(self.config.seed, split, index);
        if rng.chance(self.config.story_ratio) {
            return TextbookItem::Story(story::story(split, &mut rng));
        }
        let family = *rng.pick(ProblemFamily::all());
        TextbookItem::Problem(problem_of(family, split, &mut rng))
    }

    /// The items of a range of indices, in order.
    pub fn items(&self, range: Range<u64>) -> impl Iterator<Item = TextbookItem> + use<> {
        let textbook = *self;
        range.map(move |index| textbook.item(index))
    }

    /// The same items as documents of a file named `textbook`.
    pub fn documents(&self, range: Range<u64>) -> impl Iterator<Item = SourcedDocument> + use<> {
        let textbook = *self;
        range.map(move |index| {
            SourcedDocument::text("textbook", index + 1, textbook.item(index).text())
        })
    }
}

/// Makes a problem of `family`.
fn problem_of(family: ProblemFamily, split: Split, rng: &mut ItemRng) -> Problem {
    match family {
        ProblemFamily::WordArithmetic => word_arithmetic::problem(split, rng),
        ProblemFamily::ObjectTracking => object_tracking::problem(split, rng),
        ProblemFamily::Ordering => ordering::problem(split, rng),
        ProblemFamily::BooleanExpressions => boolean_expressions::problem(split, rng),
        ProblemFamily::DateArithmetic => date_arithmetic::problem(split, rng),
        ProblemFamily::Counting => counting::problem(split, rng),
        ProblemFamily::Comparison => comparison::problem(split, rng),
    }
}

/// One text of the textbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextbookItem {
    /// A short story.
    Story(Story),
    /// A solved reasoning problem.
    Problem(Problem),
}

impl TextbookItem {
    /// The text a model trains on, ended by a line break.
    pub fn text(&self) -> String {
        match self {
            Self::Story(story) => story.text(),
            Self::Problem(problem) => problem.text(),
        }
    }
}
