//! Tokens of a prompt and of what follows it.

use alambic_text::{SpecialTokens, TextError, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// What becomes of a text that is longer than the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// It is refused.
    #[default]
    Error,
    /// It loses its first tokens, behind the one that begins every text; the question says so in the report.
    CutFront,
}

/// How texts are divided into tokens, and how long they may be.
#[derive(Clone, Copy)]
pub(crate) struct TextEncoder<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    /// The token that begins every text, if one does; a text that has it already gets no second one.
    pub(crate) begin_token: Option<u32>,
    /// Tokens that the model reads.
    pub(crate) limit: usize,
    pub(crate) too_long: TooLong,
}

/// Tokens that the model reads, and tokens that follow.
pub(crate) struct EncodedText {
    pub(crate) prompt: Vec<u32>,
    pub(crate) continuation: Vec<u32>,
    /// Whether the prompt lost its first tokens.
    pub(crate) cut: bool,
}

impl TextEncoder<'_> {
    /// The tokens of a prompt and of a given continuation, neither of which is empty.
    pub(crate) fn pair(
        &self,
        question: &str,
        prompt: &str,
        continuation: &str,
    ) -> Result<EncodedText, EvalError> {
        let pair = encode_pair(self.tokenizer, prompt, continuation)?;
        if pair.continuation.is_empty() {
            return Err(EvalError::NoTokens {
                question: question.to_owned(),
                problem: format!(
                    "{continuation:?} has no token of its own behind the prompt, expected at least one"
                ),
            });
        }
        let (prompt, cut) = self.beginning(question, pair.prompt, pair.continuation.len())?;
        Ok(EncodedText {
            prompt,
            continuation: pair.continuation,
            cut,
        })
    }

    /// The tokens of a prompt behind which `reserved` more are to have their place.
    pub(crate) fn prompt(
        &self,
        question: &str,
        prompt: &str,
        reserved: usize,
    ) -> Result<EncodedText, EvalError> {
        let ids = encode(self.tokenizer, prompt)?;
        let (prompt, cut) = self.beginning(question, ids, reserved)?;
        Ok(EncodedText {
            prompt,
            continuation: Vec::new(),
            cut,
        })
    }

    /// The prompt with the token that begins every text, cut if it may be and has to be.
    fn beginning(
        &self,
        question: &str,
        mut prompt: Vec<u32>,
        reserved: usize,
    ) -> Result<(Vec<u32>, bool), EvalError> {
        if self.begin_token.is_some() && prompt.first() == self.begin_token.as_ref() {
            prompt.remove(0);
        }
        let begin = self.begin_token.as_slice();
        let found = begin.len() + prompt.len() + reserved;
        let excess = found.saturating_sub(self.limit);
        // Something has to stay before what follows.
        let may_be_cut = prompt.len() - usize::from(begin.is_empty()).min(prompt.len());
        if excess > 0 && (self.too_long == TooLong::Error || excess > may_be_cut) {
            return Err(EvalError::TooLong {
                question: question.to_owned(),
                found,
                limit: self.limit,
            });
        }
        let prompt = [begin, &prompt[excess..]].concat();
        if prompt.is_empty() {
            return Err(EvalError::NoTokens {
                question: question.to_owned(),
                problem: "its prompt has no tokens, expected some or a begin_token".into(),
            });
        }
        Ok((prompt, excess > 0))
    }
}

/// The tokens of a prompt and of a continuation, as one text is divided among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedPair {
    pub(crate) prompt: Vec<u32>,
    pub(crate) continuation: Vec<u32>,
}

/// Encodes both as one text, as a model would read it: spaces at the end of the prompt belong to the continuation, and the
/// tokens behind as many as the prompt alone has are the continuation's. That is `lm-eval`'s division.
fn encode_pair(
    tokenizer: &Tokenizer,
    prompt: &str,
    continuation: &str,
) -> Result<EncodedPair, TextError> {
    let mut whole = encode(tokenizer, &format!("{prompt}{continuation}"))?;
    let prompt = encode(tokenizer, prompt.trim_end())?;
    let continuation = whole.split_off(prompt.len().min(whole.len()));
    Ok(EncodedPair {
        prompt: whole,
        continuation,
    })
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, TextError> {
    match text.is_empty() {
        true => Ok(Vec::new()),
        false => Ok(tokenizer.encode(text, SpecialTokens::Omit)?.ids),
    }
}
