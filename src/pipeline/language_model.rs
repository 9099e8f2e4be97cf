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
    /// The weights, ready to answer over the tokens that the tokenizer has: rows beyond them, with
    /// which a model was padded, are left out.
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
        let decoder = checkpoint.decoder.within_vocabulary(words);
        Ok(Self {
            directory: directory.to_owned(),
            bos_token_id: checkpoint.bos_token_id,
            eos_token_ids: checkpoint.eos_token_ids,
            teacher: DecoderTeacher::new(decoder, checkpoint.fingerprint, device),
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
            // The Hub's cache: models--ORG--NAME/snapshots/COMMIT.
            [.., model, snapshots, _]
                if snapshots == "snapshots" && model.starts_with("models--") =>
            {
                model["models--".len()..].replace("--", "/")
            }
            [.., parent, last] if last == "hf" => parent.to_string(),
            [.., last] => last.to_string(),
            [] => self.directory.display().to_string(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use alambic_distill::teacher::Teacher;
    use burn::tensor::{Int, Tensor};
    use safetensors::tensor::{SafeTensors, TensorView};

    use super::*;

    /// Rows that are added to the vocabulary.
    const PADDING: usize = 80;

    /// The embedded teacher with more rows than its tokenizer has tokens, all of them likely.
    fn padded(directory: &Path) {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
        for name in ["config.json", TOKENIZER_FILE, "generation_config.json"] {
            fs::copy(original.join(name), directory.join(name)).unwrap();
        }
        let config = fs::read_to_string(directory.join("config.json")).unwrap();
        let rows = format!("\"vocab_size\": {}", 944 + PADDING);
        let config = config.replace("\"vocab_size\": 944", &rows);
        fs::write(directory.join("config.json"), config).unwrap();
        let bytes = fs::read(original.join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let embedding = tensors.tensor("model.embed_tokens.weight").unwrap();
        let width = embedding.shape()[1];
        // bf16 of 1.
        let more = [0x80, 0x3f].repeat(width * PADDING);
        let data = [embedding.data(), more.as_slice()].concat();
        let shape = vec![944 + PADDING, width];
        let widened = TensorView::new(embedding.dtype(), shape, &data).unwrap();
        let views = tensors.tensors().into_iter().map(|(name, view)| {
            match name == "model.embed_tokens.weight" {
                true => (name, widened.clone()),
                false => (name, view),
            }
        });
        let file = directory.join("model.safetensors");
        safetensors::serialize_to_file(views, None, &file).unwrap();
    }

    #[test]
    fn a_padded_model_is_a_teacher_over_the_tokens_of_its_tokenizer() {
        const F32_NOISE: f32 = 1e-4;
        let device = Device::flex();
        let directory = tempfile::tempdir().unwrap();
        padded(directory.path());
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
        let original = LanguageModel::load(&original, &device).unwrap().teacher;
        let padded = LanguageModel::load(directory.path(), &device)
            .unwrap()
            .teacher;
        assert_eq!(padded.decoder().config().vocab_size, 944);
        assert_eq!(padded.vocab_size(), 944);
        let ids = || Tensor::<2, Int>::from_ints([[5, 17, 300, 2]], &device);
        let expected = original.log_probs(ids()).tensor().clone();
        let found = padded.log_probs(ids()).tensor().clone();
        let difference = (expected - found).abs().max().into_scalar::<f32>();
        assert!(difference < F32_NOISE, "{difference}");
        let heads = [original.head().unwrap(), padded.head().unwrap()];
        assert_eq!(heads[0].weight().dims(), heads[1].weight().dims());
    }
}
