//! What can be wrong with two tokenizations of one text.

/// Two tokenizations, or two vocabularies, cannot be aligned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlignmentError {
    /// A token's bytes are not where they can be.
    #[error(
        "token {token} of the {side} stands for the bytes {found:?} after a token of the bytes {before:?}; expected ranges `start..end` in the order of the text"
    )]
    TokenRange {
        /// Whose token.
        side: &'static str,
        /// Its index.
        token: usize,
        /// Its bytes.
        found: (usize, usize),
        /// Those of the token before it; 0 to 0 for the first.
        before: (usize, usize),
    },
    /// A special token stands in the midst of bytes that the other side has as one token.
    #[error(
        "token {token} of the {side} stands for no bytes in the midst of the bytes {bytes:?}, which the other side has as one token; align the texts before and after it apart"
    )]
    SpecialInsideGroup {
        /// Whose token.
        side: &'static str,
        /// Its index.
        token: usize,
        /// The bytes around it.
        bytes: (usize, usize),
    },
    /// The parts of a document are of different lengths.
    #[error(
        "the {what} of document {document} should be as many as its alignment has, {expected}, found {found}"
    )]
    DocumentLength {
        /// Index of the document.
        document: usize,
        /// The part that does not fit.
        what: &'static str,
        /// How many tokens were aligned.
        expected: usize,
        /// The part's length.
        found: usize,
    },
    /// A document does not lie in the batch.
    #[error(
        "document {document} lies outside of the {side}'s batch: its {what} is {found}, which may be at most {most}"
    )]
    DocumentPlace {
        /// Index of the document.
        document: usize,
        /// Whose batch.
        side: &'static str,
        /// The row, or the end in it.
        what: &'static str,
        /// The largest value that fits.
        most: usize,
        /// The document's.
        found: usize,
    },
    /// A token id is not in the vocabulary.
    #[error(
        "the {side}'s token id {found} is not below the size of its vocabulary, {vocab}; which tokenizer made it?"
    )]
    TokenId {
        /// Whose token.
        side: &'static str,
        /// The id.
        found: usize,
        /// The vocabulary's size.
        vocab: usize,
    },
    /// Two ids of one vocabulary stand for the same bytes, so that neither has one partner.
    #[error(
        "the {side}'s token ids {first} and {second} stand for the same bytes; give the one that text is never made of as `None`"
    )]
    AmbiguousToken {
        /// Whose tokens.
        side: &'static str,
        /// The lower id.
        first: usize,
        /// The higher id.
        second: usize,
    },
    /// There is nothing to match.
    #[error("the {side}'s vocabulary has no tokens")]
    EmptyVocabulary {
        /// Whose vocabulary.
        side: &'static str,
    },
}
