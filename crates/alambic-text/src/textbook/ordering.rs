//! Ordering: people are compared in pairs, and the explanation writes the whole order.

use super::framing::framed;
use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
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

/// Sentences that problems are put together from; in a clue `{x}` is `{er}` (older, younger ...) than `{y}`.
pub(super) struct OrderingSentences {
    /// The first is empty.
    pub(super) openings: &'static [&'static str],
    /// Ids and sentences; the clue names the template.
    pub(super) clues: &'static [(&'static str, &'static str)],
    pub(super) questions: &'static [&'static str],
}

#[rustfmt::skip]
pub(super) const TRAIN: OrderingSentences = OrderingSentences {
    openings: &[
        "", "Some friends meet {at}.", "Here is what we know.", "The friends play {at}.", "Look at the friends {at}.",
        "They go {to}.", "On Monday some friends go {to}.", "Some friends are in the house.", "All of them are good friends.",
    ],
    clues: &[
        ("ordering/plain", "{x} is {er} than {y}."),
        ("ordering/much", "{x} is [much|a little|still|also|always] {er} than {y}."),
        ("ordering/we_know", "[We know that|You see that|It is true that|Here we see that|You can see that] {x} is {er} than {y}."),
        ("ordering/and_we_know", "{x} is {er} than {y}, [we know|you see|as we know|and that is true]."),
        ("ordering/was", "{x} [was|was always|was also|was much] {er} than {y}."),
        ("ordering/of_two", "[Of {x} and {y}, {x} is the {er} one|{x} and {y} are here, and {x} is the {er} one]."),
        ("ordering/next_to", "Next to {y}, {x} is {er}."),
        ("ordering/says", "{x} [says: I am|also says: I am] {er} than {y}."),
        ("ordering/day", "[On Tuesday|All day|After that|In the end] we see that {x} is {er} than {y}."),
        ("ordering/has_a_friend", "{x} [plays|is {at}|goes home] and is {er} than {y}."),
    ],
    questions: &[
        "Who is the {est}?", "Who is the {est} of them?", "Which one is the {est}?", "Find the {est} friend.", "Who is the {est} here?",
        "Which of them is the {est}?", "Who is the {est} friend?", "Tell who is the {est}.", "Who is the {est} then?", "Who of the friends is the {est}?",
    ],
};

#[rustfmt::skip]
pub(super) const TEST: OrderingSentences = OrderingSentences {
    openings: &["", "Some friends are {at}.", "The friends meet on Sunday.", "They all play {at}."],
    clues: &[
        ("ordering/test_here", "[Here|Now|Today] {x} is {er} than {y}."),
        ("ordering/test_they_know", "[You know that|They know that|All know that] {x} is {er} than {y}."),
        ("ordering/test_look", "Look, {x} is {er} than {y}."),
        ("ordering/test_now", "{x} is [now|again|so much] {er} than {y}."),
        ("ordering/test_this", "{x} is {er} than {y}, and this is true."),
    ],
    questions: &["Who is the {est} one?", "Which friend is the {est}?", "Find out who is the {est}.", "Now who is the {est}?"],
};

/// One comparison of two neighbours in the order.
struct Clue {
    more: &'static str,
    less: &'static str,
    /// Whether it is told from the side of `less`: "Mia is younger than Tom".
    is_turned: bool,
}

impl Clue {
    fn sentence(&self, pattern: &str, scale: &Scale, place: &Slots, rng: &mut ItemRng) -> String {
        let (x, comparative, y) = if self.is_turned {
            (self.less, scale.less, self.more)
        } else {
            (self.more, scale.more, self.less)
        };
        let slots = place
            .clone()
            .with("x", x)
            .with("er", comparative)
            .with("y", y);
        render(pattern, &slots, rng)
    }

    /// The names in the order of the sentence with a sign between them; a turned clue is turned back.
    fn step(&self) -> String {
        let Self {
            more,
            less,
            is_turned,
        } = self;
        if *is_turned {
            return format!("{less} < {more}, so {more} > {less}.");
        }
        format!("{more} > {less}.")
    }
}

/// Makes a problem: a random order, one clue per pair of neighbours, asked for one of the ends.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let sentences = match split {
        Split::Train | Split::Validation => &TRAIN,
        Split::Test => &TEST,
    };
    let (template, pattern) = *rng.pick(sentences.clues);
    let scale = rng.pick(SCALES);
    let people: usize = if rng.chance(FOUR_PEOPLE_RATIO) { 4 } else { 3 };
    // Most of the property first.
    let order: [&str; 4] = rng.pick_distinct(PEOPLE).map(|person| person.name);
    let order = &order[..people];
    let clues = clues_about(order, rng);
    let (superlative, answer) = if rng.coin() {
        (scale.most, order[0])
    } else {
        (scale.least, order[people - 1])
    };
    let slots = Slots::default()
        .with_place(*rng.pick(PLACES))
        .with("est", superlative);
    let mut story = vec![render(rng.pick::<&str>(sentences.openings), &slots, rng)];
    story.extend(
        clues
            .iter()
            .map(|clue| clue.sentence(pattern, scale, &slots, rng)),
    );
    let ask = render(rng.pick::<&str>(sentences.questions), &slots, rng);
    let steps: Vec<String> = clues.iter().map(Clue::step).collect();
    let (steps, order) = (steps.join(" "), order.join(" > "));
    Problem {
        family: ProblemFamily::Ordering,
        template,
        question: framed(split, story.join(" ").trim_start(), &ask, rng),
        explanation: format!("{steps} So {order}. The {superlative} is {answer}."),
        answer: answer.to_owned(),
        choices: people,
    }
}

/// One clue per pair of neighbours, from the first to the last or from the last to the first.
fn clues_about(order: &[&'static str], rng: &mut ItemRng) -> Vec<Clue> {
    let neighbours = order.windows(2);
    let mut clues: Vec<Clue> = neighbours
        .map(|pair| Clue {
            more: pair[0],
            less: pair[1],
            is_turned: rng.coin(),
        })
        .collect();
    if rng.coin() {
        clues.reverse();
    }
    clues
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
