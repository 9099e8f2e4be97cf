//! Comparison: the largest or smallest of three numbers, or who has it.

use super::framing::framed;
use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{FRUITS, OBJECTS, PEOPLE, PLACES, TOYS, WEEKDAYS};
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

/// Sentences that problems are put together from: `{n}`, `{m}`, `{k}` belong to `{A}`, `{B}`, `{C}`;
/// `{est}` is largest or smallest of numbers, most or fewest of things.
pub(super) struct ComparisonSentences {
    /// Ids and questions for a number.
    pub(super) numbers: &'static [(&'static str, &'static str)],
    /// Ids and sentences that tell who has what; they name the template.
    pub(super) owners: &'static [(&'static str, &'static str)],
    /// Questions for a person, behind any story about owners.
    pub(super) questions: &'static [&'static str],
}

/// Share of the problems that ask for a number.
const NUMBER_RATIO: f64 = 0.4;

use Asked::{Number, Owner};

#[rustfmt::skip]
pub(super) const TRAIN: ComparisonSentences = ComparisonSentences {
    numbers: &[
        ("comparison/which", "Which number is the {est}: {n}, {m} or {k}?"),
        ("comparison/look", "[Look at {n}, {m} and {k}|Here you see {n}, {m} and {k}|These are the numbers: {n}, {m} and {k}]. [Which one is the {est}|Which is the {est}|What is the {est}]?"),
        ("comparison/find", "[Find the {est} of the numbers|Which is the {est} of|Tell the {est} of] {n}, {m} and {k}."),
        ("comparison/says", "{A} says {n}, {B} says {m} and {C} says {k}. [What is the {est} number|Find the {est} number|Which number is the {est}]?"),
        ("comparison/book", "[In a book|In the house|{At}] {A} finds the numbers {n}, {m}, and {k}. [Which of them is the {est}|Which number is the {est} one]?"),
    ],
    owners: &[
        ("comparison/has", "[{A} has|At home {A} has|Now {A} has] {n} {items}, {B} has {m} and {C} has {k}."),
        ("comparison/finds", "[{A} finds|{At} {A} finds] {n} {items}. {B} finds {m} {items}. {C} finds {k} {items}."),
        ("comparison/buys", "[At the shop|On {day}] {A} buys {n} {items}, {B} buys {m} {items} and {C} buys {k} {items}."),
        ("comparison/bag", "There are {n} {items} in the bag of {A}, {m} in the bag of {B} and {k} in the bag of {C}."),
        ("comparison/gets", "[On {day} {A}|{A}] gets {n} {items}. [{B} gets|Then {B} gets] {m} and {C} gets {k}."),
        ("comparison/friends", "[Three friends play|Some friends meet]. {A} has {n} {items}, {B} has {m} {items}, and {C} has {k} {items}."),
        ("comparison/but", "{A} has {n} {items}, but {B} has {m} and {C} has {k}."),
    ],
    questions: &[
        "Who has the {est} {items}?", "Who has the {est}?", "Which of them has the {est}?", "Who of them has the {est} {items}?",
        "Find who has the {est}.", "Which friend has the {est} {items}?", "Tell who has the {est}.",
    ],
};

#[rustfmt::skip]
pub(super) const TEST: ComparisonSentences = ComparisonSentences {
    numbers: &[
        ("comparison/test_of", "Of the numbers {n}, {m} and {k}, which is the {est}?"),
        ("comparison/test_here", "Here are some numbers: {n}, {m} and {k}. Find out which is the {est}."),
    ],
    owners: &[
        ("comparison/test_home", "At home {A} has {n} {items}, {B} has {m} {items} and {C} has {k} {items}."),
        ("comparison/test_find", "In the park {A} finds {n} {items}. {B} finds {m} and {C} finds {k}."),
        ("comparison/test_get", "{A} gets {n} {items}, {B} gets {m} {items}, and {C} also gets {k}."),
    ],
    questions: &["Who has the {est} of them?", "Now who has the {est} {items}?", "Find out who has the {est}."],
};

/// Makes a problem of three different numbers.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let sentences = match split {
        Split::Train | Split::Validation => &TRAIN,
        Split::Test => &TEST,
    };
    let asked = if rng.chance(NUMBER_RATIO) {
        Number
    } else {
        Owner
    };
    let all: Vec<u32> = NUMBERS.collect();
    let numbers: [u32; 3] = rng.pick_distinct(&all);
    let names = rng.pick_distinct::<_, 3>(PEOPLE).map(|person| person.name);
    let owned: Vec<(u32, &str)> = numbers.into_iter().zip(names).collect();
    let asks_largest = rng.coin();
    let superlative = match (asked, asks_largest) {
        (Number, true) => "largest",
        (Number, false) => "smallest",
        (Owner, true) => "most",
        (Owner, false) => "fewest",
    };
    let slots = slots_of(&owned, rng).with("est", superlative);
    let (template, question) = match asked {
        Number => {
            let (id, text) = *rng.pick(sentences.numbers);
            (id, framed(split, "", &render(text, &slots, rng), rng))
        }
        Owner => {
            let (id, story) = *rng.pick(sentences.owners);
            let (story, ask) = (
                render(story, &slots, rng),
                render(rng.pick::<&str>(sentences.questions), &slots, rng),
            );
            (id, framed(split, &story, &ask, rng))
        }
    };
    let (explanation, answer) = explain(asked, &owned, superlative, asks_largest);
    let choices = numbers.len();
    Problem {
        family: ProblemFamily::Comparison,
        template,
        question,
        explanation,
        answer,
        choices,
    }
}

fn slots_of(owned: &[(u32, &str)], rng: &mut ItemRng) -> Slots {
    let item = *rng.pick(&[FRUITS, TOYS, OBJECTS].concat());
    let slots = Slots::default()
        .with_place(*rng.pick(PLACES))
        .with("day", rng.pick(&WEEKDAYS))
        .with("items", format!("{item}s"));
    [("n", "A"), ("m", "B"), ("k", "C")]
        .into_iter()
        .zip(owned)
        .fold(
            slots,
            |slots, ((number_slot, owner_slot), (number, owner))| {
                slots.with(number_slot, number).with(owner_slot, owner)
            },
        )
}

/// Who has which number (if that is asked for), the numbers in order, and the answer.
fn explain(
    asked: Asked,
    owned: &[(u32, &str)],
    superlative: &str,
    asks_largest: bool,
) -> (String, String) {
    let mut sorted = owned.to_vec();
    sorted.sort_unstable_by(|left, right| right.cmp(left));
    let (number, owner) = sorted[if asks_largest { 0 } else { sorted.len() - 1 }];
    let order: Vec<String> = sorted
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    let order = order.join(" > ");
    let owners: Vec<String> = owned
        .iter()
        .map(|(number, owner)| format!("{number} {owner}"))
        .collect();
    match asked {
        Number => (
            format!("{order}. The {superlative} is {number}."),
            number.to_string(),
        ),
        Owner => {
            let owners = owners.join(", ");
            (
                format!("{owners}. {order}. The {superlative}: {number} {owner}."),
                owner.to_owned(),
            )
        }
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
