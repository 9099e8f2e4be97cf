//! Decoding token by token.

use super::{SpecialTokensInText, Tokenizer};
use crate::error::{Cause, TextError};

/// Text of tokens that arrive one by one.
///
/// A token need not be a whole character, and its text can depend on the token before it (some
/// tokenizers drop the first space). The stream therefore holds back what is not certain yet. All
/// pieces together are the text that [`Tokenizer::decode`] gives for all tokens.
///
/// ```
/// use alambic_text::{SpecialTokens, SpecialTokensInText, Tokenizer};
///
/// let tokenizer = Tokenizer::train_byte_level_bpe(["abc".to_owned()], 257, &["<s>"])?;
/// let ids = tokenizer.encode("\u{e9}!", SpecialTokens::Omit)?.ids; // two bytes, then one
/// let mut stream = tokenizer.decode_stream(SpecialTokensInText::Skip);
/// assert_eq!(stream.push(ids[0])?, None);
/// assert_eq!(stream.push(ids[1])?.as_deref(), Some("\u{e9}"));
/// assert_eq!(stream.push(ids[2])?.as_deref(), Some("!"));
/// assert_eq!(stream.finish()?, None);
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    special: SpecialTokensInText,
    /// Tokens whose text is known (`..told`), kept as context, and tokens still held back.
    ids: Vec<u32>,
    told: usize,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, special: SpecialTokensInText) -> Self {
        Self {
            tokenizer,
            special,
            ids: Vec::new(),
            told: 0,
        }
    }

    /// Takes a token and returns the text that became certain, if any.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`] for an id that the tokenizer does not have;
    /// [`TextError::Decode`] if its decoder changes text that was given out before. The stream is
    /// then as it was.
    pub fn push(&mut self, id: u32) -> Result<Option<String>, TextError> {
        self.ids.push(id);
        let text = match self.held_text() {
            Ok(text) => text,
            Err(error) => {
                self.ids.pop();
                return Err(error);
            }
        };
        if text.is_empty() || text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(None);
        }
        self.ids.drain(..self.told);
        self.told = self.ids.len();
        Ok(Some(text))
    }

    /// Returns the text still held back, with U+FFFD for characters that never became whole.
    ///
    /// # Errors
    /// [`TextError::Decode`] if the tokenizer cannot decode it.
    pub fn finish(self) -> Result<Option<String>, TextError> {
        let text = self.held_text()?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// Text of the tokens held back, decoded after their context.
    fn held_text(&self) -> Result<String, TextError> {
        let context = self
            .tokenizer
            .decode(&self.ids[..self.told], self.special)?;
        let text = self.tokenizer.decode(&self.ids, self.special)?;
        match text.strip_prefix(&context) {
            Some(held) => Ok(held.to_owned()),
            None => Err(TextError::Decode {
                tokens: self.ids.len(),
                source: Cause::new(format!(
                    "later tokens changed the text {context:?}, which was already given out"
                )),
            }),
        }
    }
}
