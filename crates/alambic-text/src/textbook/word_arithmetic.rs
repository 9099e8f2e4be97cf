//! Arithmetic word problems: one or two additions and subtractions.

use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::problem::{Problem, ProblemFamily};
use super::vocabulary::{ANIMALS, FRUITS, OBJECTS, PEOPLE, PLACES, TOYS, WEEKDAYS};
use super::word_arithmetic_templates::{ArithmeticTemplate, Nouns, Step, TEMPLATES};
use crate::Split;

/// Answers, all equally likely.
const ANSWERS: std::ops::RangeInclusive<u32> = 6..=16;
/// Numbers a step may add or take away.
const STEP_SIZES: std::ops::RangeInclusive<u32> = 2..=6;
/// No number on the way is larger or smaller.
const TOTALS: std::ops::RangeInclusive<u32> = 2..=20;

/// Makes a problem: the answer is drawn first, so that every answer is equally likely.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let template = rng.pick(TEMPLATES.of(split));
    let answer = rng.number(ANSWERS);
    let (start, sizes) = numbers_leading_to(answer, template.steps, rng);
    let slots = slots_of(template, start, &sizes, rng);
    let question = render(template.text, &slots, rng);
    Problem {
        family: ProblemFamily::WordArithmetic,
        template: template.id,
        question,
        explanation: explain(start, template.steps, &sizes),
        answer: answer.to_string(),
        choices: ANSWERS.count(),
    }
}

/// A start and step sizes that lead to `answer` within [`TOTALS`], by rejection.
fn numbers_leading_to(answer: u32, steps: &[Step], rng: &mut ItemRng) -> (u32, Vec<u32>) {
    loop {
        let sizes: Vec<u32> = steps.iter().map(|_| rng.number(STEP_SIZES)).collect();
        let mut backwards = steps.iter().zip(&sizes).rev();
        let start = backwards.try_fold(answer, |total, (step, size)| {
            let before = match step {
                Step::Add => total.checked_sub(*size)?,
                Step::Subtract => total + size,
            };
            TOTALS.contains(&before).then_some(before)
        });
        if let Some(start) = start {
            return (start, sizes);
        }
    }
}

fn slots_of(template: &ArithmeticTemplate, start: u32, sizes: &[u32], rng: &mut ItemRng) -> Slots {
    let [hero, friend] = rng.pick_distinct(PEOPLE);
    let [first_day, second_day] = rng.pick_distinct(&WEEKDAYS);
    let noun = match template.nouns {
        Nouns::Fruits => *rng.pick(FRUITS),
        Nouns::Animals => *rng.pick(ANIMALS),
        Nouns::Things => {
            let kind = *rng.pick(&[FRUITS, TOYS, OBJECTS]);
            *rng.pick(kind)
        }
    };
    let slots = Slots::default()
        .with_hero(hero)
        .with("B", friend.name)
        .with("items", format!("{noun}s"))
        .with("at", rng.pick(PLACES).at)
        .with("day", first_day)
        .with("day2", second_day)
        .with("n", start);
    ["m", "k"]
        .into_iter()
        .zip(sizes)
        .fold(slots, |slots, (slot, size)| slots.with(slot, size))
}

fn explain(start: u32, steps: &[Step], sizes: &[u32]) -> String {
    let mut total = start;
    let mut equations = Vec::new();
    for (step, size) in steps.iter().zip(sizes) {
        let (sign, after) = match step {
            Step::Add => ('+', total + size),
            Step::Subtract => ('-', total - size),
        };
        equations.push(format!("{total} {sign} {size} = {after}."));
        total = after;
    }
    equations.join(" ")
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
            let last = problem
                .explanation
                .split_terminator('.')
                .fold(None, |_, equation| {
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
