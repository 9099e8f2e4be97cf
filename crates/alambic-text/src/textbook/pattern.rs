//! Sentence patterns: `{slot}` is filled in, `[one|other]` is chosen at random.

use super::item_rng::ItemRng;
use super::vocabulary::{Person, Place};
use crate::Split;

/// Templates of one family: validation shares those of training, test has its own.
pub(crate) struct SplitTemplates<T: 'static> {
    pub(crate) train: &'static [T],
    pub(crate) test: &'static [T],
}

impl<T> SplitTemplates<T> {
    /// The templates that items of `split` are made from.
    pub(crate) fn of(&self, split: Split) -> &'static [T] {
        match split {
            Split::Train | Split::Validation => self.train,
            Split::Test => self.test,
        }
    }
}

/// Values for the `{slots}` of a pattern.
#[derive(Clone, Default)]
pub(crate) struct Slots(Vec<(&'static str, String)>);

impl Slots {
    /// Adds the value of one slot.
    pub(crate) fn with(mut self, slot: &'static str, value: impl ToString) -> Self {
        self.0.push((slot, value.to_string()));
        self
    }

    /// Adds the main character: `{A}` and the pronouns `{He}`, `{he}`, `{him}`, `{his}`, `{His}`.
    pub(crate) fn with_hero(self, hero: Person) -> Self {
        let pronouns = hero.pronouns();
        self.with("A", hero.name)
            .with("He", pronouns.subject_capital)
            .with("he", pronouns.subject)
            .with("him", pronouns.object)
            .with("his", pronouns.possessive)
            .with("His", pronouns.possessive_capital)
    }

    /// Adds a place: `{at}` and `{At}` tell where, `{to}` tells where to.
    pub(crate) fn with_place(self, place: Place) -> Self {
        let capital = place.at[..1].to_uppercase() + &place.at[1..];
        self.with("at", place.at)
            .with("At", capital)
            .with("to", place.to)
    }

    fn value(&self, slot: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| *name == slot);
        &found
            .unwrap_or_else(|| panic!("pattern slot {{{slot}}} has no value"))
            .1
    }
}

/// Chooses the alternatives of `pattern` and fills its slots.
///
/// # Panics
/// If a slot has no value or a bracket is not closed: a fault of our own templates, all of which the tests render.
pub(crate) fn render(pattern: &str, slots: &Slots, rng: &mut ItemRng) -> String {
    let chosen = choose_alternatives(pattern, rng);
    let mut text = String::with_capacity(2 * chosen.len());
    let mut rest = chosen.as_str();
    while let Some((before, slot, after)) = split_at_brackets(rest, '{', '}') {
        text.push_str(before);
        text.push_str(slots.value(slot));
        rest = after;
    }
    text.push_str(rest);
    text
}

fn choose_alternatives(pattern: &str, rng: &mut ItemRng) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, alternatives, after)) = split_at_brackets(rest, '[', ']') {
        text.push_str(before);
        let alternatives: Vec<&str> = alternatives.split('|').collect();
        text.push_str(rng.pick::<&str>(&alternatives));
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Text before, inside and after the first bracket pair, which does not nest.
fn split_at_brackets(text: &str, open: char, close: char) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(open)?;
    let (inside, after) = rest
        .split_once(close)
        .expect("every bracket of a pattern is closed");
    Some((before, inside, after))
}

/// Every text a pattern's alternatives can produce, slots left open.
#[cfg(test)]
pub(crate) fn expansions(pattern: &str) -> Vec<String> {
    let Some((before, alternatives, after)) = split_at_brackets(pattern, '[', ']') else {
        return vec![pattern.to_owned()];
    };
    let tails = expansions(after);
    let join = |choice| {
        tails
            .iter()
            .map(move |tail| format!("{before}{choice}{tail}"))
    };
    alternatives.split('|').flat_map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_filled_after_alternatives_are_chosen() {
        let mut rng = ItemRng::for_item(1, Split::Train, 0);
        let slots = Slots::default().with("x", "ball").with("y", "cup");
        let seen = render("a [{x}|{y}], {x}.", &slots, &mut rng);
        assert!(
            ["a ball, ball.", "a cup, ball."].contains(&seen.as_str()),
            "{seen}"
        );
    }

    #[test]
    fn expansions_list_every_alternative() {
        assert_eq!(
            expansions("[a|b] {x} [c|d]."),
            ["a {x} c.", "a {x} d.", "b {x} c.", "b {x} d."]
        );
    }
}
