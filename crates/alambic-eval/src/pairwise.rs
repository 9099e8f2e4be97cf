//! Two answers to one instruction, judged by another model.

use std::collections::BTreeMap;
use std::fmt::Write;

use alambic_text::{AnswerPattern, Occurrence};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::generation_question::GenerationQuestion;
use crate::generation_report::GenerationReport;

/// What a judge is asked; `{instruction}`, `{first}` and `{second}` are filled in.
const PROMPT: &str = "Two assistants answered the same instruction. Decide which answer follows the instruction better: \
it should be correct, helpful and complete, and no longer than it has to be. The order of the answers and their length say \
nothing about their worth.\n\n[Instruction]\n{instruction}\n\n[Answer A]\n{first}\n[End of answer A]\n\n[Answer B]\n{second}\n\
[End of answer B]\n\nGive your reasons in a few sentences. Then write your verdict on a line of its own: [[A]] if answer A is \
better, [[B]] if answer B is better, [[C]] if they are equally good.";
/// What a verdict looks like.
const VERDICT: &str = r"\[\[([ABC])\]\]";

/// An instruction with two answers: a candidate's and an opponent's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerPair {
    /// Names it in results.
    pub id: String,
    /// What was asked.
    pub instruction: String,
    /// The answer whose wins are counted.
    pub candidate: String,
    /// The other one.
    pub opponent: String,
}

/// Which answer a judge prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The candidate's.
    Win,
    /// Neither.
    Tie,
    /// The opponent's.
    Loss,
}

/// What a judge says of a pair of answers, in both orders (Zheng et al. 2023, arXiv:2306.05685, section 3.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairwiseJudgement {
    /// The pair's identity.
    pub id: String,
    /// With the candidate's answer first; none if the judge's text has no verdict.
    pub candidate_first: Option<Verdict>,
    /// With the opponent's answer first.
    pub opponent_first: Option<Verdict>,
    /// What the judge wrote, in the same order.
    pub texts: [String; 2],
}

impl AnswerPair {
    /// The pairs of two models' answers to the same questions; what was asked is the prompt.
    ///
    /// # Errors
    /// [`EvalError::Unpaired`] for a question that one of the reports does not have.
    pub fn of_reports(
        questions: &[GenerationQuestion],
        candidate: &GenerationReport,
        opponent: &GenerationReport,
    ) -> Result<Vec<Self>, EvalError> {
        let answers = |report: &GenerationReport| -> BTreeMap<String, String> {
            let answers = report.questions.iter();
            answers.map(|it| (it.id.clone(), it.text.clone())).collect()
        };
        let (mut candidates, mut opponents) = (answers(candidate), answers(opponent));
        let mut pairs = Vec::new();
        for question in questions {
            let unpaired = |report: &GenerationReport| EvalError::Unpaired {
                question: question.id.clone(),
                model: report.model.clone(),
            };
            let answer = candidates.remove(&question.id);
            let other = opponents.remove(&question.id);
            pairs.push(Self {
                id: question.id.clone(),
                instruction: question.prompt.clone(),
                candidate: answer.ok_or_else(|| unpaired(candidate))?,
                opponent: other.ok_or_else(|| unpaired(opponent))?,
            });
        }
        Ok(pairs)
    }

    /// What the judge is asked, with the candidate's answer first and with the opponent's first.
    pub fn prompts(&self) -> [String; 2] {
        let prompt = |first: &str, second: &str| {
            // All at once, so that marks in an answer stay what they are.
            let mut text = String::new();
            let mut rest = PROMPT;
            for (mark, part) in [
                ("{instruction}", self.instruction.as_str()),
                ("{first}", first),
                ("{second}", second),
            ] {
                let (before, after) = rest.split_once(mark).expect("the prompt has each mark");
                let _ = write!(text, "{before}{part}");
                rest = after;
            }
            text + rest
        };
        [
            prompt(&self.candidate, &self.opponent),
            prompt(&self.opponent, &self.candidate),
        ]
    }

    /// Asks a judge in both orders. The judge takes a prompt and returns what it writes.
    ///
    /// # Errors
    /// Those of the judge.
    ///
    /// ```
    /// use alambic_eval::{AnswerPair, Verdict};
    ///
    /// let pair = AnswerPair {
    ///     id: "1".into(),
    ///     instruction: "Name a colour.".into(),
    ///     candidate: "Blue.".into(),
    ///     opponent: "A dog.".into(),
    /// };
    /// // A judge that likes what is blue.
    /// let judge = |prompt: &str| {
    ///     let first = prompt.find("Blue.") < prompt.find("A dog.");
    ///     Ok::<_, std::convert::Infallible>(format!("One names a colour. [[{}]]", if first { "A" } else { "B" }))
    /// };
    /// let judgement = pair.judge(judge)?;
    /// assert_eq!(judgement.verdict(), Some(Verdict::Win));
    /// assert!(!judgement.prefers_a_position());
    /// # Ok::<(), std::convert::Infallible>(())
    /// ```
    pub fn judge<E>(
        &self,
        mut judge: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<PairwiseJudgement, E> {
        let [first, second] = self.prompts();
        let texts = [judge(&first)?, judge(&second)?];
        Ok(PairwiseJudgement::of_texts(&self.id, texts))
    }
}

impl PairwiseJudgement {
    /// Reads what a judge wrote to the two prompts: the last `[[A]]`, `[[B]]` or `[[C]]` of each counts.
    ///
    /// # Panics
    /// Never: the pattern of a verdict is sound.
    pub fn of_texts(id: &str, texts: [String; 2]) -> Self {
        let pattern = AnswerPattern::new(VERDICT).expect("the pattern is sound");
        let read = |text: &str, if_first: Verdict, if_second: Verdict| {
            let letter = pattern.find(text, Occurrence::Last)?;
            Some(match letter {
                "A" => if_first,
                "B" => if_second,
                _ => Verdict::Tie,
            })
        };
        Self {
            id: id.to_owned(),
            candidate_first: read(&texts[0], Verdict::Win, Verdict::Loss),
            opponent_first: read(&texts[1], Verdict::Loss, Verdict::Win),
            texts,
        }
    }

