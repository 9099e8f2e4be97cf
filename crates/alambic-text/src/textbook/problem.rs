//! A reasoning problem with its worked explanation, and how an attempt at it is marked.

use std::fmt;

/// Marks the answer in a worked solution.
const ANSWER_MARK: &str = "Answer:";

/// The kinds of problems in the textbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProblemFamily {
    /// One or two additions and subtractions, told as a story.
    WordArithmetic,
    /// Three friends swap what they hold.
    ObjectTracking,
    /// Three or four people compared in pairs; who is first or last?
    Ordering,
    /// `not`, `and`, `or` over `True` and `False`.
    BooleanExpressions,
    /// Weekdays some days before or after another.
    DateArithmetic,
    /// How many things of a list are of a kind?
    Counting,
    /// The largest or smallest of three numbers, or who has it.
    Comparison,
}

impl ProblemFamily {
    /// Every family, in a fixed order.
    pub const fn all() -> &'static [ProblemFamily] {
        &[
            Self::WordArithmetic,
            Self::ObjectTracking,
            Self::Ordering,
            Self::BooleanExpressions,
            Self::DateArithmetic,
            Self::Counting,
            Self::Comparison,
        ]
    }

    /// A stable name for reports, such as `word_arithmetic`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WordArithmetic => "word_arithmetic",
            Self::ObjectTracking => "object_tracking",
            Self::Ordering => "ordering",
            Self::BooleanExpressions => "boolean_expressions",
            Self::DateArithmetic => "date_arithmetic",
            Self::Counting => "counting",
            Self::Comparison => "comparison",
        }
    }
}

impl fmt::Display for ProblemFamily {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A question, the steps that lead to its answer, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of reasoning it asks for.
    pub family: ProblemFamily,
    /// Stable id of the template it was made from; train and test share none.
    pub template: &'static str,
    /// The question, one line.
    pub question: String,
    /// The steps to the answer, one line.
    pub explanation: String,
    /// The one right answer.
    pub answer: String,
    /// How many answers a blind guess would choose from, all equally likely.
    pub choices: usize,
}

impl Problem {
    /// What a solver is given: the question and the mark that an explanation follows.
    pub fn prompt(&self) -> String {
        format!("Question: {}\nExplanation:", self.question)
    }

    /// The solved problem: [`prompt`](Self::prompt), explanation and answer, ended by a line break.
    pub fn text(&self) -> String {
        format!(
            "{} {}\n{ANSWER_MARK} {}\n",
            self.prompt(),
            self.explanation,
            self.answer
        )
    }

    /// Probability that a blind guess among [`choices`](Self::choices) is right.
    pub fn chance(&self) -> f64 {
        1.0 / self.choices as f64
    }

    /// Whether `generated`, a continuation of the prompt, ends in the right answer.
    ///
    /// The answer must match exactly; the explanation is not marked.
    pub fn is_solved_by(&self, generated: &str) -> bool {
        extract_answer(generated) == Some(self.answer.as_str())
    }
}

/// The text between the first `Answer:` and the end of its line, trimmed.
///
/// `None` if there is no such mark or nothing behind it.
///
/// ```
/// use alambic_text::extract_answer;
/// assert_eq!(extract_answer(" 3 + 4 = 7.\nAnswer: 7\n"), Some("7"));
/// assert_eq!(extract_answer(" 3 + 4 = 7."), None);
/// ```
pub fn extract_answer(generated: &str) -> Option<&str> {
    let (_, behind) = generated.split_once(ANSWER_MARK)?;
    let answer = behind.lines().next()?.trim();
    (!answer.is_empty()).then_some(answer)
}

/// Expected share of right answers by blind guessing: the mean of [`Problem::chance`].
///
/// NaN for no problems, where a mean is not defined.
pub fn chance_accuracy(problems: &[Problem]) -> f64 {
    problems.iter().map(Problem::chance).sum::<f64>() / problems.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum() -> Problem {
        Problem {
            family: ProblemFamily::WordArithmetic,
            template: "sum",
            question: "What is 3 + 4?".to_owned(),
            explanation: "3 + 4 = 7.".to_owned(),
            answer: "7".to_owned(),
            choices: 4,
        }
    }

    #[test]
    fn text_is_the_prompt_continued() {
        let expected = "Question: What is 3 + 4?\nExplanation: 3 + 4 = 7.\nAnswer: 7\n";
        assert_eq!(sum().text(), expected);
        assert!(expected.starts_with(&sum().prompt()));
    }

    #[test]
    fn only_the_first_answer_counts() {
        assert!(sum().is_solved_by(" 3 + 4 = 7.\nAnswer: 7\nAnswer: 8"));
        assert!(!sum().is_solved_by(" 3 + 4 = 8.\nAnswer: 8\nAnswer: 7"));
        assert!(!sum().is_solved_by(" 3 + 4 = 7.\nAnswer:\n7"));
        assert!(!sum().is_solved_by(" 7"));
    }

    #[test]
    fn chance_accuracy_is_the_mean_chance() {
        let two = Problem {
            choices: 2,
            ..sum()
        };
        assert!((chance_accuracy(&[sum(), two]) - 0.375).abs() < 1e-12);
        assert!(chance_accuracy(&[]).is_nan());
    }

    #[test]
    fn family_names_are_unique() {
        let mut names: Vec<_> = ProblemFamily::all()
            .iter()
            .map(|family| family.name())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ProblemFamily::all().len());
    }
}
