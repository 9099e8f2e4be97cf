//! Conversations that are kept, with where they come from.

use alambic_text::{Conversation, Message, PromptErasing, Role};
use serde::{Deserialize, Serialize};

use crate::check::Verdict;
use crate::prompt::{Prompt, Source};
use crate::request::{AnswerRequest, Sampling};

/// A conversation for a student, with everything that it comes from.
///
/// Written as a line of JSON it is a document of a corpus ([`CorpusFormat::Jsonl`](alambic_text::CorpusFormat::Jsonl)): `messages` is
/// what the student sees, `teacher_system` what only the teacher saw. Whoever reads `messages` alone cannot see a strategy by mistake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticConversation {
    /// The prompt's identity, the strategy's name and the sample's number.
    pub id: String,
    /// What the student sees.
    pub messages: Vec<Message>,
    /// The system prompt that only the teacher saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_system: Option<String>,
    /// The kind of its prompt.
    pub kind: String,
    /// The strategy that the teacher answered under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Where the prompt comes from.
    pub source: Source,
    /// Who wrote the answer.
    pub teacher: String,
    /// How it was drawn.
    pub sampling: Sampling,
    /// What the checks found.
    pub verdicts: Vec<Verdict>,
}

impl SyntheticConversation {
    /// The conversation of an answer; `erasing` says what the student sees of the strategy's prompt.
    #[must_use]
    pub fn new(
        prompt: &Prompt,
        request: &AnswerRequest,
        answer: &str,
        teacher: &str,
        erasing: &PromptErasing,
        verdicts: Vec<Verdict>,
    ) -> Self {
        let answer = Message::new(Role::Assistant, answer);
        let conversation = Conversation {
            messages: request.messages.iter().cloned().chain([answer]).collect(),
            erasing: erasing.clone(),
        };
        let system = request
            .messages
            .iter()
            .find(|message| message.role == Role::System);
        let erased = system.filter(|_| *erasing != PromptErasing::Keep);
        Self {
            id: identity(request),
            messages: conversation.student_view().messages().to_vec(),
            teacher_system: erased.map(|message| message.content.clone()),
            kind: prompt.kind.clone(),
            strategy: request.strategy.clone(),
            source: prompt.source.clone(),
            teacher: teacher.to_owned(),
            sampling: request.sampling.clone(),
            verdicts,
        }
    }
}

/// Names an answer among all that were asked for.
pub(crate) fn identity(request: &AnswerRequest) -> String {
    let strategy = request.strategy.as_deref().unwrap_or("none");
    format!("{}/{strategy}/{}", request.prompt, request.sample)
}
