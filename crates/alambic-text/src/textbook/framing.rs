//! Sentences around a problem that say nothing about it.
//!
//! They shift the problem's words and stand between story and question, so that a solver has to read what the words say
//! and cannot rely on where they stand.

use super::item_rng::ItemRng;
use super::pattern::SplitTemplates;
use crate::Split;

/// Share of the problems with an opening.
const OPENING_RATIO: f64 = 0.5;
/// Share of the problems with a sentence between story and question.
const INTERLUDE_RATIO: f64 = 0.25;

/// Sentences before the story.
pub(super) const OPENINGS: SplitTemplates<&str> = SplitTemplates {
    train: &[
        "It is a good day.",
        "It is warm.",
        "It is cold today.",
        "The sun is out.",
        "Here is a story.",
        "Look at this.",
        "It was a long day.",
        "Now the rain comes.",
        "Come and look.",
        "This is something to find out.",
        "The day is long and warm.",
        "Here we are again.",
        "We are at home now.",
        "All is well.",
    ],
    test: &[
        "Today it is warm.",
        "This is a story.",
        "The day is good.",
        "Look here.",
        "It was a cold day.",
        "Now the sun comes out.",
    ],
};

/// Sentences between the story and the question.
pub(super) const INTERLUDES: SplitTemplates<&str> = SplitTemplates {
    train: &[
        "Look again.",
        "Now find out.",
        "Do you know it?",
        "That is all.",
        "Find the answer.",
        "This is what we know.",
        "Tell it now.",
    ],
    test: &[
        "Now look at it.",
        "Do you see it?",
        "That is what we know.",
        "Now find it.",
    ],
};

/// `story` and `question` in one line, at random with neutral sentences around the story.
pub(super) fn framed(split: Split, story: &str, question: &str, rng: &mut ItemRng) -> String {
    let mut sentences = Vec::new();
    if rng.chance(OPENING_RATIO) {
        sentences.push(*rng.pick(OPENINGS.of(split)));
    }
    if !story.is_empty() {
        sentences.push(story);
        if rng.chance(INTERLUDE_RATIO) {
            sentences.push(*rng.pick(INTERLUDES.of(split)));
        }
    }
    sentences.push(question);
    sentences.join(" ")
}
