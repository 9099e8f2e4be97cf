//! From a recipe's `[data]` to segments, split by split.

use std::collections::VecDeque;
use std::path::PathBuf;

use alambic_distill::DistillError;
use alambic_text::{
    ChatTemplate, Corpus, CorpusConfig, CorpusFormat, Document, DocumentSource, Ending,
    ExampleTokenizer, PromptErasing, Segment, SegmentConfig, SegmentCutter, SegmentStats,
    SourcedDocument, Split, SplitConfig, TextError, Textbook, TextbookConfig, Trim,
};

use super::recipe::{
    ChatTemplateSource, DataFormat, DataSection, EndOfText, OverLength, PromptErasure,
    TextbookSection,
};
use super::{LanguageModel, PipelineError};

/// The documents of a recipe, and how they become segments.
pub(crate) struct TextSource {
    documents: DocumentSet,
    tokenizer: ExampleTokenizer,
    segments: SegmentConfig,
}

enum DocumentSet {
    Corpus {
        corpus: Corpus,
        split: SplitConfig,
        max_train_documents: Option<usize>,
    },
    Textbook(TextbookSection),
}

type Documents = Box<dyn Iterator<Item = Result<SourcedDocument, TextError>>>;

impl TextSource {
    /// Opens the recipe's documents for the teacher's tokenizer.
    pub(crate) fn open(
        data: &DataSection,
        model: &LanguageModel,
        max_tokens: usize,
    ) -> Result<Self, PipelineError> {
        let documents = match &data.textbook {
            Some(section) => DocumentSet::Textbook(section.clone()),
            None => DocumentSet::Corpus {
                corpus: Corpus::open(corpus_config(data))?,
                split: split_config(data)?,
                max_train_documents: data.max_train_documents,
            },
        };
        let tokenizer = ExampleTokenizer::new(
            model.tokenizer.clone(),
            chat_template(data, model)?,
            ending(data, model)?,
        );
        let over_length = match data.over_length {
            OverLength::Error => alambic_text::OverLength::Error,
            OverLength::Truncate => alambic_text::OverLength::Truncate,
            OverLength::Split => alambic_text::OverLength::Split,
            OverLength::Skip => alambic_text::OverLength::Skip,
        };
        Ok(Self {
            documents,
            tokenizer,
            segments: SegmentConfig {
                max_tokens,
                over_length,
            },
        })
    }

    /// The segments of one split, streamed.
    pub(crate) fn segments(&self, split: Split) -> Result<SegmentStream, PipelineError> {
        Ok(SegmentStream {
            documents: self.documents(split)?,
            tokenizer: self.tokenizer.clone(),
            cutter: SegmentCutter::new(self.segments)?,
            ready: VecDeque::new(),
        })
    }

    fn documents(&self, split: Split) -> Result<Documents, PipelineError> {
        Ok(match &self.documents {
            DocumentSet::Corpus {
                corpus,
                split: config,
                max_train_documents,
            } => {
                let config = *config;
                let of_split = corpus.documents().filter(move |document| match document {
                    Ok(document) => config.split_of(&document.document) == split,
                    Err(_) => true,
                });
                match (split, max_train_documents) {
                    (Split::Train, Some(limit)) => Box::new(of_split.take(*limit)),
                    _ => Box::new(of_split),
                }
            }
            DocumentSet::Textbook(section) => {
                let textbook = section.textbook(split)?;
                Box::new(
                    (0..section.items(split))
                        .map(move |index| Ok(textbook_document(&textbook, index))),
                )
            }
        })
    }
}

impl TextbookSection {
    /// The textbook of one split.
    pub(crate) fn textbook(&self, split: Split) -> Result<Textbook, TextError> {
        Textbook::new(TextbookConfig {
            seed: self.seed,
            split,
            story_ratio: self.story_ratio,
        })
    }

    /// How many items the split has.
    pub(crate) fn items(&self, split: Split) -> u64 {
        match split {
            Split::Train => self.train_items,
            Split::Validation => self.validation_items,
            Split::Test => self.test_items,
        }
    }
}

