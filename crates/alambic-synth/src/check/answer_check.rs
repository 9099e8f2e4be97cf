//! Final answers against references, and against each other.

use alambic_text::{AnswerComparison, AnswerExtraction};
use serde::{Deserialize, Serialize};

use super::agreement::Agreement;
use super::verdict::{CheckKind, Verdict};
use crate::answer::{Answer, Finish, Outcome};
use crate::prompt::Prompt;

/// How the answers of one kind of prompts are checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerCheck {
    /// Where the final answer stands in what the teacher writes.
    pub extraction: AnswerExtraction,
    /// When two final answers are the same.
    pub comparison: AnswerComparison,
    /// What is done with prompts whose right answer is not known.
    pub without_reference: WithoutReference,
    /// How many answers to a prompt have to agree, if they have to.
    #[serde(default)]
    pub agreement: Option<Agreement>,
}

/// What is done with prompts whose right answer is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutReference {
    /// Their answers are kept if they pass all other checks.
    Accept,
    /// None of their answers is kept.
    Reject,
}

impl AnswerCheck {
    /// The verdicts on all answers to one prompt, in their order: rejection sampling keeps those that pass all of them.
    ///
    /// A check that another one makes senseless is left out, so that the last verdict of a rejected answer says why.
    #[must_use]
    pub fn verdicts(&self, prompt: &Prompt, outcomes: &[Outcome]) -> Vec<Vec<Verdict>> {
        let finals: Vec<Option<String>> = outcomes.iter().map(|it| self.final_answer(it)).collect();
        let votes = self.agreement.as_ref().map(|agreement| {
            let given: Vec<&str> = finals.iter().flatten().map(String::as_str).collect();
            (agreement, agreement.votes(&given, &self.comparison))
        });
        let verdicts = outcomes.iter().zip(&finals).map(|(outcome, found)| {
            let mut verdicts = finished(outcome);
            let passed = verdicts.iter().all(|verdict| verdict.passed);
            let Some(found) = found.as_ref().filter(|_| passed) else {
                if passed {
                    verdicts.push(Verdict::new(CheckKind::FinalAnswer, false, "none"));
                }
                return verdicts;
            };
            verdicts.push(Verdict::new(CheckKind::FinalAnswer, true, found.as_str()));
            verdicts.extend(self.against_reference(prompt, found));
            if let Some((agreement, votes)) = &votes
                && verdicts.iter().all(|verdict| verdict.passed)
            {
                verdicts.push(agreement.verdict(found, votes, &self.comparison));
            }
            verdicts
        });
        verdicts.collect()
    }

    fn final_answer(&self, outcome: &Outcome) -> Option<String> {
        match outcome {
            Outcome::Answer(answer) if answer.finish == Finish::Stop => {
                self.extraction.extract(&answer.text)
            }
            _ => None,
        }
    }

    fn against_reference(&self, prompt: &Prompt, found: &str) -> Option<Verdict> {
        let Some(accepted) = &prompt.accepted else {
            let rejects = self.without_reference == WithoutReference::Reject;
            let verdict = Verdict::new(CheckKind::Reference, false, "no right answer is known");
            return rejects.then_some(verdict);
        };
        // Words in common are not enough.
        let right = self.comparison.score(found, accepted) >= 1.0;
        let spans = accepted.answers.iter().map(|spans| spans.join(", "));
        let expected = spans.collect::<Vec<_>>().join(" or ");
        Some(Verdict::new(CheckKind::Reference, right, found).expecting(expected))
    }
}

/// Whether there is an answer, and whether the teacher ended it.
pub(crate) fn finished(outcome: &Outcome) -> Vec<Verdict> {
    match outcome {
        Outcome::Failure(reason) => {
            vec![Verdict::new(CheckKind::Answered, false, reason.as_str())]
        }
        Outcome::Answer(Answer { finish, .. }) => {
            let found = match finish {
                Finish::Stop => "stop",
                Finish::Length => "length",
                Finish::Other(reason) => reason,
            };
            let passed = *finish == Finish::Stop;
            vec![Verdict::new(CheckKind::Finished, passed, found)]
        }
    }
}
