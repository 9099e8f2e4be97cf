//! Tasks: how records become questions.

use std::path::Path;
use std::str::FromStr;

use alambic_text::{Record, RecordExpression, RecordFormat, RecordTemplate};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::choice_question::ChoiceTemplates;
use crate::continuation_question::ContinuationTemplates;
use crate::generation_question::GenerationTemplates;
use crate::prefix_templates::PrefixTemplates;
use crate::prompting::Shot;
use crate::task_file::TaskFile;
use crate::task_records::{AnswersFile, read};

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

    /// A file of examples as its authors publish it, to be put before every question as
    /// [`Prompting::preamble`](crate::Prompting::preamble): what stands
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
    pub(crate) fn shot(&self, fields: &Record) -> Result<Shot, String> {
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
