//! A tokenizer together with the special tokens of its model.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic_distill::TextTokenizer;
use alambic_text::Tokenizer;
use serde_json::Value;

use super::PipelineError;
use super::language_model::{LanguageModel, TOKENIZER_FILE};

/// Beside a tokenizer, what its special tokens are called.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// What text is read with.
#[derive(Clone, Debug)]
pub struct ModelTokenizer {
    /// Where it came from.
    pub directory: PathBuf,
    /// The tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// The token that begins a sequence.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a text.
    pub eos_token_ids: Vec<u32>,
    /// File and key that name the tokens that end a text.
    pub(crate) eos_source: (&'static str, &'static str),
}

impl ModelTokenizer {
    /// Reads `tokenizer.json` of `directory`, and from its `tokenizer_config.json`, if there is one, which tokens
    /// begin and end a text.
    ///
    /// # Errors
    /// For a file that is missing or damaged, and for a special token that the tokenizer does not have.
    pub fn load(directory: &Path) -> Result<Self, PipelineError> {
        let tokenizer = Tokenizer::from_file(&directory.join(TOKENIZER_FILE))?;
        let path = directory.join(TOKENIZER_CONFIG);
        let config = match path.exists() {
            true => read_json(&path)?,
            false => Value::Null,
        };
        let id = |key: &str| special_token(&config, key, &path, &tokenizer);
        Ok(Self {
            directory: directory.to_owned(),
            bos_token_id: id("bos_token")?,
            eos_token_ids: id("eos_token")?.into_iter().collect(),
            eos_source: (TOKENIZER_CONFIG, "eos_token"),
            tokenizer: Arc::new(tokenizer),
        })
    }

    /// This tokenizer as the alignment of texts takes it, with the first EOS token as the end of a
    /// text.
    pub fn text_tokenizer(&self) -> TextTokenizer {
        TextTokenizer {
            tokenizer: self.tokenizer.clone(),
            end_of_text: self.eos_token_ids.first().copied(),
        }
    }
}

impl From<&LanguageModel> for ModelTokenizer {
    /// The tokenizer of a model, whose `config.json` names its special tokens.
    fn from(model: &LanguageModel) -> Self {
        Self {
            directory: model.directory.clone(),
            tokenizer: model.tokenizer.clone(),
            bos_token_id: model.bos_token_id,
            eos_token_ids: model.eos_token_ids.clone(),
            eos_source: ("config.json", "eos_token_id"),
        }
    }
}

fn read_json(path: &Path) -> Result<Value, PipelineError> {
    let text =
        fs::read_to_string(path).map_err(|source| PipelineError::io("read", path, source))?;
    serde_json::from_str(&text).map_err(|error| PipelineError::Input {
        what: path.display().to_string(),
        expected: "a JSON object".into(),
        found: error.to_string(),
        advice: "save the tokenizer again".into(),
    })
}

/// The id of a special token, which is given as a text or as an object with its `content`.
fn special_token(
    config: &Value,
    key: &str,
    path: &Path,
    tokenizer: &Tokenizer,
) -> Result<Option<u32>, PipelineError> {
    let value = &config[key];
    let Some(token) = value.as_str().or_else(|| value["content"].as_str()) else {
        return Ok(None);
    };
    match tokenizer.token_to_id(token) {
        Some(id) => Ok(Some(id)),
        None => Err(PipelineError::Input {
            what: format!("{key} of {}", path.display()),
            expected: format!("a token of {TOKENIZER_FILE} beside it"),
            found: format!("{token:?}"),
            advice: "name a token that the tokenizer has, or save it again with this one".into(),
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_are_those_that_the_config_names() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let texts = ["the cat sat on the mat".to_owned()];
        let tokenizer = Tokenizer::train_byte_level_bpe(texts, 280, &["<s>", "</s>"]).unwrap();
        tokenizer.save(&directory.join(TOKENIZER_FILE)).unwrap();
        let bare = ModelTokenizer::load(directory).unwrap();
        assert_eq!((bare.bos_token_id, bare.eos_token_ids), (None, vec![]));
        let load = |config: &str| {
            fs::write(directory.join(TOKENIZER_CONFIG), config).unwrap();
            ModelTokenizer::load(directory)
        };
        let named = load(r#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}}"#).unwrap();
        assert_eq!(
            (named.bos_token_id, named.eos_token_ids),
            (Some(0), vec![1])
        );
        let null = load(r#"{"bos_token": null, "eos_token": "</s>"}"#).unwrap();
        assert_eq!((null.bos_token_id, null.eos_token_ids), (None, vec![1]));
        let error = load(r#"{"eos_token": "<end>"}"#).unwrap_err().to_string();
        assert!(
            error.contains("eos_token of") && error.contains("<end>"),
            "{error}"
        );
        let error = load("{").unwrap_err().to_string();
        assert!(error.contains(TOKENIZER_CONFIG), "{error}");
    }
}
