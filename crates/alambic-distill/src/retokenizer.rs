//! A student's tokens, read again with the teacher's tokenizer.

use std::ops::Range;
use std::sync::Arc;

use alambic_text::{Encoding, SpecialTokens, Tokenizer};

use crate::DistillError;
use crate::loss::{ByteAlignment, LossError, SharedVocabulary};

/// What the ends of text of two tokenizers have in common: no text that a token could spell.
const END_OF_TEXT: &[u8] = b"\0end of text\0";

/// A tokenizer, and the token that ends the texts of its model.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    /// The tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// The end of text, if the model has one.
    pub end_of_text: Option<u32>,
}

/// The tokenizers of two models.
#[derive(Clone, Debug)]
pub struct TokenizerPair {
    /// What the student reads with.
    pub student: TextTokenizer,
    /// What the teacher reads with.
    pub teacher: TextTokenizer,
}

/// A text as student and teacher cut it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retokenized {
    /// The teacher's tokens.
    pub token_ids: Vec<u32>,
    /// Which tokens of both stand for the same bytes.
    pub alignment: ByteAlignment,
}

/// Reads a student's tokens again with the tokenizer of its teacher.
///
/// The text is that which the tokens stand for, byte by byte. What the student's tokenizer puts around a
/// text is left out, and the teacher's puts its own there; an end of text becomes the teacher's. Other special
/// tokens in the text are read as they are spelled.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use alambic_distill::{Retokenizer, TextTokenizer, TokenizerPair};
/// use alambic_text::{SpecialTokens, Tokenizer};
///
/// let trained = |text: &str, vocab_size| TextTokenizer {
///     tokenizer: Arc::new(
///         Tokenizer::train_byte_level_bpe([text.to_owned()], vocab_size, &["<end>"]).unwrap(),
///     ),
///     end_of_text: Some(0),
/// };
/// let (student, teacher) = (trained("the mat", 257), trained("the cat the cat", 262));
/// let mut ids = student.tokenizer.encode("the cat", SpecialTokens::Add)?.ids;
/// ids.push(0);
/// let again = Retokenizer::try_new(TokenizerPair { student, teacher })?.retokenize(&ids)?;
/// assert_eq!(ids.len(), 8); // seven bytes and an end
/// assert_eq!(again.token_ids.len(), 3); // "the", " cat" and an end
/// assert_eq!(again.alignment.groups()[1].student, 3..7);
/// assert!(again.alignment.groups()[2].is_comparable()); // both ends
/// # Ok::<(), alambic_distill::DistillError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Retokenizer {
    pair: TokenizerPair,
    /// What every token of the student stands for.
    student_bytes: Vec<Option<Vec<u8>>>,
    /// What the student's tokenizer puts around a text.
    around: Around,
}

/// What a tokenizer puts around a text.
#[derive(Clone, Debug, Default)]
struct Around {
    before: Vec<u32>,
    after: Vec<u32>,
    /// Whether the first token of a text begins with a space that the text does not have.
    space: bool,
}

impl Retokenizer {
    /// From the student's tokens to the teacher's.
    ///
    /// # Errors
    /// [`DistillError::Text`] if the student's tokenizer does not tell what each of its tokens stands for.
    pub fn try_new(pair: TokenizerPair) -> Result<Self, DistillError> {
        let student = &pair.student.tokenizer;
        let student_bytes = student.token_bytes()?;
        let around = Around::of(student, &student_bytes)?;
        Ok(Self {
            pair,
            student_bytes,
            around,
        })
    }

    /// The tokenizers.
    pub fn tokenizers(&self) -> &TokenizerPair {
        &self.pair
    }

    /// The tokens that both vocabularies have, ends of text among them.
    ///
    /// A token whose bytes another one of its side has as well has no partner.
    ///
    /// # Errors
    /// [`DistillError::Text`] if the teacher's tokenizer does not tell what each of its tokens stands for, and
    /// the errors of [`SharedVocabulary::try_new`].
    pub fn shared_vocabulary(&self) -> Result<SharedVocabulary, DistillError> {
        let bytes = |side: &TextTokenizer| -> Result<_, DistillError> {
            let mut bytes = side.tokenizer.distinct_token_bytes()?;
            let end = side.end_of_text.map(|id| id as usize);
            if let Some(entry) = end.and_then(|id| bytes.get_mut(id)) {
                *entry = Some(END_OF_TEXT.to_vec());
            }
            Ok(bytes)
        };
        let (student, teacher) = (bytes(&self.pair.student)?, bytes(&self.pair.teacher)?);
        let shared = SharedVocabulary::try_new(&student, &teacher).map_err(LossError::from)?;
        Ok(shared)
    }

