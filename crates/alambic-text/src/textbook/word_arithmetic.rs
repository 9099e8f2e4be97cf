//! Arithmetic word problems: one or two additions and subtractions.

use super::framing::framed;
use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{ANIMALS, FRUITS, OBJECTS, PEOPLE, PLACES, TOYS, WEEKDAYS};
use super::word_arithmetic_templates::{ArithmeticFrame, Event, FRAMES, Nouns, TAKING};
use crate::Split;

/// Answers, all equally likely.
const ANSWERS: std::ops::RangeInclusive<u32> = 6..=16;
/// Numbers a step may add or take away.
const STEP_SIZES: std::ops::RangeInclusive<u32> = 2..=6;
/// No number on the way is larger or smaller.
const TOTALS: std::ops::RangeInclusive<u32> = 2..=20;

/// Makes a problem: the answer is drawn first, so that every answer is equally likely.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let frame = rng.pick(FRAMES.of(split));
    let answer = rng.number(ANSWERS);
    let events: Vec<&Event> = (0..rng.number(1..=frame.max_events))
        .map(|_| rng.pick(frame.events))
        .collect();
    let words: Vec<&str> = events.iter().map(|event| event.word).collect();
    let (start, sizes) = numbers_leading_to(answer, &words, rng);
    let slots = slots_of(frame, rng).with("n", start);
    let mut sentences = vec![render(frame.start, &slots, rng)];
    for (event, size) in events.iter().zip(&sizes) {
        sentences.push(render(event.text, &slots.clone().with("s", size), rng));
    }
    let question = render(frame.question, &slots, rng);
    Problem {
        family: ProblemFamily::WordArithmetic,
        template: frame.id,
        question: framed(split, &sentences.join(" "), &question, rng),
        explanation: explain(start, &words, &sizes),
        answer: answer.to_string(),
        choices: ANSWERS.count(),
    }
}

/// A start and step sizes that lead to `answer` within [`TOTALS`], by rejection.
fn numbers_leading_to(answer: u32, steps: &[&str], rng: &mut ItemRng) -> (u32, Vec<u32>) {
    loop {
        let sizes: Vec<u32> = steps.iter().map(|_| rng.number(STEP_SIZES)).collect();
        let mut backwards = steps.iter().zip(&sizes).rev();
        let start = backwards.try_fold(answer, |total, (step, size)| {
            let before = if TAKING.contains(step) {
                total + size
            } else {
                total.checked_sub(*size)?
            };
            TOTALS.contains(&before).then_some(before)
        });
        if let Some(start) = start {
            return (start, sizes);
        }
    }
}

fn slots_of(frame: &ArithmeticFrame, rng: &mut ItemRng) -> Slots {
    let [hero, friend] = rng.pick_distinct(PEOPLE);
    let [first_day, second_day] = rng.pick_distinct(&WEEKDAYS);
    let place = *rng.pick(PLACES);
    let nouns = match frame.nouns {
        Nouns::Fruits => FRUITS,
        Nouns::Animals => ANIMALS,
        Nouns::Things => *rng.pick(&[FRUITS, TOYS, OBJECTS]),
    };
    Slots::default()
        .with_hero(hero)
        .with_place(place)
        .with("B", friend.name)
        .with("items", format!("{}s", rng.pick(nouns)))
        .with("day", first_day)
        .with("day2", second_day)
}

/// The start, then for each step its word, its size and its equation.
fn explain(start: u32, steps: &[&str], sizes: &[u32]) -> String {
    let mut total = start;
    let mut explanation = start.to_string();
    for (step, size) in steps.iter().zip(sizes) {
        let (sign, after) = if TAKING.contains(step) {
            ('-', total - size)
        } else {
            ('+', total + size)
        };
        explanation += &format!(", {step} {size}: {total} {sign} {size} = {after}");
        total = after;
    }
    explanation + "."
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{problems, words};
    use super::*;

    /// Words that tell that the number of their clause is taken away.
    const LOSS: &[&str] = &["gives", "eats", "loses", "takes", "fewer", "sells", "leave"];

    /// Reads the numbers off the question and adds them, with the sign of their clause.
    fn solve(question: &str) -> i64 {
        let clauses = question
            .split(['.', ',', '?'])
            .flat_map(|sentence| sentence.split(" and "));
        let mut total = 0;
        for clause in clauses {
            let words = words(clause);
            let number = words.iter().find_map(|word| word.parse::<i64>().ok());
            let loses = words.iter().any(|word| LOSS.contains(&word.as_str()));
            total += number.unwrap_or(0) * if loses { -1 } else { 1 };
        }
        total
    }

    #[test]
    fn an_independent_reader_finds_the_same_answers() {
        for problem in problems(ProblemFamily::WordArithmetic) {
            assert_eq!(
                solve(&problem.question).to_string(),
                problem.answer,
                "{problem:?}"
            );
        }
    }

    #[test]
    fn every_equation_of_an_explanation_holds() {
        for problem in problems(ProblemFamily::WordArithmetic) {
            let steps = problem
                .explanation
                .trim_end_matches('.')
                .split(", ")
                .skip(1);
            let last = steps.fold(None, |_, step| {
                let (_, equation) = step.split_once(": ").unwrap();
                let (left, right) = equation.split_once(" = ").unwrap();
                let parts: Vec<&str> = left.split_whitespace().collect();
                let [a, sign, b] = parts[..] else {
                    panic!("{problem:?}")
                };
                let (a, b): (i64, i64) = (a.parse().unwrap(), b.parse().unwrap());
                let result = if sign == "+" { a + b } else { a - b };
                assert_eq!(result.to_string(), right, "{problem:?}");
                assert!((2..=20).contains(&result), "{problem:?}");
                Some(right.to_owned())
            });
            assert_eq!(last.as_ref(), Some(&problem.answer));
        }
    }
}
