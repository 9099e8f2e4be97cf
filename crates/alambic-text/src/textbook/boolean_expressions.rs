//! Boolean expressions, reduced from the inside out, one operation at a time.

use super::framing::framed;
use super::item_rng::ItemRng;
use super::pattern::{Slots, render};
use super::problem::{Problem, ProblemFamily};
use crate::Split;

/// Shapes of expressions, with `x` for every value, and their questions with `{e}` for the expression.
pub(super) struct BooleanSentences {
    /// Ids and patterns of shapes; the shape names the template.
    pub(super) shapes: &'static [(&'static str, &'static str)],
    pub(super) questions: &'static [&'static str],
}

/// Training has every shape of these patterns but the shapes of the test.
#[rustfmt::skip]
pub(super) const TRAIN: BooleanSentences = BooleanSentences {
    shapes: &[
        ("boolean/pair", "[x|not x] [and|or] [x|not x]"),
        ("boolean/not_pair", "not (x [and|or] x)"),
        ("boolean/not_pair_with_not", "not ([x|not x] [and|or] [x|not x])"),
        ("boolean/pair_left", "([x|x|not x] [and|or] [x|x|not x]) [and|or] x"),
        ("boolean/pair_left_not", "(x [and|or] x) [and|or] not x"),
        ("boolean/pair_right", "x [and|or] ([x|x|not x] [and|or] [x|x|not x])"),
        ("boolean/pair_right_not", "not x [and|or] (x [and|or] x)"),
        ("boolean/not_pair_left", "not ([x|x|not x] [and|or] x) [and|or] x"),
        ("boolean/not_pair_right", "x [and|or] not (x [and|or] [x|x|not x])"),
        ("boolean/two_pairs", "(x [and|or] x) [and|or] (x [and|or] x)"),
    ],
    questions: &[
        "What is {e}?", "Find the value of {e}.", "Is this True or False: {e}?", "Look at {e}. What is its value?", "Find out: what is {e}?",
        "Here is {e}. Find its value.", "Tell: {e} is what?", "Do you know what {e} is?", "Now find {e}.", "We know {e}. What is that?",
    ],
};

#[rustfmt::skip]
pub(super) const TEST: BooleanSentences = BooleanSentences {
    shapes: &[
        ("boolean/test_or_not_of_and", "x or not (x and x)"),
        ("boolean/test_not_both_and", "not x and not x"),
        ("boolean/test_not_of_or_or", "not (x or x) or x"),
        ("boolean/test_not_and_of_or", "not x and (x or x)"),
        ("boolean/test_or_then_not", "(x or x) and not x"),
        ("boolean/test_and_of_and", "x and (x and x)"),
        ("boolean/test_and_or_or", "(x and x) or (x or x)"),
        ("boolean/test_or_then_or", "(x or x) or x"),
        ("boolean/test_not_left", "(not x and x) or x"),
        ("boolean/test_not_in_not", "not (x or not x)"),
    ],
    questions: &[
        "What is the value of {e}?", "Is the value of {e} True or False?", "Find out what {e} is.", "Tell the value of this: {e}.",
    ],
};

/// Makes a problem; the answer is drawn first, so `True` and `False` are equally likely.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let sentences = match split {
        Split::Train | Split::Validation => &TRAIN,
        Split::Test => &TEST,
    };
    let (template, pattern) = *rng.pick(sentences.shapes);
    let answer = rng.coin();
    let (expression, steps) = loop {
        let shape = render(pattern, &Slots::default(), rng);
        if split != Split::Test && is_held_out(&shape) {
            continue;
        }
        let expression = with_random_leaves(&shape, rng);
        let steps = reductions(&expression);
        if steps.last().is_some_and(|last| last == literal(answer)) {
            break (expression, steps);
        }
    };
    let slots = Slots::default().with("e", &expression);
    let ask = render(rng.pick::<&str>(sentences.questions), &slots, rng);
    Problem {
        family: ProblemFamily::BooleanExpressions,
        template,
        question: framed(split, "", &ask, rng),
        explanation: format!("{expression} = {}.", steps.join(" = ")),
        answer: literal(answer).to_owned(),
        choices: 2,
    }
}

/// Whether only the test has this shape.
fn is_held_out(shape: &str) -> bool {
    TEST.shapes.iter().any(|(_, held_out)| *held_out == shape)
}

