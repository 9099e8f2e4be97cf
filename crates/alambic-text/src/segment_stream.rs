//! From documents to segments, one document at a time.

use std::collections::VecDeque;

use crate::document::SourcedDocument;
use crate::error::TextError;
use crate::example_tokenizer::ExampleTokenizer;
use crate::segment::Segment;
use crate::segment_cutter::{SegmentConfig, SegmentCutter, SegmentStats};

/// The segments of a stream of documents, in their order; a document is read when it is needed.
///
/// ```
/// # use std::sync::Arc;
/// use alambic_text::{
///     Ending, ExampleTokenizer, OverLength, SegmentConfig, SegmentStream, Split, Textbook,
///     TextbookConfig, Tokenizer, TextError,
/// };
/// let textbook = Textbook::new(TextbookConfig { seed: 1, split: Split::Train, story_ratio: 1.0 })?;
/// # let texts = textbook.items(0..20).map(|item| item.text());
/// # let tokenizer = Arc::new(Tokenizer::train_byte_level_bpe(texts, 300, &["<|end|>"])?);
/// let end = tokenizer.token_to_id("<|end|>").expect("it was trained with it");
/// let examples = ExampleTokenizer::new(tokenizer, None, Ending::EndOfText(end));
/// let config = SegmentConfig { max_tokens: 512, over_length: OverLength::Error };
/// let documents = textbook.documents(0..3).map(Ok);
/// let segments = SegmentStream::new(documents, examples, config)?;
/// assert_eq!(segments.collect::<Result<Vec<_>, _>>()?.len(), 3);
/// # Ok::<(), TextError>(())
/// ```
#[derive(Debug)]
pub struct SegmentStream<D> {
    documents: D,
    tokenizer: ExampleTokenizer,
    cutter: SegmentCutter,
    ready: VecDeque<Segment>,
}

impl<D: Iterator<Item = Result<SourcedDocument, TextError>>> SegmentStream<D> {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// [`TextError::InvalidOption`] if a segment could not hold a token and its label.
    pub fn new(
        documents: D,
        tokenizer: ExampleTokenizer,
        config: SegmentConfig,
    ) -> Result<Self, TextError> {
        Ok(Self {
            documents,
            tokenizer,
            cutter: SegmentCutter::new(config)?,
            ready: VecDeque::new(),
        })
    }

    /// What was cut, split, truncated or skipped so far.
    pub fn stats(&self) -> &SegmentStats {
        self.cutter.stats()
    }

    fn cut_next(&mut self, document: Result<SourcedDocument, TextError>) -> Result<(), TextError> {
        let pair = self.tokenizer.tokenize(&document?)?;
        self.ready.extend(self.cutter.cut(pair)?);
        Ok(())
    }
}

impl<D: Iterator<Item = Result<SourcedDocument, TextError>>> Iterator for SegmentStream<D> {
    type Item = Result<Segment, TextError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let document = self.documents.next()?;
            if let Err(error) = self.cut_next(document) {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
