//! The errors of this crate.

use std::path::PathBuf;

use crate::document::DocumentSource;

/// What can go wrong between a file of text and a packed sequence.
///
/// Every message says where it happened, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// An option has a value that cannot work.
    #[error("{option} must be {expected}, found {found}")]
    InvalidOption {
        /// Name of the option, as written in a configuration.
        option: &'static str,
        /// What would be accepted.
        expected: &'static str,
        /// The value given.
        found: String,
    },
    /// A file cannot be opened, read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was attempted: `open`, `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A path names something that is not a regular file.
    #[error("{path} is {found}, expected a file")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// A file holds no bytes.
    #[error("{path} is empty, expected at least one document; remove it from the list of files")]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// A text file is not plain UTF-8.
    #[error(
        "{path} starts with the byte order mark of {found}, expected UTF-8 without a mark; \
         convert the file"
    )]
    ByteOrderMark {
        /// The file.
        path: PathBuf,
        /// The encoding that the mark announces.
        found: &'static str,
    },
    /// A text file holds bytes that are not UTF-8.
    #[error("{path} is not UTF-8 at byte {byte_offset} (counted from 0)")]
    InvalidUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset in the file of the first byte that is not part of a character.
        byte_offset: u64,
    },
    /// A record of a table or of JSON is damaged.
    #[error("{file}, record {record}: {problem}")]
    Record {
        /// The file.
        file: String,
        /// Counted from 1.
        record: usize,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file of records holds none.
    #[error("{file} holds no records, expected at least one")]
    NoRecords {
        /// The file.
        file: String,
    },
    /// A template or an expression over records is malformed, or a record does not have what it takes.
    #[error("{problem}")]
    RecordTemplate {
        /// What was expected and what was found.
        problem: String,
    },
    /// A description of how answers are found or compared cannot work.
    #[error("{what}: {problem}")]
    Answer {
        /// What was described: a pattern, a number.
        what: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// A line of a JSONL file is not a record.
    #[error("{path}:{line}: expected a JSON object with `text` or `messages`")]
    JsonRecord {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What the JSON parser found.
        #[source]
        source: serde_json::Error,
    },
    /// A record does not have exactly one of the two fields.
    #[error("{place}: expected exactly one of `text` and `messages`, found {found}")]
    RecordFields {
        /// The file and record.
        place: DocumentSource,
        /// Which of them are there.
        found: &'static str,
    },
    /// A record has no value where one is needed.
    #[error("{place}: expected a value in `{field}`, found null")]
    NullField {
        /// The file and record.
        place: DocumentSource,
        /// The field or column.
        field: &'static str,
    },
    /// A message has a role that does not exist.
    #[error("{place}: expected the role system, user, assistant or tool, found {found:?}")]
    UnknownRole {
        /// The file and record.
        place: DocumentSource,
        /// The role in the file.
        found: String,
    },
    /// A record says what the student sees in a way that cannot be, or in two ways.
    #[error("{place}: it has a `teacher_system`, but {problem}")]
    TeacherSystem {
        /// The file and record.
        place: DocumentSource,
        /// What contradicts it.
        problem: &'static str,
    },
    /// A Parquet file lacks a column or has it with another type.
    #[error("{path}: expected {expected}, found {found}")]
    ParquetColumns {
        /// The file.
        path: PathBuf,
        /// The columns that can be read.
        expected: &'static str,
        /// The column's type or the names of the columns.
        found: String,
    },
    /// A Parquet file is damaged or cannot be decoded.
    #[error("cannot read {path} as Parquet near row {row}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Rows read so far.
        row: u64,
        /// The decoder's reason.
        #[source]
        source: Cause,
    },
    /// A tokenizer file cannot be used.
    #[error("cannot load a tokenizer from {origin}")]
    LoadTokenizer {
        /// The file, or how else the tokenizer arrived.
        origin: String,
        /// The tokenizer library's reason.
        #[source]
        source: Cause,
    },
    /// A tokenizer would not give the same tokens twice.
    #[error(
        "the tokenizer from {origin} drops merges at random (dropout {dropout}), \
         so a text has no fixed tokens; expected dropout 0"
    )]
    RandomTokenizer {
        /// The file, or how else the tokenizer arrived.
        origin: String,
        /// The dropout probability.
        dropout: f64,
    },
    /// A tokenizer cannot be trained as asked.
    #[error("cannot train a tokenizer: expected {expected}, found {found}")]
    TrainTokenizer {
        /// What would be accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A text cannot be encoded.
    #[error("cannot encode the text starting {start:?}")]
    Encode {
        /// First characters of the text.
        start: String,
        /// The tokenizer library's reason.
        #[source]
        source: Cause,
    },
    /// A tokenizer would leave a part of a text out.
    #[error(
        "the tokenizer has no token for {character:?} in the word at byte {word_offset} of the \
         text starting {start:?} and would drop it; use a tokenizer that covers the text"
    )]
    DroppedText {
        /// First characters of the text.
        start: String,
        /// The character, as the tokenizer sees it: a byte-level one writes a space as `Ġ`.
        character: char,
        /// Offset in bytes of the word that holds it.
        word_offset: usize,
    },
    /// The bytes of single tokens are not known.
    #[error(
        "what single tokens stand for is known of byte-level tokenizers and of those with byte fallback, \
         found the decoder {decoder}; compare the texts of whole sequences instead"
    )]
    TokenBytes {
        /// The decoder, as `tokenizer.json` has it.
        decoder: String,
    },
    /// Tokens cannot be decoded.
    #[error("cannot decode {tokens} tokens")]
    Decode {
        /// How many tokens.
        tokens: usize,
        /// The tokenizer library's reason.
        #[source]
        source: Cause,
    },
    /// A token id that the tokenizer does not have.
    #[error("token {token_id} does not exist, expected an id of the {vocab_size} known tokens")]
    UnknownToken {
        /// The id.
        token_id: u32,
        /// Size of the vocabulary, added tokens included.
        vocab_size: usize,
    },
    /// A chat template has a syntax error or failed while rendering.
    #[error("cannot {action} the chat template")]
    ChatTemplate {
        /// What was attempted: `parse`, `render`.
        action: &'static str,
        /// The template engine's reason, with the template's line.
        #[source]
        source: Cause,
    },
    /// A `tokenizer_config.json` is not what Hugging Face writes.
    #[error("{path}: expected {expected}")]
    TokenizerConfig {
        /// The file.
        path: PathBuf,
        /// What was expected, and what was found.
        expected: String,
    },
    /// A template renders a conversation's start otherwise than the whole conversation does.
    #[error(
        "the chat template is not prefix-consistent at message {message} ({boundary} of the \
         assistant turn), so assistant turns cannot be located; split the conversation before \
         that message or use another template"
    )]
    TemplateNotPrefixConsistent {
        /// Index of the assistant message, counted from 0.
        message: usize,
        /// `start` or `end`.
        boundary: &'static str,
    },
    /// A conversation arrived, but no chat template was given.
    #[error("{place} is a conversation, expected a chat template to render it")]
    NoChatTemplate {
        /// The document.
        place: DocumentSource,
    },
    /// A document cannot be turned into tokens.
    #[error("cannot tokenise {place}")]
    Tokenise {
        /// The document.
        place: DocumentSource,
        /// Why.
        #[source]
        source: Box<TextError>,
    },
    /// A conversation without an assistant turn has nothing to learn.
    #[error("{place}: expected an assistant turn, found none among {messages} messages")]
    NoAssistantTurn {
        /// The document.
        place: DocumentSource,
        /// Number of messages.
        messages: usize,
    },
    /// Teacher and student would be asked for different labels.
    #[error(
        "{place}: expected the same labels in the teacher and the student view, found \
         {teacher_labels} and {student_labels} labels, first different at label {first_difference}"
    )]
    LabelsDiffer {
        /// The document.
        place: DocumentSource,
        /// Number of labels in the teacher view.
        teacher_labels: usize,
        /// Number of labels in the student view.
        student_labels: usize,
        /// Index of the first label that differs, counted from 0.
        first_difference: usize,
    },
    /// Token ids and loss mask do not fit together.
    #[error("expected {expected}, found {found}")]
    MaskedTokens {
        /// The rule that is broken.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// A segment without a label has nothing to learn.
    #[error("{place}: expected a segment with at least one label, found none in {tokens} tokens")]
    NoLabels {
        /// The document.
        place: DocumentSource,
        /// Tokens of the segment.
        tokens: usize,
    },
    /// A document is longer than a segment may be.
    #[error(
        "{place} has {tokens} tokens, expected at most {max_tokens}; raise max_tokens or choose \
         over_length = \"split\", \"truncate\" or \"skip\""
    )]
    OverLength {
        /// The document.
        place: DocumentSource,
        /// Tokens of its longer view.
        tokens: usize,
        /// The limit.
        max_tokens: usize,
    },
    /// A conversation whose views differ has no common place to be split.
    #[error(
        "{place} has {tokens} tokens, expected at most {max_tokens}: a conversation whose teacher \
         and student views differ cannot be split; raise max_tokens or choose \
         over_length = \"truncate\" or \"skip\""
    )]
    SplitDifferentViews {
        /// The document.
        place: DocumentSource,
        /// Tokens of its longer view.
        tokens: usize,
        /// The limit.
        max_tokens: usize,
    },
    /// A segment does not fit into a sequence.
    #[error("segment {segment} has {tokens} tokens, expected 1 to {sequence_tokens}")]
    SegmentLength {
        /// Index of the segment.
        segment: usize,
        /// Its tokens.
        tokens: usize,
        /// Tokens of a sequence.
        sequence_tokens: usize,
    },
    /// The indices given to a packer do not describe one sequence.
    #[error("expected {expected}, found {found}")]
    PackingIndices {
        /// The rule that is broken.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}

/// The reason that a library below this crate gave.
///
/// It hides which library that is, so that replacing one is not a change of this crate's API.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Cause(Box<dyn std::error::Error + Send + Sync>);

impl Cause {
    pub(crate) fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}