fn literal(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn with_random_leaves(shape: &str, rng: &mut ItemRng) -> String {
    let mut parts = shape.split('x');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |expression, part| {
        expression + literal(rng.coin()) + part
    })
}

/// The expression after each operation, until a single value is left.
fn reductions(expression: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut current = expression.to_owned();
    while let Some(next) = reduce_once(&current) {
        steps.push(next.clone());
        current = next;
    }
    steps
}

/// Applies the leftmost innermost operation: first `not` of a value, then `and` or `or` of two values.
///
/// Every pair of operands that stands alone between brackets, or is all that is left, can be applied: shapes put
/// brackets around every inner `and` and `or`.
fn reduce_once(expression: &str) -> Option<String> {
    let (open, close) = match expression.find(')') {
        Some(close) => (expression[..close].rfind('(')? + 1, close),
        None => (0, expression.len()),
    };
    let inside = &expression[open..close];
    let words: Vec<&str> = inside.split(' ').collect();
    let value = |word: &str| word == literal(true);
    if let Some(not) = words.iter().position(|word| *word == "not") {
        let mut reduced = words.clone();
        reduced.splice(not..=not + 1, [literal(!value(words[not + 1]))]);
        return Some(replace_inside(expression, open, close, &reduced.join(" ")));
    }
    match words[..] {
        [left, "and", right] => Some(replace_inside(
            expression,
            open,
            close,
            literal(value(left) && value(right)),
        )),
        [left, "or", right] => Some(replace_inside(
            expression,
            open,
            close,
            literal(value(left) || value(right)),
        )),
        _ => None,
    }
}

/// Puts `inside` for the bytes `open..close`; a single value loses its brackets.
fn replace_inside(expression: &str, open: usize, close: usize, inside: &str) -> String {
    let in_brackets = close < expression.len();
    if in_brackets && !inside.contains(' ') {
        return format!(
            "{}{inside}{}",
            &expression[..open - 1],
            &expression[close + 1..]
        );
    }
    format!("{}{inside}{}", &expression[..open], &expression[close..])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::problems;
    use super::*;

    /// Recursive descent over the tokens, with Python's precedence: `not`, then `and`, then `or`.
    struct Parser<'a>(std::iter::Peekable<std::slice::Iter<'a, String>>);

    impl Parser<'_> {
        fn eat(&mut self, word: &str) -> bool {
            self.0.next_if(|token| *token == word).is_some()
        }

        fn or(&mut self) -> bool {
            let mut value = self.and();
            while self.eat("or") {
                value |= self.and();
            }
            value
        }

        fn and(&mut self) -> bool {
            let mut value = self.not();
            while self.eat("and") {
                value &= self.not();
            }
            value
        }

        fn not(&mut self) -> bool {
            if self.eat("not") {
                return !self.not();
            }
            if self.eat("(") {
                let value = self.or();
                assert!(self.eat(")"));
                return value;
            }
            if self.eat("True") {
                return true;
            }
            assert!(self.eat("False"));
            false
        }
    }

    fn evaluate(expression: &str) -> bool {
        let spaced = expression.replace('(', "( ").replace(')', " )");
        let tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
        let mut parser = Parser(tokens.iter().peekable());
        let value = parser.or();
        assert!(parser.0.next().is_none(), "{expression}");
        value
    }

    #[test]
    fn an_independent_parser_finds_the_same_answers_at_every_step() {
        for problem in problems(ProblemFamily::BooleanExpressions) {
            let steps: Vec<&str> = problem
                .explanation
                .trim_end_matches('.')
                .split(" = ")
                .collect();
            assert!(problem.question.contains(steps[0]), "{problem:?}");
            for step in &steps {
                assert_eq!(literal(evaluate(step)), problem.answer, "{problem:?}");
            }
            assert_eq!(*steps.last().unwrap(), problem.answer);
        }
    }

    #[test]
    fn an_expression_is_reduced_from_the_inside_out() {
        let steps = reductions("not (True and False) or True");
        assert_eq!(steps, ["not False or True", "True or True", "True"]);
        assert_eq!(
            reductions("not (True and not True)"),
            ["not (True and False)", "not False", "True"]
        );
    }
}
