//! Tasks: how records become questions.

use std::path::Path;
use std::str::FromStr;

use alambic_text::{Record, RecordExpression, RecordFormat, RecordTemplate};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::choice_question::{ChoiceQuestion, ChoiceTemplates};
use crate::continuation_question::{ContinuationQuestion, ContinuationTemplates};
use crate::generation_question::{GenerationQuestion, GenerationTemplates};
use crate::prefix_templates::PrefixTemplates;
use crate::prompting::{Prompting, Shot};
use crate::task_file::TaskFile;
use crate::task_records::{AnswersFile, TaskRecord, read};

/// What stands between shots where a task says nothing else, as in `lm-eval`.
const SEPARATOR: &str = "\n\n";

/// A benchmark: how its files hold records, and how these become questions. A TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TaskFile", into = "TaskFile")]
pub struct Task {
    /// A short name, as in tables.
    pub name: String,
    /// What is asked, and where the records come from.
    pub description: String,
    /// How files hold the records.
    pub records: RecordFormat,
    /// The expression of a list, where a record makes several questions: each has one of the list's items as the field `item`
    /// beside those of the record.
    pub each: Option<RecordExpression>,
    /// Where the answers are, if not in the records.
    pub answers: Option<AnswersFile>,
    /// How a record becomes a question.
    pub question: QuestionTemplates,
    /// How records become examples before a question.
    pub few_shot: FewShotTemplates,
}

/// How a record becomes a question: one of the tables `[choice]`, `[prefixes]`, `[continuation]` and `[generation]`.
#[derive(Clone, Debug, PartialEq)]
pub enum QuestionTemplates {
    /// One prompt, several continuations of which one is right.
    Choice(ChoiceTemplates),
    /// Several prompts, of which one is right, with one continuation.
    Prefixes(PrefixTemplates),
    /// One prompt with one continuation.
    Continuation(ContinuationTemplates),
    /// One prompt, and an answer in the model's own words.
    Generation(GenerationTemplates),
}

/// How records become examples before a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FewShotTemplates {
    /// The template of an example's answer; the right choice, the continuation or the first accepted answer if not given.
    #[serde(default)]
    pub answer: Option<RecordTemplate>,
    /// What stands behind every example: an empty line if not given.
    #[serde(default = "separator")]
    pub separator: String,
    /// What a published file of examples has before them, such as `-----` after a note; the whole file counts if not given.
    #[serde(default)]
    pub preamble_behind: Option<String>,
}

fn separator() -> String {
    SEPARATOR.to_owned()
}

impl Default for FewShotTemplates {
    fn default() -> Self {
        Self {
            answer: None,
            separator: separator(),
            preamble_behind: None,
        }
    }
}

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

impl FromStr for Task {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self, EvalError> {
        toml::from_str(text).map_err(|error| EvalError::Task {
            task: "the task".into(),
            problem: error.to_string(),
        })
    }
}

