//! Date arithmetic: weekdays some days before or after another, counted day by day.

use super::framing::framed;
use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{PEOPLE, PLACES, WEEKDAYS};
use crate::Split;

/// Which way to count.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    After,
    Before,
}

/// A whole problem: `{n}` days after or before `{day}`. Only these say "ago" and "in 3 days", which a longer story
/// would leave unclear.
pub(super) struct DirectTemplate {
    pub(super) id: &'static str,
    pub(super) direction: Direction,
    pub(super) text: &'static str,
}

/// Sentences that problems are put together from: a start on `{day}`, one or two events `{n}` days away, a question.
pub(super) struct DateSentences {
    pub(super) direct: &'static [DirectTemplate],
    /// Ids and sentences; the start names the template.
    pub(super) starts: &'static [(&'static str, &'static str)],
    pub(super) after: &'static [&'static str],
    pub(super) before: &'static [&'static str],
    pub(super) questions: &'static [&'static str],
}

const fn direct(id: &'static str, direction: Direction, text: &'static str) -> DirectTemplate {
    DirectTemplate {
        id,
        direction,
        text,
    }
}

use Direction::{After, Before};

/// Share of the whole problems.
const DIRECT_RATIO: f64 = 0.4;
/// Share of the other problems with two events.
const TWO_EVENTS_RATIO: f64 = 0.3;

#[rustfmt::skip]
pub(super) const TRAIN: DateSentences = DateSentences {
    direct: &[
        direct("date/comes_after", After, "What day comes {n} days after {day}?"),
        direct("date/is_after", After, "Which day is {n} days after {day}?"),
        direct("date/is_before", Before, "Which day is {n} days before {day}?"),
        direct("date/was_before", Before, "What day was {n} days before {day}?"),
        direct("date/if_in", After, "If it is {day} now, what day is it in {n} days?"),
        direct("date/if_ago", Before, "If it is {day} now, what day was it {n} days ago?"),
        direct("date/today_in", After, "[Today is|It is|Now it is] {day}. What day is it in {n} days?"),
        direct("date/today_ago", Before, "[Today is|It is|Now it is] {day}. What day was it {n} days ago?"),
        direct("date/today_goes", After, "[Today is|It is|Now it is] {day}. In {n} days [{A} goes {to}|the sun comes out|{B} comes]. What day is that?"),
        direct("date/today_was", Before, "[Today is|It is|Now it is] {day}. [{A} was {at}|{A} found a coin|The rain came] {n} days ago. What day was that?"),
        direct("date/find_after", After, "Find the day that is {n} days after {day}."),
        direct("date/find_before", Before, "Find the day that is {n} days before {day}."),
    ],
    starts: &[
        ("date/today", "[Today is {day}|It is {day}|It is {day} today|Now it is {day}]."),
        ("date/was", "[It was {day}|It was {day}, and the sun was out|The day was {day}]."),
        ("date/meets", "[{A} meets {B} on {day}|On {day} {A} meets {B}|{A} and {B} meet on {day} {at}]."),
        ("date/goes", "[On {day} {A} goes {to}|{A} goes {to} on {day}|{A} and {B} go {to} on {day}]."),
        ("date/party", "[{A} has a party on {day}|On {day} {A} has a party|The party of {A} comes on {day}]."),
        ("date/rain", "[On {day} the rain comes|The rain comes on {day}|It is cold on {day}]."),
        ("date/cake", "[{A} makes a cake on {day}|On {day} {A} makes a cake for {B}]."),
        ("date/book", "[{A} gets a new book on {day}|On {day} {A} gets a book from {B}|{A} reads a book on {day}]."),
    ],
    after: &[
        "[{A}|{B}] comes home {n} days [later|after that].",
        "{n} days later [{A}|{B}] [is {at}|goes {to}|is home again].",
        "After {n} days [{A}|{B}] [is home|makes a cake|meets a friend].",
        "[{A}|{B}] [goes {to}|finds a coin|reads a book] {n} days [later|after that].",
        "{n} days later [the sun comes out|{A} goes home|{B} comes].",
        "{n} days after that [{A}|{B}] [makes a cake|has a party|is {at}].",
        "[{A}|{B}] waits {n} days and [goes home|reads a book|comes again].",
    ],
    before: &[
        "{n} days before that day [{A}|{B}] was [{at}|at home].",
        "[{A}|{B}] [found a coin|was {at}|came home|made a cake] {n} days before that.",
        "{n} days before that [{A}|{B}] was [{at}|at the shop].",
        "[{A}|{B}] [went {to}|met friends|had a party] {n} days before it.",
        "The rain came {n} days before that.",
    ],
    questions: &[
        "What day is that?", "Which day is it then?", "Find that day.", "When is that?", "On which day is that?",
        "What day was that?", "Tell what day that is.", "What day is it?",
    ],
};

