//! Boolean expressions, reduced from the inside out, one operation at a time.

use super::item_rng::ItemRng;
use super::pattern::{Slots, SplitTemplates, render};
use super::problem::{Problem, ProblemFamily};
use crate::Split;

/// The shape of an expression, with `x` for every leaf, and its question with `{e}` for the expression.
pub(super) struct BooleanTemplate {
    pub(super) id: &'static str,
    pub(super) shape: &'static str,
    pub(super) question: &'static str,
}

const fn template(
    id: &'static str,
    shape: &'static str,
    question: &'static str,
) -> BooleanTemplate {
    BooleanTemplate {
        id,
        shape,
        question,
    }
}

/// The wordings of training; every shape takes all of them.
const TRAIN_QUESTION: &str = "[What is {e}?|Find the value of {e}.|Is this True or False: {e}?|Look at {e}. What is its value?|Find out: what is {e}?]";
/// The wordings of the test.
const TEST_QUESTION: &str = "[What is the value of {e}?|Is the value of {e} True or False?|Find out what {e} is.|Tell the value of this: {e}.]";

const TRAIN: &[BooleanTemplate] = &[
    template("boolean/and", "x and x", TRAIN_QUESTION),
    template("boolean/or", "x or x", TRAIN_QUESTION),
    template("boolean/not_left_and", "not x and x", TRAIN_QUESTION),
    template("boolean/not_left_or", "not x or x", TRAIN_QUESTION),
    template("boolean/not_right_and", "x and not x", TRAIN_QUESTION),
    template("boolean/not_right_or", "x or not x", TRAIN_QUESTION),
    template("boolean/not_both_or", "not x or not x", TRAIN_QUESTION),
    template("boolean/not_of_and", "not (x and x)", TRAIN_QUESTION),
    template("boolean/not_of_or", "not (x or x)", TRAIN_QUESTION),
    template("boolean/and_then_or", "(x and x) or x", TRAIN_QUESTION),
    template("boolean/or_then_and", "(x or x) and x", TRAIN_QUESTION),
    template("boolean/and_of_or", "x and (x or x)", TRAIN_QUESTION),
    template("boolean/or_of_and", "x or (x and x)", TRAIN_QUESTION),
    template("boolean/and_then_and", "(x and x) and x", TRAIN_QUESTION),
    template("boolean/or_of_or", "x or (x or x)", TRAIN_QUESTION),
    template(
        "boolean/or_of_ands",
        "(x and x) or (x and x)",
        TRAIN_QUESTION,
    ),
    template(
        "boolean/and_of_ors",
        "(x or x) and (x or x)",
        TRAIN_QUESTION,
    ),
    template(
        "boolean/not_of_and_or",
        "not (x and x) or x",
        TRAIN_QUESTION,
    ),
    template(
        "boolean/not_of_or_and",
        "not (x or x) and x",
        TRAIN_QUESTION,
    ),
    template(
        "boolean/and_not_of_or",
        "x and not (x or x)",
        TRAIN_QUESTION,
    ),
    template("boolean/or_not_of_or", "x or not (x or x)", TRAIN_QUESTION),
    template("boolean/not_inside", "not (x and not x)", TRAIN_QUESTION),
    template(
        "boolean/not_or_of_and",
        "not x or (x and x)",
        TRAIN_QUESTION,
    ),
    template("boolean/and_then_not", "(x and x) or not x", TRAIN_QUESTION),
];

const TEST: &[BooleanTemplate] = &[
    template(
        "boolean/test_or_not_of_and",
        "x or not (x and x)",
        TEST_QUESTION,
    ),
    template(
        "boolean/test_not_both_and",
        "not x and not x",
        TEST_QUESTION,
    ),
    template(
        "boolean/test_not_of_or_or",
        "not (x or x) or x",
        TEST_QUESTION,
    ),
    template(
        "boolean/test_not_and_of_or",
        "not x and (x or x)",
        TEST_QUESTION,
    ),
    template(
        "boolean/test_or_then_not",
        "(x or x) and not x",
        TEST_QUESTION,
    ),
    template("boolean/test_and_of_and", "x and (x and x)", TEST_QUESTION),
    template(
        "boolean/test_and_or_or",
        "(x and x) or (x or x)",
        TEST_QUESTION,
    ),
    template("boolean/test_or_then_or", "(x or x) or x", TEST_QUESTION),
];

pub(super) const TEMPLATES: SplitTemplates<BooleanTemplate> = SplitTemplates {
    train: TRAIN,
    test: TEST,
};

/// Makes a problem; the answer is drawn first, so `True` and `False` are equally likely.
pub(super) fn problem(split: Split, rng: &mut ItemRng) -> Problem {
    let template = rng.pick(TEMPLATES.of(split));
    let answer = rng.coin();
    let (expression, steps) = loop {
        let expression = with_random_leaves(template.shape, rng);
        let steps = reductions(&expression);
        if steps.last().is_some_and(|last| last == literal(answer)) {
            break (expression, steps);
        }
    };
    let question = render(
        template.question,
        &Slots::default().with("e", &expression),
        rng,
    );
    Problem {
        family: ProblemFamily::BooleanExpressions,
        template: template.id,
        question,
        explanation: format!("{expression} = {}.", steps.join(" = ")),
        answer: literal(answer).to_owned(),
        choices: 2,
    }
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
