//! Ordering: people are compared in pairs, and the explanation writes the whole order.

use super::item_rng::ItemRng;
use super::pattern::{Slots, SplitTemplates, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{PEOPLE, PLACES};
use crate::Split;

/// Share of the problems with four people; the others have three.
const FOUR_PEOPLE_RATIO: f64 = 0.3;

/// A property that people are compared by: the words for more and for less of it.
pub(super) struct Scale {
    more: &'static str,
    less: &'static str,
    most: &'static str,
    least: &'static str,
}

pub(super) const SCALES: &[Scale] = &[
    Scale {
        more: "older",
        less: "younger",
        most: "oldest",
        least: "youngest",
    },
    Scale {
        more: "taller",
        less: "shorter",
        most: "tallest",
        least: "shortest",
    },
    Scale {
        more: "faster",
        less: "slower",
        most: "fastest",
        least: "slowest",
    },
];

/// One way to tell a problem; `{x}` is `{er}` (older, younger ...) than `{y}`.
pub(super) struct OrderingTemplate {
    pub(super) id: &'static str,
    /// Ends in a blank unless it is empty.
    pub(super) opening: &'static str,
    pub(super) clue: &'static str,
    pub(super) question: &'static str,
}

const fn template(
    id: &'static str,
    opening: &'static str,
    clue: &'static str,
    question: &'static str,
) -> OrderingTemplate {
    OrderingTemplate {
        id,
        opening,
        clue,
        question,
    }
}

#[rustfmt::skip]
const TRAIN: &[OrderingTemplate] = &[
    template("ordering/plain", "", "{x} is {er} than {y}.", "Who is the {est}?"),
    template("ordering/friends", "Some friends meet {at}. ", "{x} is {er} than {y}, we know.", "Who is the {est} of them?"),
    template("ordering/we_know", "", "We know that {x} is {er} than {y}.", "Which one is the {est}?"),
    template("ordering/true", "Here is what we know. ", "It is true that {x} is {er} than {y}.", "Find the {est} friend."),
    template("ordering/much", "Look at the friends {at}. ", "{x} is much {er} than {y}.", "Which of them is the {est}?"),
    template("ordering/little", "The friends play {at}. ", "{x} is a little {er} than {y}.", "Who is the {est} friend?"),
    template("ordering/sees", "", "You see that {x} is {er} than {y}.", "Who is the {est} here?"),
    template("ordering/one", "They go {to}. ", "Of {x} and {y}, {x} is the {er} one.", "Who is the {est} in all?"),
    template("ordering/next_to", "", "Next to {y}, {x} is {er}.", "Tell who is the {est}."),
    template("ordering/says", "", "{x} says: I am {er} than {y}.", "Who is the {est} then?"),
    template("ordering/still", "On Monday some friends go {to}. ", "{x} is still {er} than {y}.", "Who of the friends is the {est}?"),
    template("ordering/always", "", "{x} was always {er} than {y}.", "Who was the {est}?"),
];

#[rustfmt::skip]
const TEST: &[OrderingTemplate] = &[
    template("ordering/test_here", "Some friends are {at}. ", "Here {x} is {er} than {y}.", "Who is the {est} one?"),
    template("ordering/test_know", "", "You know that {x} is {er} than {y}.", "Which friend is the {est}?"),
    template("ordering/test_say", "The friends meet on Sunday. ", "They know that {x} is {er} than {y}.", "Of the friends, who is the {est} one?"),
    template("ordering/test_look", "", "Look, {x} is {er} than {y}.", "Find out who is the {est}."),
    template("ordering/test_and", "They all play {at}. ", "{x} is now {er} than {y}.", "Which one of them is the {est}?"),
];

pub(super) const TEMPLATES: SplitTemplates<OrderingTemplate> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

/// Makes a problem: a random order, one clue per pair of neighbours, asked for one of the ends.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let template = rng.pick(TEMPLATES.of(split));
    let scale = rng.pick(SCALES);
    let people: usize = if rng.chance(FOUR_PEOPLE_RATIO) { 4 } else { 3 };
    // Most of the property first.
    let order: Vec<&str> = rng.pick_distinct::<_, 4>(PEOPLE)[..people]
        .iter()
        .map(|person| person.name)
        .collect();
    let mut pairs: Vec<(&str, &str)> = order.windows(2).map(|pair| (pair[0], pair[1])).collect();
    if rng.coin() {
        pairs.reverse();
    }
    let place = *rng.pick(PLACES);
    let mut question = render(
        template.opening,
        &Slots::default().with("at", place.at).with("to", place.to),
        rng,
    );
    for (more, less) in &pairs {
        let (x, comparative, y) = if rng.coin() {
            (more, scale.more, less)
        } else {
            (less, scale.less, more)
        };
        question += &render(
            template.clue,
            &Slots::default()
                .with("x", x)
                .with("er", comparative)
                .with("y", y),
            rng,
        );
        question.push(' ');
    }
    let asks_most = rng.coin();
    let superlative = if asks_most { scale.most } else { scale.least };
    question += &render(
        template.question,
        &Slots::default().with("est", superlative),
        rng,
    );
    let answer = if asks_most {
        order[0]
    } else {
        order[people - 1]
    };
    Problem {
        family: ProblemFamily::Ordering,
        template: template.id,
        question,
        explanation: explain(&pairs, &order, superlative, answer),
        answer: answer.to_owned(),
        choices: people,
    }
}

/// The clues with one sign, the whole order, and the end that is asked for.
fn explain(pairs: &[(&str, &str)], order: &[&str], superlative: &str, answer: &str) -> String {
    let clues: Vec<String> = pairs
        .iter()
        .map(|(more, less)| format!("{more} > {less}."))
        .collect();
    format!(
        "{} So {}. The {superlative} is {answer}.",
        clues.join(" "),
        order.join(" > ")
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{mentions, names, problems, sentences, words};
    use super::*;

    /// Finds the one who wins, or loses, every comparison that names them.
    fn solve(question: &str) -> String {
        let (mut winners, mut losers) = (Vec::new(), Vec::new());
        let all = sentences(question);
        let (ask, clues) = all.split_last().unwrap();
        for clue in clues {
            let people = mentions(clue, &names());
            let (mut first, mut second) = match people[..] {
                [] => continue,
                [first, second] => (first, second),
                [_, second, first] => (first, second),
                _ => panic!("{question}"),
            };
            if clue.starts_with("Next to") {
                (first, second) = (second, first);
            }
            let is_more = words(clue)
                .iter()
                .any(|word| SCALES.iter().any(|scale| scale.more == word));
            let (more, less) = if is_more {
                (first, second)
            } else {
                (second, first)
            };
            winners.push(more);
            losers.push(less);
        }
        let asks_most = words(ask)
            .iter()
            .any(|word| SCALES.iter().any(|scale| scale.most == word));
        let (here, not_there) = if asks_most {
            (winners, losers)
        } else {
            (losers, winners)
        };
        let ends: Vec<_> = here
            .iter()
            .filter(|name| !not_there.contains(name))
            .collect();
        assert_eq!(ends.len(), 1, "{question}");
        (*ends[0]).to_owned()
    }

    #[test]
    fn an_independent_reader_finds_the_same_answers() {
        for problem in problems(ProblemFamily::Ordering) {
            assert_eq!(solve(&problem.question), problem.answer, "{problem:?}");
        }
    }
}
