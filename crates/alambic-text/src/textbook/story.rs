//! Short stories with a beginning, a problem and a resolution.

use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::story_plots::PLOTS;
use super::vocabulary::{ANIMALS, FRUITS, OBJECTS, PEOPLE, PLACES, TOYS, WEEKDAYS, with_article};
use crate::Split;

/// A short story in simple words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Stable id of the plot it was made from; train and test share none.
    pub template: &'static str,
    /// The sentences, on one line.
    pub body: String,
}

impl Story {
    /// The text a model trains on, ended by a line break.
    pub fn text(&self) -> String {
        format!("Story: {}\n", self.body)
    }
}

/// Makes a story.
pub(super) fn story(split: Split, rng: &mut ItemRng) -> Story {
    let plot = rng.pick(PLOTS.of(split));
    let [hero, friend] = rng.pick_distinct(PEOPLE);
    let place = *rng.pick(PLACES);
    let fruit = *rng.pick(FRUITS);
    let slots = Slots::default()
        .with_hero(hero)
        .with("B", friend.name)
        .with("at", place.at)
        .with("to", place.to)
        .with("pet", rng.pick(ANIMALS))
        .with("toy", rng.pick(TOYS))
        .with("thing", rng.pick(OBJECTS))
        .with("fruit", fruit)
        .with("a_fruit", with_article(fruit))
        .with("day", rng.pick(&WEEKDAYS));
    Story {
        template: plot.id,
        body: render(plot.text, &slots, rng),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_has_three_to_seven_sentences_and_one_hero() {
        for index in 0..2_000 {
            let split = if index % 2 == 0 {
                Split::Train
            } else {
                Split::Test
            };
            let story = story(split, &mut ItemRng::for_item(5, split, index));
            let sentences = story.body.matches(['.', '?', '!']).count();
            assert!((3..=7).contains(&sentences), "{story:?}");
            let has = |pronouns: [&str; 3]| {
                super::super::tests::words(&story.body.to_lowercase())
                    .iter()
                    .any(|word| pronouns.contains(&word.as_str()))
            };
            assert!(
                has(["he", "his", "him"]) != has(["she", "her", "hers"]),
                "{story:?}"
            );
        }
    }
}
