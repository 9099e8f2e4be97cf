//! Comparison: the largest or smallest of three numbers, or who has it.

use super::item_rng::ItemRng;
use super::pattern::{Slots, SplitTemplates, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{FRUITS, OBJECTS, PEOPLE, TOYS};
use crate::Split;

/// Numbers that are compared.
const NUMBERS: std::ops::RangeInclusive<u32> = 2..=20;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Asked {
    /// The number itself.
    Number,
    /// The person who has it.
    Owner,
}

/// One way to tell a problem: `{n}`, `{m}`, `{k}` belong to `{A}`, `{B}`, `{C}`;
/// `{est}` is largest or smallest of numbers, most or fewest of things.
pub(super) struct ComparisonTemplate {
    pub(super) id: &'static str,
    pub(super) asked: Asked,
    pub(super) text: &'static str,
}

const fn template(id: &'static str, asked: Asked, text: &'static str) -> ComparisonTemplate {
    ComparisonTemplate { id, asked, text }
}

use Asked::{Number, Owner};

#[rustfmt::skip]
const TRAIN: &[ComparisonTemplate] = &[
    template("comparison/which", Number, "Which number is the {est}: {n}, {m} or {k}?"),
    template("comparison/look", Number, "Look at {n}, {m} and {k}. Which one is the {est}?"),
    template("comparison/find", Number, "Find the {est} of the numbers {n}, {m} and {k}."),
    template("comparison/says", Number, "{A} says {n}, {B} says {m} and {C} says {k}. What is the {est} number?"),
    template("comparison/book", Number, "In a book {A} finds the numbers {n}, {m}, and {k}. Which of them is the {est}?"),
    template("comparison/has", Owner, "{A} has {n} {items}, {B} has {m} and {C} has {k}. Who has the {est} {items}?"),
    template("comparison/finds", Owner, "{A} finds {n} {items}. {B} finds {m} {items}. {C} finds {k} {items}. Who finds the {est}?"),
    template("comparison/buys", Owner, "At the shop {A} buys {n} {items}, {B} buys {m} {items} and {C} buys {k} {items}. Who buys the {est} {items}?"),
    template("comparison/bag", Owner, "There are {n} {items} in the bag of {A}, {m} in the bag of {B} and {k} in the bag of {C}. Who has the {est}?"),
    template("comparison/gets", Owner, "On Monday {A} gets {n} {items}. {B} gets {m} and {C} gets {k}. Which of them gets the {est}?"),
    template("comparison/friends", Owner, "Three friends play. {A} has {n} {items}, {B} has {m} {items}, and {C} has {k} {items}. Who of them has the {est}?"),
    template("comparison/sees", Owner, "{A} sees {n} {items}, but {B} sees {m} and {C} sees {k}. Who sees the {est} {items}?"),
];

#[rustfmt::skip]
const TEST: &[ComparisonTemplate] = &[
    template("comparison/test_of", Number, "Of the numbers {n}, {m} and {k}, which is the {est}?"),
    template("comparison/test_here", Number, "Here are some numbers: {n}, {m} and {k}. Find out which is the {est}."),
    template("comparison/test_home", Owner, "At home {A} has {n} {items}, {B} has {m} {items} and {C} has {k}. Who has the {est} of them?"),
    template("comparison/test_find", Owner, "In the park {A} finds {n} {items}. {B} finds {m} and {C} finds {k}. Who finds the {est} {items}?"),
    template("comparison/test_buy", Owner, "{A} buys {n} {items}. {B} buys {m} {items}. {C} buys {k} {items}. Which friend buys the {est}?"),
];

pub(super) const TEMPLATES: SplitTemplates<ComparisonTemplate> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

/// Makes a problem of three different numbers.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let template = rng.pick(TEMPLATES.of(split));
    let all: Vec<u32> = NUMBERS.collect();
    let numbers: [u32; 3] = rng.pick_distinct(&all);
    let names = rng.pick_distinct::<_, 3>(PEOPLE).map(|person| person.name);
    let item = *rng.pick(&[FRUITS, TOYS, OBJECTS].concat());
    let asks_largest = rng.coin();
    let superlative = match (template.asked, asks_largest) {
        (Number, true) => "largest",
        (Number, false) => "smallest",
        (Owner, true) => "most",
        (Owner, false) => "fewest",
    };
    let mut sorted: Vec<(u32, &str)> = numbers.into_iter().zip(names).collect();
    sorted.sort_unstable_by(|left, right| right.cmp(left));
    let (number, owner) = if asks_largest { sorted[0] } else { sorted[2] };
    let slots = ["A", "B", "C"]
        .into_iter()
        .zip(names)
        .fold(Slots::default(), |slots, (slot, name)| {
            slots.with(slot, name)
        });
    let slots = ["n", "m", "k"]
        .into_iter()
        .zip(numbers)
        .fold(slots, |slots, (slot, number)| slots.with(slot, number));
    let slots = slots
        .with("items", format!("{item}s"))
        .with("est", superlative);
    let order = format!(
        "{} > {} > {}. The {superlative} is {number}",
        sorted[0].0, sorted[1].0, sorted[2].0
    );
    let (explanation, answer) = match template.asked {
        Number => (format!("{order}."), number.to_string()),
        Owner => (format!("{order}: {owner}."), owner.to_owned()),
    };
    Problem {
        family: ProblemFamily::Comparison,
        template: template.id,
        question: render(template.text, &slots, rng),
        explanation,
        answer,
        choices: numbers.len(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{mentions, names, problems, words};
    use super::*;

    /// Pairs names and numbers in the order of their mention.
    fn solve(question: &str) -> String {
        let words = words(question);
        let numbers: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let wants_large = words.iter().any(|word| word == "largest" || word == "most");
        let extreme = *if wants_large {
            numbers.iter().max()
        } else {
            numbers.iter().min()
        }
        .unwrap();
        if words
            .iter()
            .any(|word| word == "largest" || word == "smallest")
        {
            return extreme.to_string();
        }
        let place = numbers
            .iter()
            .position(|number| *number == extreme)
            .unwrap();
        mentions(question, &names())[place].to_owned()
    }

    #[test]
    fn an_independent_reader_finds_the_same_answers() {
        for problem in problems(ProblemFamily::Comparison) {
            assert_eq!(solve(&problem.question), problem.answer, "{problem:?}");
        }
    }
}
