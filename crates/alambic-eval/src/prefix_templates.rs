//! Questions whose prompts differ: partial evaluation.

use alambic_text::{Record, RecordExpression, RecordTemplate};
use serde::{Deserialize, Serialize};

use crate::choice_question::{Choice, ChoiceQuestion, right_place, space, spelled};
use crate::prompting::Shot;

/// How a record becomes a question whose choices stand in the prompt: what follows is the same, and is most probable behind
/// the right one (Trinh and Le 2018, arXiv:1806.02847, "partial"). Templates are Jinja, expressions too; both see the record's
/// fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixTemplates {
    /// The expression of the prompts: a list of texts.
    pub prompts: RecordExpression,
    /// The template of what follows each of them.
    pub continuation: RecordTemplate,
    /// The expression of the right prompt: its place, counted from 0.
    pub answer: RecordExpression,
    /// What stands between prompt and continuation, and counts as the continuation's: a space if not given. In a chat nothing
    /// does.
    #[serde(default = "space")]
    pub delimiter: String,
}

/// What a record says.
pub(crate) struct PrefixParts<'a> {
    pub(crate) prompts: Vec<String>,
    continuation: String,
    right: usize,
    templates: &'a PrefixTemplates,
}

impl PrefixTemplates {
    pub(crate) fn parts(&self, fields: &Record) -> Result<PrefixParts<'_>, String> {
        let prompts = self.prompts.list(fields);
        let prompts = prompts.map_err(|error| format!("prefixes.prompts: {error}"))?;
        let prompts: Vec<String> = prompts.iter().map(spelled).collect();
        if prompts.len() < 2 {
            let count = prompts.len();
            return Err(format!(
                "prefixes.prompts: {count} prompts, expected at least two"
            ));
        }
        let continuation = self.continuation.render(fields);
        let continuation =
            continuation.map_err(|error| format!("prefixes.continuation: {error}"))?;
        let right = right_place("prefixes.answer", &self.answer, fields, prompts.len())?;
        Ok(PrefixParts {
            prompts,
            continuation,
            right,
            templates: self,
        })
    }
}

impl PrefixParts<'_> {
    pub(crate) fn question(
        self,
        id: String,
        prompts: Vec<String>,
        is_chat: bool,
    ) -> ChoiceQuestion {
        let delimiter = if is_chat {
            ""
        } else {
            &self.templates.delimiter
        };
        let text = format!("{delimiter}{}", self.continuation);
        let choice = |prompt| Choice {
            prompt,
            text: text.clone(),
        };
        ChoiceQuestion {
            id,
            choices: prompts.into_iter().map(choice).collect(),
            right: self.right,
            unconditional_prompt: None,
        }
    }

    pub(crate) fn shot(mut self) -> Shot {
        Shot {
            prompt: self.prompts.swap_remove(self.right),
            delimiter: self.templates.delimiter.clone(),
            answer: self.continuation,
        }
    }
}
