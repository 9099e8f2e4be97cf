//! Whether an answer is one of those that are accepted.

use num_traits::Signed;
use serde::{Deserialize, Serialize};

use super::choice_answer::choice_place;
use super::expression::evaluate_expression;
use super::normalisation::normalised;
use super::number::parse_number;
use super::{OverlapMeasure, OverlapNormalisation, PercentMeaning, Rational, TextNormalisation};
use crate::rouge_l::rouge_l;

/// The answers that count as right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedAnswers {
    /// Each is a list of spans, mostly of one: an answer such as two names has two.
    pub answers: Vec<Vec<String>>,
    /// The choices of the question, if it has some, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

impl AcceptedAnswers {
    /// One answer of one span.
    pub fn one(answer: impl Into<String>) -> Self {
        Self {
            answers: vec![vec![answer.into()]],
            choices: Vec::new(),
        }
    }
}

/// How an answer is compared with those that are accepted; the best of these counts.
///
/// Answers of several spans are compared as their texts with `", "` between them, but by DROP's rule.
/// In TOML it is a table with `by`.
///
/// ```
/// use alambic_text::{AcceptedAnswers, AnswerComparison, NumberTolerance, PercentMeaning};
///
/// let numbers = AnswerComparison::Number { tolerance: NumberTolerance::None, percent: PercentMeaning::Unit };
/// assert!(numbers.agree("$1,500.00", "1500"));
/// assert!(numbers.agree("0.5", "1/2"));
/// assert!(!numbers.agree("0.33", "1/3"));
/// let expressions = AnswerComparison::Expression;
/// assert!(expressions.agree("(1 + 2) * 4", "2^3 + 4"));
/// let accepted = AcceptedAnswers { answers: vec![vec!["(B)".into()]], choices: vec!["no".into(), "yes".into()] };
/// assert_eq!(AnswerComparison::Choice.score("Yes.", &accepted), 1.0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerComparison {
    /// The same text, but for what is ignored, in this order.
    Text {
        /// What is not compared.
        ignore: Vec<TextNormalisation>,
    },
    /// The same number, however it is written. An answer that is no number is the same as none.
    Number {
        /// How far it may be from the accepted one.
        #[serde(default)]
        tolerance: NumberTolerance,
        /// What a percent sign says.
        #[serde(default)]
        percent: PercentMeaning,
    },
    /// The same choice, by its letter or its text.
    Choice,
    /// Arithmetic expressions ([`evaluate_expression`]) of the same value.
    Expression,
    /// Words in common.
    Overlap {
        /// How words are found.
        normalisation: OverlapNormalisation,
        /// What is measured.
        measure: OverlapMeasure,
    },
    /// Words in the same order: the F measure of [`rouge_l`].
    RougeL,
}

/// How far a number may be from the accepted one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberTolerance {
    /// Not at all.
    #[default]
    None,
    /// By at most this much.
    Absolute(Rational),
    /// By at most this share of the accepted number.
    Relative(Rational),
}

impl AnswerComparison {
    /// How right an answer is: 1 if it is one of those that are accepted, 0 if not, something between by overlap and by Rouge-L.
    #[must_use]
    pub fn score(&self, given: &str, accepted: &AcceptedAnswers) -> f64 {
        let scores = accepted.answers.iter().map(|spans| {
            let right = match self {
                Self::Overlap {
                    normalisation,
                    measure,
                } => return normalisation.score(*measure, given, spans),
                Self::RougeL => return rouge_l(given, &spans.join(", ")).f_measure,
                Self::Choice => {
                    let place = |answer: &str| choice_place(answer, &accepted.choices);
                    place(given).is_some_and(|given| place(&spans.join(", ")) == Some(given))
                }
                _ => self.agree(given, &spans.join(", ")),
            };
            f64::from(u8::from(right))
        });
        scores.fold(0.0, f64::max)
    }

    /// Whether an answer is the same as an accepted one, with a score of 1; choices are known by their letters alone.
    #[must_use]
    pub fn agree(&self, given: &str, accepted: &str) -> bool {
        match self {
            Self::Text { ignore } => normalised(given, ignore) == normalised(accepted, ignore),
            Self::Number { tolerance, percent } => {
                let parse = |text: &str| parse_number(text, *percent).map(Rational);
                match (parse(given), parse(accepted)) {
                    (Some(given), Some(accepted)) => tolerance.holds(&given, &accepted),
                    _ => false,
                }
            }
            Self::Expression => {
                let accepted = evaluate_expression(accepted);
                accepted.is_some() && evaluate_expression(given) == accepted
            }
            Self::Choice | Self::Overlap { .. } | Self::RougeL => {
                self.score(given, &AcceptedAnswers::one(accepted)) == 1.0
            }
        }
    }
}

