//! From files of text to packed sequences of tokens, for distillation.
//!
//! A student learns from what a teacher says about tokens, so both must see exactly the tokens that
//! they are meant to see. This crate makes those tokens; it knows nothing of tensors.
//!
//! ```text
//! Corpus -> SourcedDocument -> TokenizedPair -> Segment -> PackedSequence
//!  files      text or chat       ids + masks     cut once    fixed length
//! ```
//!
//! # A guide in one example
//!
//! A teacher solves problems better when a strategy prompt tells it how. *Prompt erasing* shows the
//! student the same answer without that prompt, so that it learns the strategy instead of obeying
//! it (Mitra et al. 2023, Orca 2, arXiv:2311.11045):
//!
//! ```
//! use std::sync::Arc;
//! use alambic_text::*;
//!
//! // 1. A conversation whose system prompt is for the teacher only.
//! let conversation = Conversation {
//!     messages: vec![
//!         Message::new(Role::System, "Work step by step, then give the number."),
//!         Message::new(Role::User, "What is 7 + 5 + 1?"),
//!         Message::new(Role::Assistant, "7 + 5 = 12, 12 + 1 = 13. 13"),
//!     ],
//!     erasing: PromptErasing::RemoveSystem,
//! };
//! let document = SourcedDocument {
//!     document: Document::Conversation(conversation),
//!     source: DocumentSource { path: "sums.jsonl".into(), record: 1 },
//! };
//!
//! // 2. A tokenizer and a chat template; usually both come from the teacher's directory.
//! let texts = ["What is 7 + 5?", "Work step by step.", "7 + 5 = 12."].map(String::from);
//! let special_tokens = ["<|pad|>", "<|turn|>", "<|end|>"];
//! let tokenizer = Arc::new(Tokenizer::train_byte_level_bpe(texts, 300, &special_tokens)?);
//! let template = ChatTemplate::new(
//!     "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}\
//!      {% if add_generation_prompt %}<|turn|>assistant\n{% endif %}",
//!     "",
//!     "<|end|>",
//! )?;
//!
//! // 3. Tokens of both views: the prompts differ, the labels do not.
//! let tokenise = ExampleTokenizer::new(tokenizer.clone(), Some(template), Ending::None);
//! let pair = tokenise.tokenize(&document)?;
//! let student = pair.student().example();
//! assert!(student.token_ids.len() < pair.teacher().example().token_ids.len());
//! let labels: Vec<u32> = student.labels().collect();
//! let learned = tokenizer.decode(&labels, SpecialTokensInText::Show)?;
//! assert_eq!(learned, "7 + 5 = 12, 12 + 1 = 13. 13<|end|>");
//!
//! // 4. Segments of at most 256 tokens; a longer document would be an error.
//! let config = SegmentConfig { max_tokens: 256, over_length: OverLength::Error };
//! let mut cutter = SegmentCutter::new(config)?;
//! let segments = cutter.cut(pair)?;
//! assert_eq!(cutter.stats().segments, 1);
//!
//! // 5. A sequence of 512 tokens with whole segments. Only the student's tokens can be packed:
//! //    the teacher's have another type, so a strategy prompt cannot leak into training.
//! let packer = Packer { sequence_tokens: 512, pad_id: 0 };
//! let student_tokens: Vec<&StudentTokens> = segments.iter().map(Segment::student).collect();
//! let lengths: Vec<usize> = student_tokens.iter().map(|s| s.token_ids().len()).collect();
//! for indices in packer.plan(&lengths)? {
//!     let sequence = packer.pack(&student_tokens, &indices)?;
//!     assert_eq!(sequence.token_ids.len(), 512);
//!     let counted = sequence.label_mask.iter().filter(|&&counts| counts).count();
//!     assert_eq!(counted, labels.len());
//! }
//! # Ok::<(), TextError>(())
//! ```
//!
//! # Records and answers
//!
//! Benchmarks and data of others are files of records. [`RecordFormat`] says how a file holds them, [`RecordTemplate`] and
//! [`RecordExpression`] make texts and values of them. [`AnswerExtraction`] finds the final answer in a text, and
//! [`AnswerComparison`] compares it with those that are accepted.
//!
//! # Promises
//!
//! - Nothing happens silently. What is skipped, trimmed, truncated or split follows from a named
//!   option and is counted; everything else that does not fit is a [`TextError`] that names the
//!   file and the record.
//! - Files are streamed: memory holds a document, not a file ([`Corpus`]).
//! - Everything is reproducible: the same texts give the same tokenizer
//!   ([`Tokenizer::train_byte_level_bpe`]), the same split ([`SplitConfig`]), the same plan
//!   ([`Packer::plan`]) and the same problems ([`Textbook`]).

mod answer;
mod chat_template;
mod contained;
mod conversation;
mod corpus;
mod document;
mod error;
mod example;
mod example_tokenizer;
mod masked_tokens;
mod packing;
mod records;
mod rouge_l;
mod segment;
mod segment_cutter;
mod segment_stream;
mod split;
mod textbook;
mod tokenizer;

pub use answer::{
    AcceptedAnswers, AnswerComparison, AnswerExtraction, AnswerPattern, NumberTolerance,
    Occurrence, OverlapMeasure, OverlapNormalisation, PercentMeaning, Rational, TextEnd,
    TextNormalisation, evaluate_expression,
};
pub use chat_template::{ChatTemplate, FixedDate, GenerationPrompt, RenderedChat};
pub use conversation::{Conversation, Message, PromptErasing, Role, StudentView, TeacherView};
pub use corpus::{Corpus, CorpusConfig, CorpusFormat, Documents, Trim};
pub use document::{Document, DocumentSource, SourcedDocument};
pub use error::{Cause, TextError};
pub use example::{StudentExample, TeacherExample, TokenizedExample, TokenizedPair};
pub use example_tokenizer::{Ending, ExampleTokenizer};
pub use masked_tokens::{StudentTokens, TeacherTokens};
pub use packing::{PackedSequence, Packer, PlacedSegment};
pub use records::{Record, RecordExpression, RecordFormat, RecordTemplate, read_records};
pub use rouge_l::{RougeL, rouge_l};
pub use segment::Segment;
pub use segment_cutter::{OverLength, SegmentConfig, SegmentCutter, SegmentStats};
pub use segment_stream::SegmentStream;
pub use split::{Split, SplitConfig};
pub use textbook::{
    Problem, ProblemFamily, Story, Textbook, TextbookConfig, TextbookItem, chance_accuracy,
    extract_answer,
};
pub use tokenizer::{Encoding, SpecialTokens, SpecialTokensInText, TextStream, Tokenizer};