#[rustfmt::skip]
pub(super) const TEST: DateSentences = DateSentences {
    direct: &[
        direct("date/test_what_after", After, "What is the day {n} days after {day}?"),
        direct("date/test_what_before", Before, "What is the day {n} days before {day}?"),
        direct("date/test_met", Before, "Today it is {day}. {n} days ago {A} [made a cake|went {to}]. Which day was that?"),
        direct("date/test_meets", After, "Today it is {day}. {A} [goes to school|meets {B}] in {n} days. Which day is that?"),
        direct("date/test_today_in", After, "Today is {day}, so which day is it in {n} days?"),
        direct("date/test_today_ago", Before, "Today is {day}, so which day was it {n} days ago?"),
    ],
    starts: &[
        ("date/test_now", "[It is now {day}|It is {day}, and it is warm]."),
        ("date/test_shop", "[{A} goes to the shop on {day}|On {day} {A} was at the shop]."),
        ("date/test_doll", "[On {day} {A} finds an old doll|{A} buys a kite on {day}]."),
        ("date/test_school", "[On {day} {A} goes to school|{A} finds a long book on {day}]."),
    ],
    after: &[
        "[{A}|{B}] gives a party {n} days [later|after that].",
        "{n} days later [{A}|{B}] [comes home again|gets a book].",
        "After {n} days [{B} comes|the sun comes out].",
        "{n} days after that [{A} and {B} meet|{A} goes to school].",
    ],
    before: &[
        "[{A}|{B}] was home {n} days before that.",
        "{n} days before that [{A}|{B}] [met a friend|made a cake].",
        "{n} days before that [{A}|{B}] [went {to}|found a coin].",
    ],
    questions: &["What is that day?", "Which day is that?", "On what day is that?", "Find out which day that is."],
};

/// Makes a problem; the start is uniform, and so is the answer.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let sentences = match split {
        Split::Train | Split::Validation => &TRAIN,
        Split::Test => &TEST,
    };
    let start = *rng.pick(&[0, 1, 2, 3, 4, 5, 6]);
    let [hero, friend] = rng.pick_distinct(PEOPLE);
    let slots = Slots::default()
        .with_hero(hero)
        .with_place(*rng.pick(PLACES))
        .with("B", friend.name)
        .with("day", WEEKDAYS[start]);
    let (template, question, steps) = if rng.chance(DIRECT_RATIO) {
        direct_question(sentences, &slots, split, rng)
    } else {
        told_question(sentences, &slots, split, rng)
    };
    let (explanation, end) = count_days(start, &steps);
    Problem {
        family: ProblemFamily::DateArithmetic,
        template,
        question,
        explanation,
        answer: WEEKDAYS[end].to_owned(),
        choices: WEEKDAYS.len(),
    }
}

/// Directions and numbers of days.
type Steps = Vec<(Direction, u32)>;

fn direct_question(
    sentences: &DateSentences,
    slots: &Slots,
    split: Split,
    rng: &mut ItemRng,
) -> (&'static str, String, Steps) {
    let template = rng.pick(sentences.direct);
    let count = rng.number(2..=6);
    let question = render(template.text, &slots.clone().with("n", count), rng);
    (
        template.id,
        framed(split, "", &question, rng),
        vec![(template.direction, count)],
    )
}

fn told_question(
    sentences: &DateSentences,
    slots: &Slots,
    split: Split,
    rng: &mut ItemRng,
) -> (&'static str, String, Steps) {
    let (id, start) = rng.pick(sentences.starts);
    let mut story = vec![render(start, slots, rng)];
    let (events, longest) = if rng.chance(TWO_EVENTS_RATIO) {
        (2, 4)
    } else {
        (1, 6)
    };
    let mut steps = Vec::new();
    for _ in 0..events {
        let (direction, texts) = if rng.coin() {
            (After, sentences.after)
        } else {
            (Before, sentences.before)
        };
        let count = rng.number(2..=longest);
        story.push(render(
            rng.pick::<&str>(texts),
            &slots.clone().with("n", count),
            rng,
        ));
        steps.push((direction, count));
    }
    let question = rng.pick(sentences.questions);
    (id, framed(split, &story.join(" "), question, rng), steps)
}

/// Counts day by day; returns the counting and the day it ends on.
fn count_days(start: usize, steps: &[(Direction, u32)]) -> (String, usize) {
    let mut day = start;
    let mut sentences = Vec::new();
    for (direction, count) in steps {
        let (sign, step) = match direction {
            After => ('+', 1),
            Before => ('-', WEEKDAYS.len() - 1),
        };
        let from = WEEKDAYS[day];
        let mut days = Vec::new();
        for counted in 1..=*count {
            day = (day + step) % WEEKDAYS.len();
            days.push(format!("{counted} {}", WEEKDAYS[day]));
        }
        sentences.push(format!("{from} {sign} {count}: {}.", days.join(", ")));
    }
    (sentences.join(" "), day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{problems, words};
    use super::*;

    /// Sums the numbers of the question, negative where it says "ago" or "before", modulo seven.
    fn solve(question: &str) -> &'static str {
        let mut offset = 0;
        let mut start = None;
        for sentence in question.split(['.', '?']) {
            let words = words(sentence);
            let backwards = words.iter().any(|word| word == "ago" || word == "before");
            for word in &words {
                start = start.or(WEEKDAYS.iter().position(|day| day == word));
                if let Ok(number) = word.parse::<i64>() {
                    offset += if backwards { -number } else { number };
                }
            }
        }
        let day = (i64::try_from(start.unwrap()).unwrap() + offset).rem_euclid(7);
        WEEKDAYS[usize::try_from(day).unwrap()]
    }

    #[test]
    fn an_independent_reader_finds_the_same_answers() {
        for problem in problems(ProblemFamily::DateArithmetic) {
            assert_eq!(solve(&problem.question), problem.answer, "{problem:?}");
            let last = words(&problem.explanation).pop();
            assert_eq!(last.as_ref(), Some(&problem.answer), "{problem:?}");
        }
    }
}
