//! What tokens stand for, byte by byte.

use std::collections::HashMap;

use super::byte_pair_training::byte_alphabet;

/// How a tokenizer writes bytes in its vocabulary.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// A character for each byte (Radford et al. 2019).
    ByteLevel,
    /// Text with `▁` for a space, and `<0x0A>` for a byte that no other token has (SentencePiece).
    ByteFallback,
}

impl Spelling {
    /// The spelling that the decoder of a `tokenizer.json` undoes; `None` for another one.
    pub(super) fn of(decoder: &str) -> Option<Self> {
        if decoder.contains("\"ByteLevel\"") {
            return Some(Self::ByteLevel);
        }
        let is_byte_fallback = decoder.contains("\"ByteFallback\"");
        is_byte_fallback.then_some(Self::ByteFallback)
    }

    /// What reads tokens that are spelled like this.
    pub(super) fn reader(&self) -> TokenReader {
        match self {
            Self::ByteLevel => {
                let bytes = (0..=u8::MAX).zip(byte_alphabet());
                TokenReader::ByteLevel(bytes.map(|(byte, stand_in)| (stand_in, byte)).collect())
            }
            Self::ByteFallback => TokenReader::ByteFallback,
        }
    }
}

/// Reads tokens as they are written in a vocabulary.
#[derive(Debug)]
pub(super) enum TokenReader {
    ByteLevel(HashMap<char, u8>),
    ByteFallback,
}

impl TokenReader {
    /// The bytes of a token; `None` if it is not spelled like the others.
    pub(super) fn bytes(&self, token: &str) -> Option<Vec<u8>> {
        match self {
            Self::ByteLevel(bytes) => token.chars().map(|c| bytes.get(&c).copied()).collect(),
            Self::ByteFallback => match byte_of_fallback(token) {
                Some(byte) => Some(vec![byte]),
                None => Some(token.replace('▁', " ").into_bytes()),
            },
        }
    }
}

impl TokenReader {
    /// The bytes of a token that was added to the vocabulary, which is text as it is but for spaces.
    pub(super) fn bytes_of_added(&self, token: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel(_) => token.as_bytes().to_vec(),
            Self::ByteFallback => token.replace('▁', " ").into_bytes(),
        }
    }
}

/// The byte of `<0x0A>`.
pub(super) fn byte_of_fallback(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_byte = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_byte.then(|| u8::from_str_radix(digits, 16).ok())?
}
