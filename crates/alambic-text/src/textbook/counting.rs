//! Counting: how many things of a list are of a kind; each thing is judged in turn.

use super::item_rng::ItemRng;
use super::pattern::{Slots, SplitTemplates, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{ANIMALS, FRUITS, OBJECTS, PEOPLE, PLACES, TOYS, with_article};
use crate::Split;

/// Things in a list.
const LISTED: usize = 5;
/// Counts that are asked for, all equally likely.
const ANSWERS: std::ops::RangeInclusive<u32> = 1..=4;

/// The kinds that are asked for, and their members.
const KINDS: [(&str, &[&str]); 3] = [("animals", ANIMALS), ("fruits", FRUITS), ("toys", TOYS)];

/// One way to tell a problem: `{list}` is the list, `{kind}` the plural of the kind.
pub(super) struct CountingTemplate {
    pub(super) id: &'static str,
    pub(super) text: &'static str,
}

const fn template(id: &'static str, text: &'static str) -> CountingTemplate {
    CountingTemplate { id, text }
}

#[rustfmt::skip]
const TRAIN: &[CountingTemplate] = &[
    template("counting/sees", "{A} sees {list}. How many of them are {kind}?"),
    template("counting/has", "{A} has {list}. How many {kind} does {he} have?"),
    template("counting/there_are", "There are many things here: {list}. How many {kind} are there?"),
    template("counting/box", "In a box there is {list}. How many {kind} are in the box?"),
    template("counting/finds", "{At} {A} finds {list}. How many {kind} does {he} find[| in all]?"),
    template("counting/look", "Look at this: {list}. Find the number of {kind}."),
    template("counting/buys", "{A} buys {list} for {B}. How many of the things are {kind}?"),
    template("counting/gets", "On Sunday {A} gets {list} from {B}. How many {kind} are that?"),
    template("counting/of_these", "How many of these are {kind}: {list}?"),
    template("counting/book", "In the book of {A} you can see {list}. How many {kind} are in the book?"),
    template("counting/friends", "{A} and {B} see {list} {at}. How many {kind} do they see?"),
    template("counting/loses", "{A} looks for {list}. How many {kind} does {A} look for?"),
];

#[rustfmt::skip]
const TEST: &[CountingTemplate] = &[
    template("counting/test_here", "Here you see {list}. How many of the things here are {kind}?"),
    template("counting/test_finds", "{A} finds {list} {at}. How many of these things are {kind}?"),
    template("counting/test_number", "What is the number of {kind} here: {list}?"),
    template("counting/test_home", "At home {A} has {list}. How many {kind} are at home?"),
    template("counting/test_house", "There is {list} in the house of {A}. How many {kind} are in the house?"),
];

pub(super) const TEMPLATES: SplitTemplates<CountingTemplate> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

/// Makes a problem; the count is drawn first, so every count is equally likely.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let template = rng.pick(TEMPLATES.of(split));
    let (kind, members) = *rng.pick(&KINDS);
    let count = rng.number(ANSWERS);
    let things = things_with(members, count as usize, rng);
    let [hero, friend] = rng.pick_distinct(PEOPLE);
    let at = rng.pick(PLACES).at;
    let slots = Slots::default()
        .with_hero(hero)
        .with("B", friend.name)
        .with("at", at)
        .with("At", at[..1].to_uppercase() + &at[1..])
        .with("kind", kind)
        .with("list", in_words(&things));
    Problem {
        family: ProblemFamily::Counting,
        template: template.id,
        question: render(template.text, &slots, rng),
        explanation: explain(&things, members),
        answer: count.to_string(),
        choices: ANSWERS.count(),
    }
}

/// Different things in random order, `count` of them from `members`, the others from elsewhere.
fn things_with(members: &[&'static str], count: usize, rng: &mut ItemRng) -> Vec<&'static str> {
    let others: Vec<&str> = [ANIMALS, FRUITS, TOYS, OBJECTS]
        .concat()
        .into_iter()
        .filter(|thing| !members.contains(thing))
        .collect();
    let mut things = rng.pick_distinct::<_, LISTED>(members)[..count].to_vec();
    things.extend(&rng.pick_distinct::<_, LISTED>(&others)[count..]);
    rng.shuffle(&mut things);
    things
}

/// "a dog, an apple and a cup".
fn in_words(things: &[&str]) -> String {
    let with_articles: Vec<String> = things.iter().map(|thing| with_article(thing)).collect();
    match with_articles.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => with_articles.concat(),
    }
}

fn explain(things: &[&str], members: &[&str]) -> String {
    let mut count = 0;
    let judged = things.iter().map(|thing| {
        let is_member = members.contains(thing);
        count += u32::from(is_member);
        format!("{thing} {} {count}", if is_member { "yes" } else { "no" })
    });
    judged.collect::<Vec<_>>().join(", ") + "."
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{problems, words};
    use super::*;

    /// Counts the words that stand behind an article and are of the kind that the question names.
    fn solve(question: &str) -> usize {
        let words = words(question);
        let (_, members) = KINDS
            .iter()
            .find(|(kind, _)| words.iter().any(|word| word == kind))
            .unwrap();
        let listed = words
            .windows(2)
            .filter(|pair| pair[0] == "a" || pair[0] == "an")
            .map(|pair| &pair[1]);
        listed
            .filter(|noun| members.contains(&noun.as_str()))
            .count()
    }

    #[test]
    fn an_independent_reader_finds_the_same_answers() {
        for problem in problems(ProblemFamily::Counting) {
            assert_eq!(
                solve(&problem.question).to_string(),
                problem.answer,
                "{problem:?}"
            );
            let last = words(&problem.explanation).pop();
            assert_eq!(last.as_ref(), Some(&problem.answer), "{problem:?}");
        }
    }
}
