//! From a recipe's `[data]` to segments, split by split.

use std::ops::Range;

use alambic_text::{
    ChatTemplate, Corpus, CorpusConfig, CorpusFormat, Ending, ExampleTokenizer, PromptErasing,
    SegmentConfig, SegmentStream, SourcedDocument, Split, SplitConfig, TextError, Textbook,
    TextbookConfig, Trim,
};

use super::recipe::{
    ChatTemplateSource, DataFormat, DataSection, EndOfText, OverLength, PromptErasure,
    TextbookSection,
};
use super::{ModelTokenizer, PipelineError};

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

/// The documents of one split.
pub(crate) type Documents = Box<dyn Iterator<Item = Result<SourcedDocument, TextError>>>;

impl TextSource {
    /// Opens the recipe's documents for a tokenizer.
    pub(crate) fn open(
        data: &DataSection,
        model: &ModelTokenizer,
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
    pub(crate) fn segments(&self, split: Split) -> Result<SegmentStream<Documents>, TextError> {
        SegmentStream::new(
            self.documents(split)?,
            self.tokenizer.clone(),
            self.segments,
        )
    }

    /// The textbook's items of templates that no other text has; `None` for other text.
    pub(crate) fn unseen_templates(&self) -> Result<Option<SegmentStream<Documents>>, TextError> {
        let DocumentSet::Textbook(section) = &self.documents else {
            return Ok(None);
        };
        let textbook = section.textbook(Split::Test)?;
        let documents: Documents = Box::new(textbook.documents(0..section.test_items).map(Ok));
        SegmentStream::new(documents, self.tokenizer.clone(), self.segments).map(Some)
    }

    fn documents(&self, split: Split) -> Result<Documents, TextError> {
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
                let (templates, items) = section.text_of(split);
                Box::new(section.textbook(templates)?.documents(items).map(Ok))
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

    /// The templates and the items that a recipe's split reads.
    ///
    /// Likelihood is measured on new items of known templates: that of unseen wordings tells how a
    /// model takes a surprise, not what it learned. Problems of unseen templates are asked apart.
    fn text_of(&self, split: Split) -> (Split, Range<u64>) {
        match split {
            Split::Test => {
                let first = self.validation_items;
                (
                    Split::Validation,
                    first..first.saturating_add(self.test_items),
                )
            }
            Split::Train | Split::Validation => (split, 0..self.items(split)),
        }
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

fn ending(data: &DataSection, model: &ModelTokenizer) -> Result<Ending, PipelineError> {
    let (file, key) = model.eos_source;
    match (data.end_of_text, model.eos_token_ids.first()) {
        (EndOfText::Omit, _) => Ok(Ending::None),
        (EndOfText::Append, Some(&id)) => Ok(Ending::EndOfText(id)),
        (EndOfText::Append, None) => Err(PipelineError::Input {
            what: format!(
                "{} with data.end_of_text = \"append\"",
                model.directory.join(file).display()
            ),
            expected: format!("an {key}"),
            found: "none".into(),
            advice: format!("set data.end_of_text = \"omit\", or add {key} to {file}"),
        }),
    }
}

fn chat_template(
    data: &DataSection,
    model: &ModelTokenizer,
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
