//! Answers with what the checks found.

use std::collections::HashMap;

use alambic_text::PromptErasing;

use crate::answer::{Outcome, TokenLogProb};
use crate::answer_run::AnswerRecord;
use crate::check::{Checks, Keep, Verdict, select};
use crate::prompt::Prompt;
use crate::synthetic_conversation::{SyntheticConversation, identity};

/// An answer, or a failure to get one, with what the checks found.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedAnswer {
    /// The place of its prompt among those that were checked.
    pub prompt: usize,
    /// The request, and what became of it.
    pub record: AnswerRecord,
    /// What the checks found, in their order.
    pub verdicts: Vec<Verdict>,
}

impl CheckedAnswer {
    /// Whether it passes all checks.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.passed)
    }

    /// The identity of its conversation, if it is kept.
    #[must_use]
    pub fn id(&self) -> String {
        identity(&self.record.delivery.request)
    }

    /// What the writer said about its tokens.
    #[must_use]
    pub fn log_probs(&self) -> Option<&[TokenLogProb]> {
        match &self.record.delivery.outcome {
            Outcome::Answer(answer) => answer.log_probs.as_deref(),
            Outcome::Failure(_) => None,
        }
    }

    /// What the teacher wrote.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.record.delivery.outcome {
            Outcome::Answer(answer) => Some(&answer.text),
            Outcome::Failure(_) => None,
        }
    }
}

/// Checks all answers, those to one prompt under one strategy together, in the order of the prompts. Records of other prompts are left
/// out.
#[must_use]
pub fn check_answers(
    prompts: &[Prompt],
    records: Vec<AnswerRecord>,
    checks: &Checks,
) -> Vec<CheckedAnswer> {
    let mut groups: HashMap<(String, Option<String>), Vec<AnswerRecord>> = HashMap::new();
    let mut strategies: HashMap<String, Vec<Option<String>>> = HashMap::new();
    for record in records {
        let request = &record.delivery.request;
        let key = (request.prompt.clone(), request.strategy.clone());
        let group = groups.entry(key).or_default();
        if group.is_empty() {
            let strategies = strategies.entry(request.prompt.clone()).or_default();
            strategies.push(request.strategy.clone());
        }
        group.push(record);
    }
    let mut checked = Vec::new();
    for (place, prompt) in prompts.iter().enumerate() {
        for strategy in strategies.remove(&prompt.id).unwrap_or_default() {
            let group = groups.remove(&(prompt.id.clone(), strategy));
            let group = group.unwrap_or_default();
            let outcomes: Vec<Outcome> =
                group.iter().map(|it| it.delivery.outcome.clone()).collect();
            let verdicts = checks.verdicts(prompt, &outcomes);
            checked.extend(group.into_iter().zip(verdicts).map(|(record, verdicts)| {
                CheckedAnswer {
                    prompt: place,
                    record,
                    verdicts,
                }
            }));
        }
    }
    checked
}

/// The conversations of the answers that are kept, in their order; an answer that equals another one of its prompt gets a verdict that
/// says so.
pub fn keep_answers(
    prompts: &[Prompt],
    checked: &mut [CheckedAnswer],
    keep: Keep,
    erasing: &PromptErasing,
) -> Vec<SyntheticConversation> {
    let mut kept = Vec::new();
    for group in checked.chunk_by_mut(|a, b| a.prompt == b.prompt) {
        let mut verdicts: Vec<Vec<Verdict>> = group
            .iter_mut()
            .map(|it| std::mem::take(&mut it.verdicts))
            .collect();
        let texts: Vec<Option<&str>> = group.iter().map(CheckedAnswer::text).collect();
        let places = select(keep, &texts, &mut verdicts);
        for (answer, verdicts) in group.iter_mut().zip(verdicts) {
            answer.verdicts = verdicts;
        }
        for place in places {
            let answer = &group[place];
            let request = &answer.record.delivery.request;
            let text = answer.text().expect("only answers with a text are kept");
            kept.push(SyntheticConversation::new(
                &prompts[answer.prompt],
                request,
                text,
                &answer.record.writer,
                erasing,
                answer.verdicts.clone(),
            ));
        }
    }
    kept
}
