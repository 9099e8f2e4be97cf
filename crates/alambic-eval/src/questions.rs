//! The questions that a task makes of its records.

use crate::EvalError;
use crate::choice_question::ChoiceQuestion;
use crate::continuation_question::ContinuationQuestion;
use crate::generation_question::GenerationQuestion;
use crate::prompting::{Prompting, Shot};
use crate::task::{QuestionTemplates, Task};
use crate::task_records::TaskRecord;

/// The questions of a task, all of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Questions {
    /// Questions with choices.
    Choice(Vec<ChoiceQuestion>),
    /// Texts with given continuations.
    Continuation(Vec<ContinuationQuestion>),
    /// Questions that are answered in the model's own words.
    Generation(Vec<GenerationQuestion>),
}

impl Questions {
    /// Questions with choices, if they are.
    pub fn choices(self) -> Option<Vec<ChoiceQuestion>> {
        match self {
            Self::Choice(questions) => Some(questions),
            _ => None,
        }
    }

    /// Texts with given continuations, if they are.
    pub fn continuations(self) -> Option<Vec<ContinuationQuestion>> {
        match self {
            Self::Continuation(questions) => Some(questions),
            _ => None,
        }
    }

    /// Questions that are answered in the model's own words, if they are.
    pub fn generations(self) -> Option<Vec<GenerationQuestion>> {
        match self {
            Self::Generation(questions) => Some(questions),
            _ => None,
        }
    }
}

impl Task {
    /// The questions of records, in their order, with what `prompting` puts before and around them.
    ///
    /// # Errors
    /// [`EvalError::Record`] for a record without a field that the task reads, or that makes no question of its kind;
    /// [`EvalError::TooFewShots`]; the chat template's. Equal choices are taken, since published files have some; the first of
    /// them counts.
    pub fn questions(
        &self,
        records: &[TaskRecord],
        prompting: &Prompting,
    ) -> Result<Questions, EvalError> {
        let frame = Frame::new(self, prompting)?;
        let is_chat = prompting.chat.is_some();
        Ok(match &self.question {
            QuestionTemplates::Choice(templates) => {
                let question = |index, record: &TaskRecord| {
                    let parts = record.checked(templates.parts(&record.fields))?;
                    let text = frame.prompt(index, record, parts.prompt.clone())?;
                    Ok(parts.question(record.id(), text, is_chat))
                };
                Questions::Choice(each(records, question)?)
            }
            QuestionTemplates::Prefixes(templates) => {
                let question = |index, record: &TaskRecord| {
                    let parts = record.checked(templates.parts(&record.fields))?;
                    let texts = parts.prompts.iter();
                    let texts = texts.map(|text| frame.prompt(index, record, text.clone()));
                    let texts = texts.collect::<Result<_, _>>()?;
                    Ok(parts.question(record.id(), texts, is_chat))
                };
                Questions::Choice(each(records, question)?)
            }
            QuestionTemplates::Continuation(templates) => {
                let question = |index, record: &TaskRecord| {
                    let [text, continuation] = record.checked(templates.parts(&record.fields))?;
                    Ok(ContinuationQuestion {
                        id: record.id(),
                        prompt: frame.prompt(index, record, text)?,
                        continuation,
                    })
                };
                Questions::Continuation(each(records, question)?)
            }
            QuestionTemplates::Generation(templates) => {
                let question = |index, record: &TaskRecord| {
                    let (text, accepted) = record.checked(templates.parts(&record.fields))?;
                    Ok(GenerationQuestion {
                        id: record.id(),
                        prompt: frame.prompt(index, record, text)?,
                        accepted,
                    })
                };
                Questions::Generation(each(records, question)?)
            }
        })
    }
}

fn each<T>(
    records: &[TaskRecord],
    question: impl Fn(usize, &TaskRecord) -> Result<T, EvalError>,
) -> Result<Vec<T>, EvalError> {
    let numbered = records.iter().enumerate();
    numbered
        .map(|(index, record)| question(index, record))
        .collect()
}

/// What stands before and around the questions of a task.
struct Frame<'a> {
    prompting: &'a Prompting,
    separator: &'a str,
    /// The examples that all records of the shots make.
    pool: Vec<Shot>,
}

impl<'a> Frame<'a> {
    fn new(task: &'a Task, prompting: &'a Prompting) -> Result<Self, EvalError> {
        let records = prompting.shots.as_ref().map(|shots| shots.records.iter());
        let shot = |record: &TaskRecord| record.checked(task.shot(&record.fields));
        Ok(Self {
            prompting,
            separator: &task.few_shot.separator,
            pool: records
                .into_iter()
                .flatten()
                .map(shot)
                .collect::<Result<_, _>>()?,
        })
    }

    fn prompt(
        &self,
        index: usize,
        record: &TaskRecord,
        prompt: String,
    ) -> Result<String, EvalError> {
        let before = match &self.prompting.shots {
            None => Vec::new(),
            Some(shots) => shots.before(index, record, &self.pool)?,
        };
        self.prompting.prompt(&before, self.separator, prompt)
    }
}