    /// The text of the student's tokens as the teacher reads it.
    ///
    /// A character of which the student's tokens have only a part, at either end, is left out.
    ///
    /// # Errors
    /// [`DistillError::NotText`] for tokens whose bytes are not UTF-8 in the midst, or that the tokenizer does
    /// not have; [`DistillError::Text`] for a text that the teacher's tokenizer refuses.
    pub fn retokenize(&self, student_ids: &[u32]) -> Result<Retokenized, DistillError> {
        let SpelledText {
            text,
            byte_offsets,
            is_ended,
        } = self.spell(student_ids)?;
        let teacher = &self.pair.teacher;
        let mut encoding = teacher.tokenizer.encode(&text, SpecialTokens::Add)?;
        if let (true, Some(end)) = (is_ended, teacher.end_of_text)
            && !ends_with(&encoding, end)
        {
            encoding.ids.push(end);
            encoding.byte_offsets.push((text.len(), text.len()));
        }
        let alignment = ByteAlignment::try_new(&byte_offsets, &encoding.byte_offsets);
        Ok(Retokenized {
            token_ids: encoding.ids,
            alignment: alignment.map_err(LossError::from)?,
        })
    }

    /// What the student's tokens spell, and which bytes of it each stands for.
    fn spell(&self, ids: &[u32]) -> Result<SpelledText, DistillError> {
        let is_ended = self
            .pair
            .student
            .end_of_text
            .is_some_and(|end| ids.last() == Some(&end));
        let text_tokens = self.around.inside(ids, is_ended);
        let mut bytes = Vec::new();
        let mut ranges = Vec::with_capacity(ids.len());
        for (token, &id) in ids.iter().enumerate() {
            let start = bytes.len();
            if text_tokens.contains(&token) {
                match self.student_bytes.get(id as usize) {
                    Some(Some(of_token)) => bytes.extend_from_slice(of_token),
                    _ => bytes.extend_from_slice(self.spelled(id)?.as_bytes()),
                }
            }
            ranges.push((start, bytes.len()));
        }
        let whole = whole_characters(&bytes, self.around.space);
        let Ok(text) = std::str::from_utf8(&bytes[whole.clone()]) else {
            return Err(DistillError::NotText {
                found: format!("bytes that are not UTF-8, of {} tokens", ids.len()),
            });
        };
        let inside = |at: usize| at.clamp(whole.start, whole.end) - whole.start;
        let byte_offsets = ranges.into_iter();
        Ok(SpelledText {
            text: text.to_owned(),
            byte_offsets: byte_offsets
                .map(|(start, end)| (inside(start), inside(end)))
                .collect(),
            is_ended,
        })
    }

    /// A special token as it is written.
    fn spelled(&self, id: u32) -> Result<String, DistillError> {
        let spelled = self.pair.student.tokenizer.id_to_token(id);
        spelled.ok_or_else(|| DistillError::NotText {
            found: format!("the token id {id}, which the student's tokenizer does not have"),
        })
    }
}

/// A text with the bytes of each token.
struct SpelledText {
    text: String,
    byte_offsets: Vec<(usize, usize)>,
    /// Whether an end of text stood behind it.
    is_ended: bool,
}

impl Around {
    fn of(tokenizer: &Tokenizer, bytes: &[Option<Vec<u8>>]) -> Result<Self, DistillError> {
        let Encoding { ids, byte_offsets } = tokenizer.encode("a", SpecialTokens::Add)?;
        let is_text = |&(start, end): &(usize, usize)| start < end;
        let Some(first) = byte_offsets.iter().position(is_text) else {
            return Ok(Self::default());
        };
        let last = byte_offsets.iter().rposition(is_text).unwrap_or(first);
        let first_bytes = bytes.get(ids[first] as usize).and_then(Option::as_deref);
        Ok(Self {
            before: ids[..first].to_vec(),
            after: ids[last + 1..].to_vec(),
            space: first_bytes.is_some_and(|bytes| bytes.starts_with(b" ")),
        })
    }

