//! Date arithmetic: weekdays some days before or after another, counted day by day.

use super::item_rng::ItemRng;
use super::pattern::{Slots, SplitTemplates, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{PEOPLE, PLACES, WEEKDAYS};
use crate::Split;

/// Which way to count.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    After,
    Before,
}

/// One way to tell a problem: from `{day}`, `{n}` days and, with two directions, then `{m}` days.
pub(super) struct DateTemplate {
    pub(super) id: &'static str,
    pub(super) directions: &'static [Direction],
    pub(super) text: &'static str,
}

const fn template(
    id: &'static str,
    directions: &'static [Direction],
    text: &'static str,
) -> DateTemplate {
    DateTemplate {
        id,
        directions,
        text,
    }
}

use Direction::{After, Before};

#[rustfmt::skip]
const TRAIN: &[DateTemplate] = &[
    template("date/in_days", &[After], "Today is {day}. What day is it in {n} days?"),
    template("date/days_ago", &[Before], "Today is {day}. What day was it {n} days ago?"),
    template("date/trip", &[After], "On {day} {A} goes {to}. {He} comes home {n} days later. On what day is {he} home?"),
    template("date/buys", &[Before], "{A} buys a book on {day}. {He} was at the shop {n} days before that. On what day was {he} at the shop?"),
    template("date/wait", &[After], "It is {day}. {A} can go {to} after {n} days. What day is that?"),
    template("date/days_after", &[After], "What day comes {n} days after {day}?"),
    template("date/days_before", &[Before], "Which day is {n} days before {day}?"),
    template("date/two_trips", &[After, After], "{A} goes {to} on {day}. {n} days later {he} goes to {B}. {He} comes home {m} days after that. When does {A} come home?"),
    template("date/found_ago", &[Before], "Now it is {day}. {A} found a coin {n} days ago. When was that?"),
    template("date/starts", &[After], "The book of {A} is long. {He} starts it on {day} and ends it {n} days later. When does {he} end it?"),
    template("date/sees_friend", &[After, After], "{A} meets {B} on {day}. They meet again after {n} days and again after {m} more days. What day is it then?"),
    template("date/was_before", &[Before], "If it is {day} today, what day was {n} days before?"),
    template("date/rain", &[After], "The rain starts on {day}. {n} days later the sun comes out. What day is it then?"),
    template("date/party", &[Before], "{A} has a party on {day}. {He} makes a cake {n} days before the party. On which day is that?"),
    template("date/ago_then_after", &[Before, After], "Today is {day}. {A} went {to} {n} days ago. {He} came home {m} days later. When did {he} come home?"),
    template("date/waits", &[After, After], "On {day} {A} waits {n} days for {B}. Then they wait {m} days for the sun. What day is it now?"),
];

#[rustfmt::skip]
const TEST: &[DateTemplate] = &[
    template("date/test_goes", &[After], "On {day} {A} goes home. {He} goes {to} {n} days after that. On what day does {he} go {to}?"),
    template("date/test_today", &[After], "It is {day} today. Which day is it {n} days later?"),
    template("date/test_ago", &[Before], "It is {day} now. {A} was {at} {n} days ago. What day was that?"),
    template("date/test_before_party", &[Before], "The party of {A} is on {day}. {n} days before that, {he} meets {B}. On what day do they meet?"),
    template("date/test_two_waits", &[After, After], "{A} starts a long book on {day}. {n} days later {he} gives it to {B}, and {B} ends it {m} days after that. On what day does {B} end it?"),
    template("date/test_cake", &[After], "On {day} {A} makes a cake for {B}. {B} comes in {n} days. When does {B} come?"),
];

pub(super) const TEMPLATES: SplitTemplates<DateTemplate> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

/// Makes a problem; the start is uniform, and so is the answer.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let template = rng.pick(TEMPLATES.of(split));
    let start = rng.pick(&[0, 1, 2, 3, 4, 5, 6]);
    let longest = if template.directions.len() == 1 { 6 } else { 4 };
    let counts: Vec<u32> = template
        .directions
        .iter()
        .map(|_| rng.number(2..=longest))
        .collect();
    let [hero, friend] = rng.pick_distinct(PEOPLE);
    let place = *rng.pick(PLACES);
    let slots = Slots::default()
        .with_hero(hero)
        .with("B", friend.name)
        .with("at", place.at)
        .with("to", place.to)
        .with("day", WEEKDAYS[*start]);
    let slots = ["n", "m"]
        .into_iter()
        .zip(&counts)
        .fold(slots, |slots, (slot, count)| slots.with(slot, count));
    let question = render(template.text, &slots, rng);
    let (explanation, end) = count_days(*start, template.directions, &counts);
    Problem {
        family: ProblemFamily::DateArithmetic,
        template: template.id,
        question,
        explanation,
        answer: WEEKDAYS[end].to_owned(),
        choices: WEEKDAYS.len(),
    }
}

/// Counts day by day; returns the counting and the day it ends on.
fn count_days(start: usize, directions: &[Direction], counts: &[u32]) -> (String, usize) {
    let mut day = start;
    let mut sentences = Vec::new();
    for (direction, count) in directions.iter().zip(counts) {
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