    /// The verdict of both orders together: a win or a loss only where both say so, or one says so and the other a tie. None if
    /// one of them has no verdict.
    pub fn verdict(&self) -> Option<Verdict> {
        let worth = |verdict| match verdict {
            Verdict::Win => 1,
            Verdict::Tie => 0,
            Verdict::Loss => -1,
        };
        Some(
            match worth(self.candidate_first?) + worth(self.opponent_first?) {
                0 => Verdict::Tie,
                sum if sum > 0 => Verdict::Win,
                _ => Verdict::Loss,
            },
        )
    }

    /// Whether the judge preferred the same place in both orders, and so not an answer.
    pub fn prefers_a_position(&self) -> bool {
        matches!(
            (self.candidate_first, self.opponent_first),
            (Some(Verdict::Win), Some(Verdict::Loss)) | (Some(Verdict::Loss), Some(Verdict::Win))
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use alambic_text::AcceptedAnswers;

    use super::*;
    use crate::generation::GeneratedAnswer;

    fn judgement(first: &str, second: &str) -> PairwiseJudgement {
        PairwiseJudgement::of_texts("1", [first.to_owned(), second.to_owned()])
    }

    #[test]
    fn a_win_is_a_win_in_both_orders_or_beside_a_tie() {
        for (first, second, expected) in [
            ("[[A]]", "[[B]]", Some(Verdict::Win)),
            ("[[A]]", "so [[C]].", Some(Verdict::Win)),
            ("[[A]]", "[[A]]", Some(Verdict::Tie)),
            ("[[C]]", "[[C]]", Some(Verdict::Tie)),
            ("[[B]]", "[[A]]", Some(Verdict::Loss)),
            ("[[A]] or rather [[B]]", "[[C]]", Some(Verdict::Loss)),
            ("A", "[[A]]", None),
            ("[[D]]", "[[A]]", None),
        ] {
            assert_eq!(
                judgement(first, second).verdict(),
                expected,
                "{first} {second}"
            );
        }
    }

    #[test]
    fn both_orders_are_asked_and_marks_in_answers_stay() {
        let pair = AnswerPair {
            id: "1".into(),
            instruction: "Write {first}.".into(),
            candidate: "{second}".into(),
            opponent: "other".into(),
        };
        let [first, second] = pair.prompts();
        assert!(first.contains("[Instruction]\nWrite {first}.\n\n[Answer A]\n{second}\n"));
        assert!(first.contains("[Answer B]\nother\n"));
        assert!(
            second.contains("[Answer A]\nother\n") && second.contains("[Answer B]\n{second}\n")
        );
        let refused = pair.judge(|_| Err::<String, _>("no"));
        assert_eq!(refused, Err("no"));
    }

    #[test]
    fn answers_of_two_reports_are_paired_by_their_questions() {
        let question = |id: &str| GenerationQuestion {
            id: id.into(),
            prompt: format!("asked {id}"),
            accepted: AcceptedAnswers::one("x"),
        };
        let report = |model: &str, ids: &[&str]| {
            let answer = |id: &&str| GeneratedAnswer {
                id: (*id).into(),
                text: format!("{model} {id}"),
                extracted: None,
                accepted: vec![],
                score: 0.0,
                finished: true,
                cut: false,
            };
            GenerationReport::new("t", model, ids.iter().map(answer).collect(), 1).unwrap()
        };
        let (ours, theirs) = (report("ours", &["1", "2"]), report("theirs", &["2", "1"]));
        let questions = [question("1"), question("2")];
        let pairs = AnswerPair::of_reports(&questions, &ours, &theirs).unwrap();
        assert_eq!(pairs[1].instruction, "asked 2");
        assert_eq!(
            (pairs[1].candidate.as_str(), pairs[1].opponent.as_str()),
            ("ours 2", "theirs 2")
        );
        let fewer = report("theirs", &["2"]);
        let error = AnswerPair::of_reports(&questions, &ours, &fewer).unwrap_err();
        let told = "question 1: expected an answer of theirs";
        assert!(error.to_string().starts_with(told), "{error}");
    }
}