    /// The tokens of the text itself; `is_ended` says that the last of all is an end of text.
    fn inside(&self, ids: &[u32], is_ended: bool) -> Range<usize> {
        let start = match ids.starts_with(&self.before) {
            true => self.before.len(),
            false => 0,
        };
        let end = (ids.len() - usize::from(is_ended)).max(start);
        // The end may be one of those that the tokenizer itself puts there.
        let ends = [end, ids.len()].into_iter();
        let mut of_text = ends.filter(|&end| ids[start..end].ends_with(&self.after));
        let text_end = of_text.next().map(|end| end - self.after.len());
        start..text_end.unwrap_or(end).min(end)
    }
}

/// The bytes without the space that a tokenizer puts before a text, and without parts of characters at the ends.
fn whole_characters(bytes: &[u8], space: bool) -> Range<usize> {
    let is_continued = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let start = match bytes.first() {
        Some(b' ') if space => 1,
        _ => bytes.iter().take_while(|byte| is_continued(byte)).count(),
    };
    let valid = match std::str::from_utf8(&bytes[start..]) {
        // Cut off within the last character; not so where there are bytes behind it.
        Err(error) if error.error_len().is_none() => start + error.valid_up_to(),
        _ => bytes.len(),
    };
    start..valid
}

/// Whether a tokenizer has put the token behind the text by itself.
fn ends_with(encoding: &Encoding, end: u32) -> bool {
    let last = encoding.ids.last().zip(encoding.byte_offsets.last());
    last.is_some_and(|(&id, (start, stop))| id == end && start == stop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::loss::ByteGroup;

    const TEXTS: [&str; 2] = [
        "the cat sat on the mat, the naïve cat — and the café’s 猫",
        "a naïve café, naïvely",
    ];

    fn tokenizer(text: &str, vocab_size: usize) -> TextTokenizer {
        let trained = Tokenizer::train_byte_level_bpe([text.to_owned()], vocab_size, &["<end>"]);
        TextTokenizer {
            tokenizer: Arc::new(trained.unwrap()),
            end_of_text: Some(0),
        }
    }

    fn between(student: &TextTokenizer, teacher: &TextTokenizer) -> Retokenizer {
        let (student, teacher) = (student.clone(), teacher.clone());
        Retokenizer::try_new(TokenizerPair { student, teacher }).unwrap()
    }

    fn both() -> (TextTokenizer, TextTokenizer) {
        (tokenizer(TEXTS[0], 280), tokenizer(TEXTS[1], 290))
    }

    /// That every group with bytes stands for the same bytes on both sides.
    fn check(text: &str, student: &[(usize, usize)], teacher: &Encoding, found: &Retokenized) {
        assert_eq!(found.token_ids, teacher.ids);
        for group in found.alignment.groups() {
            let ends = |ranges: &[(usize, usize)], tokens: &Range<usize>| {
                let own = &ranges[tokens.clone()];
                own.first().map(|first| (first.0, own.last().unwrap().1))
            };
            if group.is_comparable() {
                let student = ends(student, &group.student).unwrap();
                let teacher = ends(&teacher.byte_offsets, &group.teacher).unwrap();
                assert!(text.is_char_boundary(teacher.0), "{group:?}");
                assert_eq!(student, teacher, "{group:?}");
            }
        }
    }

    #[test]
    fn tokens_are_read_again_as_the_text_that_they_stand_for() {
        let (student, teacher) = both();
        let retokenizer = between(&student, &teacher);
        for text in TEXTS {
            let own = student.tokenizer.encode(text, SpecialTokens::Add).unwrap();
            let other = teacher.tokenizer.encode(text, SpecialTokens::Add).unwrap();
            let found = retokenizer.retokenize(&own.ids).unwrap();
            // The student's tokens as the tokenizer itself places them, where they are whole characters.
            check(text, &own.byte_offsets, &other, &found);
            let comparable = found.alignment.groups().iter();
            assert!(comparable.filter(|group| group.is_comparable()).count() > 3);
        }
    }

    #[test]
    fn a_text_cut_within_a_character_loses_only_that_character() {
        // Every token of the student is a byte, and a cat has three.
        let (student, teacher) = (tokenizer(TEXTS[0], 257), both().1);
        let retokenizer = between(&student, &teacher);
        let text = "猫 the 猫";
        let ids = student.tokenizer.encode(text, SpecialTokens::Add).unwrap();
        for (first, last, expected) in [(1, 0, " the 猫"), (0, 1, "猫 the "), (2, 2, " the ")] {
            let cut = &ids.ids[first..text.len() - last];
            let found = retokenizer.retokenize(cut).unwrap();
            let whole = teacher.tokenizer.encode(expected, SpecialTokens::Add);
            assert_eq!(found.token_ids, whole.unwrap().ids, "{expected}");
            assert_eq!(found.alignment.student_tokens(), cut.len());
        }
    }

    #[test]
    fn special_tokens_within_a_text_are_read_as_they_are_spelled() {
        let (student, teacher) = both();
        let retokenizer = between(&student, &teacher);
        let word = |text| {
            student
                .tokenizer
                .encode(text, SpecialTokens::Add)
                .unwrap()
                .ids
        };
        let ids = [word("the"), vec![0], word(" cat"), vec![0]].concat();
        let found = retokenizer.retokenize(&ids).unwrap();
        let spelled = teacher
            .tokenizer
            .encode("the<end> cat", SpecialTokens::Add)
            .unwrap();
        assert_eq!(found.token_ids, [spelled.ids, vec![0]].concat());
        let unknown = retokenizer.retokenize(&[9999]).unwrap_err();
        assert!(unknown.to_string().contains("9999"), "{unknown}");
    }

    #[test]
    fn ends_of_text_are_one_token_of_both_vocabularies() {
        let (student, teacher) = both();
        let retokenizer = between(&student, &teacher);
        let shared = retokenizer.shared_vocabulary().unwrap();
        assert_eq!(shared.matched()[0], (0, 0));
        assert!(shared.matched().len() > 256);
        assert!(!shared.student_rest().is_empty() && !shared.teacher_rest().is_empty());
    }

    /// Byte-level ones, one with byte fallback that begins texts with a token and a space, one that only does the latter.
    const REAL: [(&str, Option<&str>); 4] = [
        ("tokenizers/phi-2", Some("<|endoftext|>")),
        ("tokenizers/phi-3-mini", Some("<|endoftext|>")),
        ("tokenizers/torchtune-tiny", None),
        ("stories260K/hf", Some("</s>")),
    ];

    #[test]
    fn real_tokenizers_are_read_again_by_each_other_as_the_text_itself() {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let data = std::env::var_os("ALAMBIC_SHARED").map_or(default, PathBuf::from);
        let data = data.join("data");
        if !data.exists() {
            #[allow(clippy::print_stderr, reason = "a skipped test must be heard")]
            {
                eprintln!(
                    "skipped: real tokenizers need the shared data directory (set ALAMBIC_SHARED)"
                );
            }
            return;
        }
        let real = REAL.map(|(name, end)| {
            let tokenizer = Tokenizer::from_file(&data.join(name).join("tokenizer.json")).unwrap();
            let end_of_text = end.map(|end| tokenizer.token_to_id(end).unwrap());
            TextTokenizer {
                tokenizer: Arc::new(tokenizer),
                end_of_text,
            }
        });
        let texts = [
            "Once upon a time, there was a little girl named Lily.",
            " A text that begins with a space",
            "  two  spaces\n\n\ttab, and a line's end \r\n",
            "Zoë's café — 日本 🙂 При",
        ];
        let mut compared = 0;
        for (student, teacher) in real
            .iter()
            .flat_map(|one| real.iter().map(move |two| (one, two)))
        {
            let retokenizer = between(student, teacher);
            let shared = retokenizer.shared_vocabulary().unwrap();
            // Both have the letters at least, but for the smallest.
            assert!(shared.matched().len() > 60, "{}", shared.matched().len());
            for text in texts {
                let encoded = |side: &TextTokenizer| {
                    let mut encoding = side.tokenizer.encode(text, SpecialTokens::Add).ok()?;
                    encoding.ids.extend(side.end_of_text);
                    Some(encoding)
                };
                let (Some(own), Some(other)) = (encoded(student), encoded(teacher)) else {
                    continue; // a small vocabulary
                };
                let found = retokenizer.retokenize(&own.ids).unwrap();
                let mut expected = other.ids;
                if student.end_of_text.is_none() {
                    // Nothing says that the text is over.
                    expected.truncate(expected.len() - usize::from(teacher.end_of_text.is_some()));
                }
                assert_eq!(found.token_ids, expected, "{text:?}");
                let compares = |group: &&ByteGroup| group.is_comparable();
                let comparable = found.alignment.groups().iter().filter(compares);
                assert!(comparable.count() > 4, "{text:?}");
                compared += 1;
            }
        }
        assert!(compared > 40, "{compared}");
    }
}