/// One item of the textbook as a document.
pub(crate) fn textbook_document(textbook: &Textbook, index: u64) -> SourcedDocument {
    SourcedDocument {
        document: Document::Text(textbook.item(index).text()),
        source: DocumentSource {
            path: PathBuf::from("textbook"),
            record: index + 1,
        },
    }
}

/// Segments of one split in the order of the documents.
pub(crate) struct SegmentStream {
    documents: Documents,
    tokenizer: ExampleTokenizer,
    cutter: SegmentCutter,
    ready: VecDeque<Segment>,
}

impl SegmentStream {
    /// What was cut, split, truncated or skipped so far.
    pub(crate) fn stats(&self) -> &SegmentStats {
        self.cutter.stats()
    }

    fn cut_next(
        &mut self,
        document: Result<SourcedDocument, TextError>,
    ) -> Result<(), DistillError> {
        let pair = self.tokenizer.tokenize(&document?)?;
        self.ready.extend(self.cutter.cut(pair)?);
        Ok(())
    }
}

impl Iterator for SegmentStream {
    type Item = Result<Segment, DistillError>;

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

fn corpus_config(data: &DataSection) -> CorpusConfig {
    let format = match data.format {
        DataFormat::Text => CorpusFormat::Text {
            separator: data.separator.clone().unwrap_or_default(), // the recipe requires it for text
            trim: Trim::Whitespace,
        },
        DataFormat::Jsonl => CorpusFormat::Jsonl,
        DataFormat::Parquet | DataFormat::Textbook => CorpusFormat::Parquet,
    };
    let erasing = match &data.erase {
        PromptErasure::Keep => PromptErasing::Keep,
        PromptErasure::RemoveSystem => PromptErasing::RemoveSystem,
        PromptErasure::ReplaceSystem(prompt) => PromptErasing::ReplaceSystem(prompt.clone()),
    };
    CorpusConfig {
        files: data.files.clone(),
        format,
        erasing,
    }
}

fn split_config(data: &DataSection) -> Result<SplitConfig, PipelineError> {
    let split = SplitConfig {
        validation_fraction: data.validation_fraction,
        test_fraction: data.test_fraction,
        seed: data.split_seed,
    };
    split.validate()?;
    Ok(split)
}

fn ending(data: &DataSection, model: &LanguageModel) -> Result<Ending, PipelineError> {
    match (data.end_of_text, model.eos_token_ids.first()) {
        (EndOfText::Omit, _) => Ok(Ending::None),
        (EndOfText::Append, Some(&id)) => Ok(Ending::EndOfText(id)),
        (EndOfText::Append, None) => Err(PipelineError::Input {
            what: format!(
                "{} with data.end_of_text = \"append\"",
                model.directory.join("config.json").display()
            ),
            expected: "an eos_token_id".into(),
            found: "none".into(),
            advice: "set data.end_of_text = \"omit\", or add the id to config.json".into(),
        }),
    }
}

fn chat_template(
    data: &DataSection,
    model: &LanguageModel,
) -> Result<Option<ChatTemplate>, PipelineError> {
    let token = |id: Option<u32>| {
        id.and_then(|id| model.tokenizer.id_to_token(id))
            .unwrap_or_default()
    };
    match &data.chat_template {
        None => Ok(None),
        Some(ChatTemplateSource::File(path)) => {
            let source = std::fs::read_to_string(path)
                .map_err(|source| PipelineError::io("read", path, source))?;
            let (bos, eos) = (
                token(model.bos_token_id),
                token(model.eos_token_ids.first().copied()),
            );
            Ok(Some(ChatTemplate::new(&source, &bos, &eos)?))
        }
        Some(ChatTemplateSource::Teacher) => {
            match ChatTemplate::from_directory(&model.directory)? {
                Some(template) => Ok(Some(template)),
                None => Err(PipelineError::Input {
                    what: format!(
                        "data.chat_template = \"teacher\" with {}",
                        model.directory.display()
                    ),
                    expected: "chat_template.jinja, or a chat_template in tokenizer_config.json"
                        .into(),
                    found: "neither".into(),
                    advice: "name a .jinja file in data.chat_template".into(),
                }),
            }
        }
    }
}
