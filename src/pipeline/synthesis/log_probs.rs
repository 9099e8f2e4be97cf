//! What a server said about the tokens of the answers that are kept.

use std::collections::HashMap;
use std::path::Path;

use alambic_synth::{CheckedAnswer, ServedTokenReader, SyntheticConversation};
use alambic_text::{ChatTemplate, Tokenizer};
use serde::{Deserialize, Serialize};

use super::recipe::LogProbSection;
use crate::pipeline::PipelineError;
use crate::pipeline::language_model::TOKENIZER_FILE;
use crate::pipeline::run_directory::write_atomically;

/// The file with a line for each conversation.
const LOG_PROBS: &str = "log_probs.jsonl";

/// What became of the log-probabilities of the conversations that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProbCounts {
    /// Conversations with a line.
    pub lines: usize,
    /// Conversations without one, each with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Writes a line for each conversation that is kept.
pub(super) fn write(
    section: &LogProbSection,
    checked: &[CheckedAnswer],
    kept: &[SyntheticConversation],
    out: &Path,
) -> Result<LogProbCounts, PipelineError> {
    let tokenizer = Tokenizer::from_file(&section.tokenizer.join(TOKENIZER_FILE))?;
    let template = chat_template(&section.tokenizer)?;
    let reader = ServedTokenReader::new(&tokenizer, &template)?;
    let answers: HashMap<String, &CheckedAnswer> = checked.iter().map(|it| (it.id(), it)).collect();
    let mut counts = LogProbCounts::default();
    let mut text = String::new();
    for conversation in kept {
        let answer = answers
            .get(&conversation.id)
            .and_then(|answer| answer.log_probs());
        let line = match answer {
            None => Err("the server said nothing about its tokens".to_owned()),
            Some(log_probs) => reader.line(conversation, log_probs, section.top),
        };
        match line {
            Ok(line) => {
                let json = serde_json::to_string(&line);
                text += &json.expect("numbers can be written as JSON");
                text.push('\n');
                counts.lines += 1;
            }
            Err(reason) => counts.left_out.push((conversation.id.clone(), reason)),
        }
    }
    let path = out.join(LOG_PROBS);
    write_atomically(&path, text.as_bytes())
        .map_err(|source| PipelineError::io("write", path, source))?;
    Ok(counts)
}

/// The chat template of a model's directory, which has to have one.
pub(super) fn chat_template(directory: &Path) -> Result<ChatTemplate, PipelineError> {
    let template = ChatTemplate::from_directory(directory)?;
    template.ok_or_else(|| PipelineError::Input {
        what: directory.display().to_string(),
        expected: "a chat template".into(),
        found: "none".into(),
        advice: "add chat_template.jinja, or name a model that was trained on chats".into(),
    })
}
