//! What became of a request.

use serde::{Deserialize, Serialize};

use crate::request::AnswerRequest;

/// What a teacher wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// What the teacher thought before, where it is given apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why it ends.
    pub finish: Finish,
    /// The model, as the writer names it.
    pub model: String,
    /// How probable its tokens were, where the writer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_probs: Option<Vec<TokenLogProb>>,
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The teacher ended it.
    Stop,
    /// It reached the most tokens that were allowed, and is cut.
    Length,
    /// Something else, in the writer's words, such as `content_filter`.
    Other(String),
}

/// A token of an answer with its log-probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenLogProb {
    /// The token.
    pub token: ServedToken,
    /// In nats.
    pub log_prob: f64,
    /// The most probable tokens in its place, with theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<(ServedToken, f64)>,
}

/// A token as a server names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedToken {
    /// Its text, which is not unique where it is part of a character.
    pub text: String,
    /// The bytes it stands for, where the server says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
}

/// Tokens that were read and written for a request, over all its attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub answer_tokens: u64,
    /// How much of both is an upper bound of ours, because the writer did not say, or said what cannot be.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bounded_tokens: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// Both kinds together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.answer_tokens)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.answer_tokens = self.answer_tokens.saturating_add(other.answer_tokens);
        self.bounded_tokens = self.bounded_tokens.saturating_add(other.bounded_tokens);
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered.
    Answer(Answer),
    /// It failed for good, for this reason.
    Failure(String),
}

/// A request, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// What was asked.
    pub request: AnswerRequest,
    /// What came of it.
    pub outcome: Outcome,
    /// How often it was tried.
    pub attempts: u32,
    /// What it took.
    pub usage: Usage,
}
