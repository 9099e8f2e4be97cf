//! Tokens of a prompt and of what follows it.

use alambic_text::{SpecialTokens, TextError, Tokenizer};

/// The tokens of a prompt and of a continuation, as one text is divided among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedPair {
    pub(crate) prompt: Vec<u32>,
    pub(crate) continuation: Vec<u32>,
}

/// Encodes both as one text, as a model would read it: spaces at the end of the prompt belong to the continuation, and the
/// tokens behind as many as the prompt alone has are the continuation's. That is `lm-eval`'s division.
pub(crate) fn encode_pair(
    tokenizer: &Tokenizer,
    prompt: &str,
    continuation: &str,
) -> Result<EncodedPair, TextError> {
    let kept = prompt.trim_end().len();
    let (prompt, spaces) = prompt.split_at(kept);
    let whole = format!("{prompt}{spaces}{continuation}");
    let encode = |text: &str| -> Result<Vec<u32>, TextError> {
        match text.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(tokenizer.encode(text, SpecialTokens::Omit)?.ids),
        }
    };
    let (mut whole, prompt) = (encode(&whole)?, encode(prompt)?);
    let continuation = whole.split_off(prompt.len().min(whole.len()));
    Ok(EncodedPair {
        prompt: whole,
        continuation,
    })
}