impl Task {
    /// Reads a task's TOML file.
    ///
    /// # Errors
    /// [`EvalError::File`] and [`EvalError::Task`].
    pub fn from_file(path: &Path) -> Result<Self, EvalError> {
        let text = read(path)?;
        let text = String::from_utf8_lossy(&text);
        text.parse().map_err(|error| match error {
            EvalError::Task { problem, .. } => EvalError::Task {
                task: path.display().to_string(),
                problem,
            },
            other => other,
        })
    }

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
        let shots = prompting.shots.as_ref();
        let pool: Vec<Shot> = match shots {
            None => Vec::new(),
            Some(shots) => {
                let shot = |record: &TaskRecord| {
                    let shot = self.shot(&record.fields);
                    shot.map_err(|problem| record.refuse(problem))
                };
                shots.records.iter().map(shot).collect::<Result<_, _>>()?
            }
        };
        let separator = &self.few_shot.separator;
        let prompt = |index: usize, record: &TaskRecord, prompt: String| {
            let before = match shots {
                None => Vec::new(),
                Some(shots) => shots.before(index, record, &pool)?,
            };
            prompting.prompt(&before, separator, prompt)
        };
        let is_chat = prompting.chat.is_some();
        let numbered = records.iter().enumerate();
        Ok(match &self.question {
            QuestionTemplates::Choice(templates) => {
                let question = |(index, record): (usize, &TaskRecord)| {
                    let parts = templates.parts(&record.fields);
                    let parts = parts.map_err(|problem| record.refuse(problem))?;
                    let text = prompt(index, record, parts.prompt.clone())?;
                    Ok(parts.question(record.id(), text, is_chat))
                };
                let questions: Result<_, EvalError> = numbered.map(question).collect();
                Questions::Choice(questions?)
            }
            QuestionTemplates::Prefixes(templates) => {
                let question = |(index, record): (usize, &TaskRecord)| {
                    let parts = templates.parts(&record.fields);
                    let parts = parts.map_err(|problem| record.refuse(problem))?;
                    let texts = parts.prompts.iter();
                    let texts = texts.map(|text| prompt(index, record, text.clone()));
                    let texts = texts.collect::<Result<_, _>>()?;
                    Ok(parts.question(record.id(), texts, is_chat))
                };
                let questions: Result<_, EvalError> = numbered.map(question).collect();
                Questions::Choice(questions?)
            }
            QuestionTemplates::Continuation(templates) => {
                let question = |(index, record): (usize, &TaskRecord)| {
                    let parts = templates.parts(&record.fields);
                    let [text, continuation] = parts.map_err(|problem| record.refuse(problem))?;
                    Ok(ContinuationQuestion {
                        id: record.id(),
                        prompt: prompt(index, record, text)?,
                        continuation,
                    })
                };
                let questions: Result<_, EvalError> = numbered.map(question).collect();
                Questions::Continuation(questions?)
            }
            QuestionTemplates::Generation(templates) => {
                let question = |(index, record): (usize, &TaskRecord)| {
                    let parts = templates.parts(&record.fields);
                    let (text, accepted) = parts.map_err(|problem| record.refuse(problem))?;
                    Ok(GenerationQuestion {
                        id: record.id(),
                        prompt: prompt(index, record, text)?,
                        accepted,
                    })
                };
                let questions: Result<_, EvalError> = numbered.map(question).collect();
                Questions::Generation(questions?)
            }
        })
    }

    /// A file of examples as its authors publish it, to be put before every question as [`Prompting::preamble`]: what stands
    /// behind the note that the task knows of, without white space around it, and the separator.
    ///
    /// # Errors
    /// [`EvalError::File`]; [`EvalError::Task`] if the file does not have the note.
    pub fn preamble_of_file(&self, path: &Path) -> Result<String, EvalError> {
        let text = read(path)?;
        let text = String::from_utf8_lossy(&text);
        let behind = match &self.few_shot.preamble_behind {
            None => Some(&*text),
            Some(mark) => text.split_once(mark.as_str()).map(|(_, behind)| behind),
        };
        let behind = behind.ok_or_else(|| EvalError::Task {
            task: path.display().to_string(),
            problem: format!(
                "expected {:?} before the examples (few_shot.preamble_behind), found none",
                self.few_shot.preamble_behind.as_deref().unwrap_or_default()
            ),
        })?;
        Ok(format!("{}{}", behind.trim(), self.few_shot.separator))
    }

    /// An example: what is asked, and what is answered.
    fn shot(&self, fields: &Record) -> Result<Shot, String> {
        let mut shot = match &self.question {
            QuestionTemplates::Choice(templates) => templates.parts(fields)?.shot(),
            QuestionTemplates::Prefixes(templates) => templates.parts(fields)?.shot(),
            QuestionTemplates::Continuation(templates) => {
                let [prompt, answer] = templates.parts(fields)?;
                Shot {
                    prompt,
                    delimiter: String::new(),
                    answer,
                }
            }
            QuestionTemplates::Generation(templates) => templates.shot(fields)?,
        };
        if let Some(template) = &self.few_shot.answer {
            let answer = template.render(fields);
            shot.answer = answer.map_err(|error| format!("few_shot.answer: {error}"))?;
        }
        Ok(shot)
    }
}
