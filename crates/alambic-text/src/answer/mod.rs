//! Final answers: found in what a model writes, and compared with those that are accepted.

mod choice_answer;
mod comparison;
mod expression;
mod extraction;
mod normalisation;
mod number;
mod occurrence;
mod pattern;
mod rational;
mod token_overlap;

pub use comparison::{AcceptedAnswers, AnswerComparison, NumberTolerance};
pub use expression::evaluate_expression;
pub use extraction::{AnswerExtraction, TextEnd};
pub use normalisation::TextNormalisation;
pub use number::PercentMeaning;
pub use occurrence::Occurrence;
pub use pattern::AnswerPattern;
pub use rational::Rational;
pub use token_overlap::{OverlapMeasure, OverlapNormalisation};
