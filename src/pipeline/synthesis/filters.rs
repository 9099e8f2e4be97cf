//! Conversations that are good enough, said once, and no evaluation questions.

use std::collections::HashSet;

use alambic_eval::{Prompting, Questions};
use alambic_synth::{
    EvaluationQuestion, Filter, FilterConfig, FilterDocument, FilterReport, SyntheticConversation,
};
use alambic_text::Role;

use super::recipe::EvaluationSet;
use crate::pipeline::PipelineError;
use crate::pipeline::benchmark::{find_task, records_of};

/// Removes conversations that do not pass the filters; what is looked at are the turns of user and assistant, one text after the
/// other.
pub(super) fn apply(
    config: &FilterConfig,
    sets: &[EvaluationSet],
    kept: &mut Vec<SyntheticConversation>,
) -> Result<FilterReport, PipelineError> {
    let mut questions = Vec::new();
    for set in sets {
        questions.extend(questions_of(set)?);
    }
    let filter = Filter::new(config.clone(), questions)?;
    let texts: Vec<String> = kept.iter().map(text).collect();
    let documents = kept.iter().zip(&texts);
    let documents: Vec<FilterDocument<'_>> = documents
        .map(|(conversation, text)| FilterDocument {
            id: &conversation.id,
            text,
        })
        .collect();
    let outcome = filter.apply(&documents)?;
    let removed: HashSet<u64> = outcome.removals().map(|(place, _)| place).collect();
    let mut place = 0;
    kept.retain(|_| {
        place += 1;
        !removed.contains(&(place - 1))
    });
    Ok(outcome.report)
}

fn text(conversation: &SyntheticConversation) -> String {
    let turns = conversation.messages.iter();
    let turns = turns.filter(|message| message.role != Role::System);
    turns
        .map(|message| message.content.as_str())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// The questions of a benchmark, as a model would read them.
fn questions_of(set: &EvaluationSet) -> Result<Vec<EvaluationQuestion>, PipelineError> {
    let task = find_task(&set.task)?;
    let records = records_of(&task, &set.data)?;
    let texts: Vec<(String, String)> = match task.questions(&records, &Prompting::default())? {
        Questions::Choice(questions) => {
            // Winogrande's choices have prompts of their own.
            let prompts = questions.into_iter().flat_map(|question| {
                let mut prompts: Vec<String> = question
                    .choices
                    .into_iter()
                    .map(|choice| choice.prompt)
                    .collect();
                prompts.dedup();
                prompts
                    .into_iter()
                    .map(move |prompt| (question.id.clone(), prompt))
            });
            prompts.collect()
        }
        Questions::Continuation(questions) => questions
            .into_iter()
            .map(|question| (question.id, question.prompt + &question.continuation))
            .collect(),
        Questions::Generation(questions) => questions
            .into_iter()
            .map(|question| (question.id, question.prompt))
            .collect(),
    };
    let question = |(question, text)| EvaluationQuestion {
        set: task.name.clone(),
        question,
        text,
    };
    Ok(texts.into_iter().map(question).collect())
}
