//! Texts with given continuations.

use alambic_text::{Record, RecordTemplate};
use serde::{Deserialize, Serialize};

/// How a record becomes a text with a given continuation, such as the last word of a passage. Both templates are Jinja, and see
/// the record's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuationTemplates {
    /// The template of the prompt.
    pub prompt: RecordTemplate,
    /// The template of what follows it, with white space between them.
    pub continuation: RecordTemplate,
}

/// A text with a given continuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContinuationQuestion {
    /// Names it in results and errors: its file and place.
    pub id: String,
    /// What the model reads.
    pub prompt: String,
    /// What it is to go on with.
    pub continuation: String,
}

impl ContinuationTemplates {
    /// Prompt and continuation.
    pub(crate) fn parts(&self, fields: &Record) -> Result<[String; 2], String> {
        let prompt = self.prompt.render(fields);
        let prompt = prompt.map_err(|error| format!("continuation.prompt: {error}"))?;
        let continuation = self.continuation.render(fields);
        let continuation =
            continuation.map_err(|error| format!("continuation.continuation: {error}"))?;
        Ok([prompt, continuation])
    }
}
