//! Text to token ids and back.

mod byte_pair_training;
mod dropped_text;
mod fingerprint;
mod lengthening;
mod text_stream;
mod token_bytes;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

pub use self::text_stream::TextStream;
use self::token_bytes::{Spelling, byte_of_fallback};
use crate::contained::contained;
use crate::error::{Cause, TextError};

/// What is said to have given up.
const LIBRARY: &str = "the tokenizer library";
/// The most ids without a token: tables by id are made for all of them.
const MOST_UNUSED_IDS: usize = 1 << 20;

/// Whether the tokenizer adds its beginning and end tokens while encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialTokens {
    /// As its post-processor says, for example `<s>` first.
    Add,
    /// Nothing is added. Special tokens that stand in the text are recognised all the same.
    Omit,
}

/// What becomes of special tokens while decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialTokensInText {
    /// They appear, for example as `</s>`.
    Show,
    /// They are left out.
    Skip,
}

/// The tokens of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token the bytes `start..end` of the text that it stands for.
    ///
    /// Tokens that are parts of one character share that character's bytes; added tokens stand for
    /// no text and have an empty range.
    pub byte_offsets: Vec<(usize, usize)>,
}

/// A Hugging Face tokenizer (`tokenizer.json`).
///
/// A file's own truncation and padding are not applied: [`SegmentConfig`](crate::SegmentConfig)
/// and [`Packer`](crate::Packer) decide about lengths, in sight.
///
/// ```
/// use alambic_text::{SpecialTokens, SpecialTokensInText, Tokenizer};
///
/// let texts = ["the cat sat on the mat", "the dog sat on the cat"].map(String::from);
/// let tokenizer = Tokenizer::train_byte_level_bpe(texts, 280, &["<|endoftext|>"])?;
///
/// let encoding = tokenizer.encode("the cat", SpecialTokens::Omit)?;
/// assert_eq!(encoding.byte_offsets, [(0, 3), (3, 7)]);
/// let text = tokenizer.decode(&encoding.ids, SpecialTokensInText::Show)?;
/// assert_eq!(text, "the cat");
/// assert_eq!(tokenizer.token_to_id("<|endoftext|>"), Some(0));
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
    fingerprint: String,
    may_drop_text: bool,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TextError::File`] if it cannot be read, otherwise as [`Tokenizer::from_bytes`].
    pub fn from_file(path: &Path) -> Result<Self, TextError> {
        let bytes = fs::read(path).map_err(|source| TextError::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::load(&bytes, &path.display().to_string())
    }

    /// Parses the content of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`TextError::LoadTokenizer`] if it is not one, or contradicts itself (such as merges of
    /// tokens outside the vocabulary); [`TextError::RandomTokenizer`] if it has merge dropout.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TextError> {
        Self::load(bytes, "memory")
    }

    /// Trains a byte-level byte-pair tokenizer (Sennrich et al. 2016, arXiv:1508.07909; Radford
    /// et al. 2019).
    ///
    /// The vocabulary is, in this order: the special tokens, the 256 bytes, and merges of the most
    /// frequent pairs until `vocab_size` tokens are there or no pair is left; the pair that is
    /// greater in byte order wins a tie. The same texts therefore always give the same tokenizer,
    /// byte for byte. Texts are cut into words as GPT-2 does; special tokens in them are cut out.
    ///
    /// # Errors
    /// [`TextError::TrainTokenizer`] if `vocab_size` has no room for the bytes and special tokens,
    /// or if a special token is empty, given twice or written like a learned token.
    pub fn train_byte_level_bpe(
        texts: impl IntoIterator<Item = String>,
        vocab_size: usize,
        special_tokens: &[&str],
    ) -> Result<Self, TextError> {
        let json = byte_pair_training::train(texts, vocab_size, special_tokens)?;
        Self::load(json.to_string().as_bytes(), "training")
    }

    fn load(bytes: &[u8], origin: &str) -> Result<Self, TextError> {
        let failed = |source| TextError::LoadTokenizer {
            origin: origin.to_owned(),
            source,
        };
        let mut inner =
            contained(LIBRARY, || tokenizers::Tokenizer::from_bytes(bytes)).map_err(failed)?;
        if let tokenizers::ModelWrapper::BPE(bpe) = inner.get_model()
            && let Some(dropout) = bpe.dropout
            && dropout != 0.0
        {
            return Err(TextError::RandomTokenizer {
                origin: origin.to_owned(),
                dropout: f64::from(dropout),
            });
        }
        inner
            .with_padding(None)
            .with_truncation(None)
            .map_err(|error| failed(Cause::new(error)))?;
        let vocab_size = id_bound(&inner);
        let tokens = inner.get_vocab_size(true);
        if vocab_size > tokens + MOST_UNUSED_IDS {
            return Err(failed(Cause::new(format!(
                "its largest id is {}, but it has {tokens} tokens, expected at most {MOST_UNUSED_IDS} ids without one",
                vocab_size - 1
            ))));
        }
        contained(LIBRARY, || lengthening::check(&inner)).map_err(failed)?;
        let fingerprint = contained(LIBRARY, || fingerprint::of(&inner)).map_err(failed)?;
        let may_drop_text =
            contained(LIBRARY, || dropped_text::may_drop(&inner)).map_err(failed)?;
        Ok(Self {
            may_drop_text,
            vocab_size,
            fingerprint,
            inner,
        })
    }

    /// Encodes a text.
    ///
    /// # Errors
    /// [`TextError::Encode`] if the tokenizer library refuses the text;
    /// [`TextError::DroppedText`] if the tokenizer has no token for a part of it, not even one for
    /// unknown text, so that the part would be lost.
    pub fn encode(&self, text: &str, special: SpecialTokens) -> Result<Encoding, TextError> {
        let start = || text.chars().take(40).collect();
        let failed = |source| TextError::Encode {
            start: start(),
            source,
        };
        if self.may_drop_text {
            let dropped = contained(LIBRARY, || dropped_text::first_dropped(&self.inner, text));
            if let Some(dropped) = dropped.map_err(failed)? {
                return Err(TextError::DroppedText {
                    start: start(),
                    character: dropped.character,
                    word_offset: dropped.word_offset,
                });
            }
        }
        let add_special = special == SpecialTokens::Add;
        let encoding =
            contained(LIBRARY, || self.inner.encode(text, add_special)).map_err(failed)?;
        Ok(Encoding {
            ids: encoding.get_ids().to_vec(),
            byte_offsets: encoding.get_offsets().to_vec(),
        })
    }

    /// Decodes tokens to text.
    ///
    /// Bytes that are not UTF-8 together become U+FFFD.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`] for an id that the tokenizer does not have.
    pub fn decode(&self, ids: &[u32], special: SpecialTokensInText) -> Result<String, TextError> {
        if let Some(&token_id) = ids.iter().find(|&&id| self.inner.id_to_token(id).is_none()) {
            return Err(TextError::UnknownToken {
                token_id,
                vocab_size: self.vocab_size,
            });
        }
        contained(LIBRARY, || {
            self.inner.decode(ids, special == SpecialTokensInText::Skip)
        })
        .map_err(|source| TextError::Decode {
            tokens: ids.len(),
            source,
        })
    }

    /// Decodes tokens one by one, as a model generates them.
    #[must_use]
    pub fn decode_stream(&self, special: SpecialTokensInText) -> TextStream<'_> {
        TextStream::new(self, special)
    }

    /// One more than the largest token id, added tokens included: the number of tokens, unless ids are
    /// left out between them.
    ///
    /// A model may have more rows than that, where its vocabulary was padded.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id of a token as it is written in the vocabulary.
    #[must_use]
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token with this id, as it is written in the vocabulary.
    #[must_use]
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The bytes that every token stands for, by id: what two vocabularies are compared by.
    ///
    /// `None` for special tokens, which stand for no text, and for ids without a token. The bytes of the
    /// tokens of a text add up to the text, and to a space before it where the tokenizer puts one there.
    /// Several tokens may stand for the same bytes, such as a letter and the byte that it is: see
    /// [`distinct_token_bytes`](Self::distinct_token_bytes).
    ///
    /// # Errors
    /// [`TextError::TokenBytes`] if the tokenizer is neither a byte-level one nor one with byte fallback: then a
    /// token alone may not say what it stands for.
    ///
    /// ```
    /// # use alambic_text::Tokenizer;
    /// let text = ["the cat sat on the mat".to_owned()];
    /// let tokenizer = Tokenizer::train_byte_level_bpe(text, 280, &["<|endoftext|>"])?;
    /// let bytes = tokenizer.token_bytes()?;
    /// assert_eq!(bytes[0], None);
    /// let id = tokenizer.token_to_id("Ġthe").unwrap();
    /// assert_eq!(bytes[id as usize].as_deref(), Some(&b" the"[..]));
    /// # Ok::<(), alambic_text::TextError>(())
    /// ```
    pub fn token_bytes(&self) -> Result<Vec<Option<Vec<u8>>>, TextError> {
        let decoder = serde_json::to_string(&self.inner.get_decoder())
            .expect("what was read from JSON can be written as JSON");
        let Some(spelling) = Spelling::of(&decoder) else {
            return Err(TextError::TokenBytes { decoder });
        };
        let reader = spelling.reader();
        let added = self.inner.get_added_tokens_decoder();
        let bytes = |id: u32| match added.get(&id) {
            Some(token) if token.special => None,
            Some(token) => Some(reader.bytes_of_added(&token.content)),
            None => reader.bytes(&self.inner.id_to_token(id)?),
        };
        Ok((0..self.vocab_size as u32).map(bytes).collect())
    }

    /// The same with `None` for a token whose bytes an ordinary token has as well, so that no two are alike.
    ///
    /// Text is made of the ordinary token: a byte of a byte fallback (`<0x61>`) stands for what no other token has.
    /// Where several ordinary ones have the same bytes, none of them is given any.
    ///
    /// # Errors
    /// As [`token_bytes`](Self::token_bytes).
    pub fn distinct_token_bytes(&self) -> Result<Vec<Option<Vec<u8>>>, TextError> {
        let mut bytes = self.token_bytes()?;
        let mut ids: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (id, token) in bytes.iter().enumerate() {
            if let Some(token) = token {
                ids.entry(token.clone()).or_default().push(id);
            }
        }
        for alike in ids.into_values().filter(|alike| alike.len() > 1) {
            let is_ordinary = |id: &&usize| {
                let token = self.inner.id_to_token(**id as u32);
                token.is_some_and(|token| byte_of_fallback(&token).is_none())
            };
            let ordinary: Vec<&usize> = alike.iter().filter(is_ordinary).collect();
            let kept = match ordinary[..] {
                [&only] => Some(only),
                _ => None,
            };
            for &id in alike.iter().filter(|&&id| Some(id) != kept) {
                bytes[id] = None;
            }
        }
        Ok(bytes)
    }

    /// SHA-256 of everything that decides which ids a text gets, in lower-case hex.
    ///
    /// It covers the vocabulary, the model with its merges, the added tokens, normalizer,
    /// pre-tokenizer and post-processor, and the ids of a fixed probe text. It does not depend on
    /// how the file is formatted. Two tokenizers with equal fingerprints can share a cache.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Writes a `tokenizer.json`; an existing file is replaced as a whole.
    ///
    /// # Errors
    /// [`TextError::File`] if it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TextError> {
        let failed = |source| TextError::File {
            action: "write",
            path: path.to_owned(),
            source,
        };
        let json = self
            .inner
            .to_string(true)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        write_atomically(path, json.as_bytes()).map_err(failed)
    }
}

/// Writes next to the file and renames, so that nothing half-written keeps the file's name.
fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = std::ffi::OsString::from(".tmp-");
    name.push(path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?);
    name.push(format!("-{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // The first error is the one worth reporting.
        let _ = fs::remove_file(&temporary);
    })
}

/// One more than the largest id.
fn id_bound(inner: &tokenizers::Tokenizer) -> usize {
    let vocabulary = inner.get_vocab(true);
    vocabulary.values().max().map_or(0, |&id| id as usize + 1)
}
