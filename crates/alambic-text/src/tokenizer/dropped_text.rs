//! Finding text that a tokenizer would drop without a word.
//!
//! A byte-pair model leaves out a character that is not in its vocabulary if it has neither an
//! unknown token nor tokens for all bytes. Training on the rest would teach another text.

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Model, ModelWrapper, OffsetReferential, OffsetType, PreTokenizer, Tokenizer};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A character without a token, as the model sees it (` ` is `Ġ` to a byte-level model).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Where the word with the character starts in the text.
    pub(super) word_offset: usize,
    /// The character.
    pub(super) character: char,
}

/// Whether there may be texts of which the tokenizer drops a part.
pub(super) fn may_drop(tokenizer: &Tokenizer) -> Result<bool, AnyError> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else {
        return Ok(false);
    };
    let has = |token: String| model.token_to_id(&token).is_some();
    if model.unk_token.is_some() || (model.byte_fallback && (0..=u8::MAX).map(byte_token).all(has))
    {
        return Ok(false);
    }
    let pre_tokenizer = serde_json::to_string(&tokenizer.get_pre_tokenizer())?;
    let is_byte_level = pre_tokenizer.contains("\"ByteLevel\"");
    let knows_all_bytes = ByteLevel::alphabet().iter().all(|c| has(c.to_string()));
    Ok(!(is_byte_level && knows_all_bytes && model.continuing_subword_prefix.is_none()))
}

/// The first character of a text that the tokenizer would drop.
pub(super) fn first_dropped(
    tokenizer: &Tokenizer,
    text: &str,
) -> Result<Option<Dropped>, AnyError> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else {
        return Ok(None);
    };
    let vocabulary = tokenizer.get_added_vocabulary();
    let mut words = vocabulary.extract_and_normalize(tokenizer.get_normalizer(), text);
    if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut words)?;
    }
    let words = words.get_splits(OffsetReferential::Original, OffsetType::Byte);
    Ok(words
        .into_iter()
        .find_map(|(word, (word_offset, _), tokens)| {
            let is_one_token =
                tokens.is_some() || (model.ignore_merges && model.token_to_id(word).is_some());
            let character = (!is_one_token).then(|| unknown_character(model, word));
            Some(Dropped {
                word_offset,
                character: character.flatten()?,
            })
        }))
}

/// The first character of a word that the model cannot start from.
fn unknown_character(model: &BPE, word: &str) -> Option<char> {
    let prefix = model.continuing_subword_prefix.as_deref().unwrap_or("");
    let suffix = model.end_of_word_suffix.as_deref().unwrap_or("");
    word.char_indices()
        .find(|&(start, character)| {
            let mut symbol = character.to_string();
            let is_last = start + symbol.len() == word.len();
            if start > 0 {
                symbol.insert_str(0, prefix);
            }
            if is_last {
                symbol.push_str(suffix);
            }
            let mut fallback = symbol.bytes().map(byte_token);
            let falls_back =
                model.byte_fallback && fallback.all(|token| model.token_to_id(&token).is_some());
            !falls_back && model.token_to_id(&symbol).is_none()
        })
        .map(|(_, character)| character)
}

/// How byte fallback writes the token of a byte.
fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}
