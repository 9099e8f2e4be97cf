//! Text continued by a model directory.

use std::ops::ControlFlow;
use std::path::Path;

use alambic_distill::teacher::Teacher;
use alambic_text::{SpecialTokens, SpecialTokensInText};
use alambic_transformer::{FinishReason, GenerationConfig, Sampling, generate};
use burn::tensor::Device;

use super::{LanguageModel, PipelineError};

/// How a text is continued.
#[derive(Clone, Debug, PartialEq)]
pub struct ContinuationOptions {
    /// Most tokens to add.
    pub max_new_tokens: usize,
    /// How each token is chosen.
    pub sampling: Sampling,
    /// Makes tokens that stand in the text already less likely.
    pub repetition_penalty: Option<f64>,
    /// Decides the random numbers.
    pub seed: u64,
}

/// A continued text.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// What the model added.
    pub text: String,
    /// How many tokens that is.
    pub num_tokens: usize,
    /// Why it ended.
    pub finish: FinishReason,
}

/// Continues `prompt` with the model of `directory`, handing over text as it comes.
///
/// # Errors
/// Those of loading the directory; a prompt longer than the model's context.
pub fn continue_text(
    directory: &Path,
    device: &Device,
    prompt: &str,
    options: &ContinuationOptions,
    mut on_text: impl FnMut(&str),
) -> Result<Continuation, PipelineError> {
    let model = LanguageModel::load(directory, device)?;
    let ids = model.tokenizer.encode(prompt, SpecialTokens::Add)?.ids;
    if ids.is_empty() {
        return Err(PipelineError::Input {
            what: "the prompt".into(),
            expected: "at least one token".into(),
            found: "none".into(),
            advice: "give a text to continue: this model has no beginning token".into(),
        });
    }
    if ids.len() >= model.teacher.max_sequence_tokens() {
        return Err(PipelineError::Input {
            what: "the prompt".into(),
            expected: format!(
                "fewer than {} tokens, the model's context",
                model.teacher.max_sequence_tokens()
            ),
            found: format!("{} tokens", ids.len()),
            advice: "give a shorter text".into(),
        });
    }
    let config = GenerationConfig {
        max_new_tokens: options.max_new_tokens,
        sampling: options.sampling,
        repetition_penalty: options.repetition_penalty,
        stop_tokens: model.eos_token_ids.clone(),
        seed: options.seed,
    };
    let mut stream = model.tokenizer.decode_stream(SpecialTokensInText::Skip);
    let mut text = String::new();
    let mut failure = None;
    let generated = generate(model.teacher.decoder(), &ids, &config, |id| {
        match stream.push(id) {
            Ok(piece) => {
                let piece = piece.unwrap_or_default();
                on_text(&piece);
                text += &piece;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    if let Some(rest) = stream.finish()? {
        on_text(&rest);
        text += &rest;
    }
    Ok(Continuation {
        text,
        num_tokens: generated.token_ids.len(),
        finish: generated.finish,
    })
}
