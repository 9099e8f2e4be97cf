//! A model directory as a whole: weights, tokenizer, special tokens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic_distill::teacher::DecoderTeacher;
use alambic_text::Tokenizer;
use alambic_transformer::load_checkpoint;
use burn::tensor::Device;

use super::PipelineError;

/// The tokenizer's name in a model directory.
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
/// Files that a student inherits from its teacher, besides the tokenizer.
pub(crate) const COMPANION_FILES: [&str; 2] = ["tokenizer_config.json", "chat_template.jinja"];

/// A Hugging Face directory, loaded.
#[derive(Debug)]
pub struct LanguageModel {
    /// Where it came from.
    pub directory: PathBuf,
    /// The weights, ready to answer.
    pub teacher: DecoderTeacher,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// The token that begins a sequence.
    pub bos_token_id: Option<u32>,
    /// The tokens that end a text.
    pub eos_token_ids: Vec<u32>,
}

impl LanguageModel {
    /// Loads `config.json`, the weights and `tokenizer.json` of `directory`.
    ///
    /// # Errors
    /// The first file that is missing, damaged or of a kind that is not computed; a tokenizer
    /// that makes ids which the model does not have.
    pub fn load(directory: &Path, device: &Device) -> Result<Self, PipelineError> {
        let checkpoint = load_checkpoint(directory, device)?;
        let tokenizer = Tokenizer::from_file(&directory.join(TOKENIZER_FILE))?;
        let (words, ids) = (tokenizer.vocab_size(), checkpoint.config.vocab_size);
        if words > ids {
            return Err(PipelineError::Input {
                what: format!("{} with its {TOKENIZER_FILE}", directory.display()),
                expected: format!("a tokenizer of at most {ids} tokens, the model's vocabulary"),
                found: format!("{words} tokens"),
                advice: "use the tokenizer that the model was trained with".into(),
            });
        }
        Ok(Self {
            directory: directory.to_owned(),
            bos_token_id: checkpoint.bos_token_id,
            eos_token_ids: checkpoint.eos_token_ids.clone(),
            teacher: DecoderTeacher::from_checkpoint(checkpoint, device),
            tokenizer: Arc::new(tokenizer),
        })
    }

    /// The directory's last component, for tables.
    pub fn name(&self) -> String {
        let absolute = self
            .directory
            .canonicalize()
            .unwrap_or_else(|_| self.directory.clone());
        let parts: Vec<_> = absolute
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect();
        match parts.as_slice() {
            [.., parent, last] if last == "hf" => parent.to_string(),
            [.., last] => last.to_string(),
            [] => self.directory.display().to_string(),
        }
    }
}