impl NumberTolerance {
    fn holds(&self, given: &Rational, accepted: &Rational) -> bool {
        let difference = (&given.0 - &accepted.0).abs();
        match self {
            Self::None => given == accepted,
            Self::Absolute(most) => difference <= most.0,
            Self::Relative(share) => difference <= &share.0 * accepted.0.abs(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact() -> AnswerComparison {
        AnswerComparison::Number {
            tolerance: NumberTolerance::None,
            percent: PercentMeaning::Unit,
        }
    }

    fn all() -> Vec<AnswerComparison> {
        vec![
            AnswerComparison::Text {
                ignore: vec![TextNormalisation::Case, TextNormalisation::WhiteSpace],
            },
            exact(),
            AnswerComparison::Choice,
            AnswerComparison::Expression,
            AnswerComparison::Overlap {
                normalisation: OverlapNormalisation::Squad,
                measure: OverlapMeasure::ExactMatch,
            },
            AnswerComparison::RougeL,
        ]
    }

    #[test]
    fn the_best_of_the_accepted_answers_counts() {
        let accepted = AcceptedAnswers {
            answers: vec![vec!["Ann".into(), "Bob".into()], vec!["a dog".into()]],
            choices: vec![],
        };
        let overlap = |measure| AnswerComparison::Overlap {
            normalisation: OverlapNormalisation::Squad,
            measure,
        };
        assert_eq!(overlap(OverlapMeasure::F1).score("the dog", &accepted), 1.0);
        assert_eq!(
            overlap(OverlapMeasure::ExactMatch).score("Ann, Bob", &accepted),
            1.0
        );
        assert_eq!(
            overlap(OverlapMeasure::F1).score("Ann", &accepted),
            2.0 / 3.0
        );
        assert_eq!(AnswerComparison::RougeL.score("a big dog", &accepted), 0.8);
        let none = AcceptedAnswers::default();
        assert_eq!(exact().score("1", &none), 0.0);
    }

    #[test]
    fn a_tolerance_is_exact_too() {
        let within = |tolerance: NumberTolerance, given: &str| {
            let percent = PercentMeaning::Unit;
            AnswerComparison::Number { tolerance, percent }.agree(given, "0.3")
        };
        let tenth: Rational = "0.1".parse().unwrap();
        for (given, absolute, relative) in [
            ("0.2", true, false),
            ("0.33", true, true),
            ("0.4", true, false),
            ("0.41", false, false),
        ] {
            assert_eq!(
                within(NumberTolerance::Absolute(tenth.clone()), given),
                absolute
            );
            assert_eq!(
                within(NumberTolerance::Relative(tenth.clone()), given),
                relative
            );
        }
    }

    #[test]
    fn comparisons_are_tables_in_a_file() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct File {
            comparison: AnswerComparison,
        }
        for (text, told) in [
            (
                r#"{"by": "number", "tolerance": {"relative": "1/100"}}"#,
                None,
            ),
            (r#"{"by": "text", "ignore": ["case"]}"#, None),
            (
                r#"{"by": "overlap", "normalisation": "drop", "measure": "f1"}"#,
                None,
            ),
            (
                r#"{"by": "number", "tolerance": {"absolute": "x"}}"#,
                Some("expected a number"),
            ),
            (r#"{"by": "telepathy"}"#, Some("telepathy")),
            (
                r#"{"by": "text", "ignore": [], "case": true}"#,
                Some("case"),
            ),
        ] {
            let file = serde_json::from_str::<File>(&format!(r#"{{"comparison": {text}}}"#));
            match told {
                None => assert!(file.is_ok(), "{text}"),
                Some(told) => assert!(file.unwrap_err().to_string().contains(told), "{text}"),
            }
        }
    }

    /// The number `thousandths / 1000` in the ways in which it may be written.
    fn spellings(thousandths: u32) -> Vec<String> {
        let (whole, part) = (thousandths / 1000, thousandths % 1000);
        let digits = whole.to_string();
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        vec![
            format!("{whole}.{part:03}"),
            format!("{grouped}.{part:03}00"),
            format!(" ${grouped}.{part:03}. "),
            format!("{thousandths}/1000"),
            format!("{whole} {part}/1000"),
            format!("\\frac{{{thousandths}}}{{1000}}"),
            format!("{thousandths}e-3"),
            format!("+{whole}.{part:03} €"),
            format!("{whole}.{part:03}%"),
        ]
    }

    proptest! {
        #[test]
        fn a_number_is_the_same_however_it_is_written(thousandths in 0u32..100_000_000) {
            let all = spellings(thousandths);
            let other = spellings(thousandths + 1);
            for one in &all {
                for (same, other) in all.iter().zip(&other) {
                    prop_assert!(exact().agree(one, same), "{one} {same}");
                    prop_assert!(!exact().agree(one, other), "{one} {other}");
                    let (minus, other_minus) = (format!("-{}", one.trim()), format!("−{}", same.trim()));
                    if !one.contains('+') && !same.contains('+') {
                        prop_assert!(exact().agree(&minus, &other_minus), "{minus} {other_minus}");
                    }
                }
            }
        }

        #[test]
        fn agreeing_is_symmetric_and_no_text_brings_it_down(
            left in r"(\PC|[-+$€.,/%(){}A-C0-9 ^*]){0,24}", right in r"([-+$.,/%()A-C0-9 ^*]){0,24}",
        ) {
            for comparison in all() {
                prop_assert_eq!(comparison.agree(&left, &right), comparison.agree(&right, &left));
            }
        }
    }
}
