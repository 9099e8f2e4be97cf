//! Counting: how many things of a list are of a kind; each thing is judged in turn.

use super::framing::framed;
use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{ANIMALS, FRUITS, OBJECTS, PEOPLE, PLACES, TOYS, WEEKDAYS, with_article};
use crate::Split;

/// Things in a list.
const LISTED: usize = 5;
/// Counts that are asked for, all equally likely.
const ANSWERS: std::ops::RangeInclusive<u32> = 1..=4;

/// The kinds that are asked for, and their members.
const KINDS: [(&str, &[&str]); 3] = [("animals", ANIMALS), ("fruits", FRUITS), ("toys", TOYS)];

/// Sentences that problems are put together from.
pub(super) struct CountingSentences {
    /// Ids and sentences with the `{list}`; they name the template.
    pub(super) lists: &'static [(&'static str, &'static str)],
    /// Questions for the number of `{kind}`, behind any list.
    pub(super) questions: &'static [&'static str],
    /// Ids and questions that hold the list themselves.
    pub(super) direct: &'static [(&'static str, &'static str)],
}

/// Share of the problems in one sentence.
const DIRECT_RATIO: f64 = 0.2;

#[rustfmt::skip]
pub(super) const TRAIN: CountingSentences = CountingSentences {
    lists: &[
        ("counting/sees", "[{A} sees|{At} {A} sees|On {day} {A} sees|{A} and {B} see] {list}."),
        ("counting/has", "[{A} has|At home {A} has|Now {A} has|{A} and {B} have] {list}."),
        ("counting/there", "[There is|There are many things here:|Here is what we know:|In a box there is] {list}."),
        ("counting/finds", "[{A} finds|{At} {A} finds|{A} goes {to} and finds|On {day} {A} finds] {list}."),
        ("counting/buys", "[{A} buys|At the shop {A} buys|For {B} {A} buys|On {day} {A} buys] {list}."),
        ("counting/gets", "[{A} gets|From {B} {A} gets|On {day} {A} gets|Then {A} gets] {list}."),
        ("counting/look", "[Look at this:|Look at these things:|This is in the box:|These are the things of {A}:] {list}."),
        ("counting/book", "[In the book of {A} there is|In the bag of {A} there is|In the house of {A} you see] {list}."),
        ("counting/looks_for", "[{A} looks for|{A} and {B} look for|All day {A} looks for] {list}."),
        ("counting/gives", "[{A} gives {B}|On {day} {A} gives {B}|{A} goes {to} and gives {B}] {list}."),
    ],
    questions: &[
        "How many of them are {kind}?", "How many {kind} are there?", "How many {kind} can you find?",
        "Find the number of {kind}.", "How many of these are {kind}?", "How many {kind} is that?",
        "How many {kind} do you see?", "How many of the things are {kind}?", "Tell how many {kind} there are.",
    ],
    direct: &[
        ("counting/of_these", "How many of these are {kind}: {list}?"),
        ("counting/number_of", "Find the number of {kind}: {list}."),
        ("counting/how_many", "How many {kind} are there: {list}?"),
    ],
};

#[rustfmt::skip]
pub(super) const TEST: CountingSentences = CountingSentences {
    lists: &[
        ("counting/test_here", "[Here you see|Here {A} has] {list}."),
        ("counting/test_home", "[At home {A} finds|At home there is] {list}."),
        ("counting/test_next", "[The next day {A} sees|Soon {A} finds] {list}."),
        ("counting/test_farm", "[On the farm {A} and {B} find|{A} was at the shop and has] {list}."),
    ],
    questions: &[
        "How many of these things are {kind}?", "What is the number of {kind}?", "How many {kind} are there in all?",
        "Find out how many are {kind}.",
    ],
    direct: &[("counting/test_what", "What is the number of {kind} here: {list}?")],
};

/// Makes a problem; the count is drawn first, so every count is equally likely.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let sentences = match split {
        Split::Train | Split::Validation => &TRAIN,
        Split::Test => &TEST,
    };
    let (kind, members) = *rng.pick(&KINDS);
    let count = rng.number(ANSWERS);
    let things = things_with(members, count as usize, rng);
    let [hero, friend] = rng.pick_distinct(PEOPLE);
    let slots = Slots::default()
        .with_hero(hero)
        .with_place(*rng.pick(PLACES))
        .with("B", friend.name)
        .with("day", rng.pick(&WEEKDAYS))
        .with("kind", kind)
        .with("list", in_words(&things));
    let ((template, text), ask) = if rng.chance(DIRECT_RATIO) {
        (*rng.pick(sentences.direct), None)
    } else {
        (
            *rng.pick(sentences.lists),
            Some(*rng.pick(sentences.questions)),
        )
    };
    let text = render(text, &slots, rng);
    let question = match ask {
        None => framed(split, "", &text, rng),
        Some(ask) => framed(split, &text, &render(ask, &slots, rng), rng),
    };
    Problem {
        family: ProblemFamily::Counting,
        template,
        question,
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
