//! `alambic generate`

use std::path::PathBuf;

use alambic::pipeline::{
    ContinuationOptions, PipelineError, continue_text, continue_tokens, find_model,
};
use alambic::transformer::{FinishReason, Sampling};
use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::arguments::DeviceArguments;
use crate::output::{Outcome, Output};
use crate::progress::for_stderr;

/// New tokens when nothing else is said.
const DEFAULT_MAX_NEW_TOKENS: usize = 100;

/// Sampling from the model's own distribution, neither sharpened nor softened.
const DEFAULT_TEMPERATURE: f64 = 1.0;

/// The random numbers of a first attempt.
const DEFAULT_SEED: u64 = 0;

/// Arguments of `alambic generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArguments {
    /// The model: a directory in the Hugging Face layout, or hub:ORG/NAME@REVISION.
    #[arg(value_name = "DIR", required_unless_present = "model")]
    pub(crate) directory: Option<PathBuf>,
    /// The same, by name.
    #[arg(long, value_name = "DIR", conflicts_with = "directory")]
    pub(crate) model: Option<PathBuf>,
    /// The text to continue.
    #[arg(long, value_name = "TEXT", required_unless_present = "prompt_tokens")]
    pub(crate) prompt: Option<String>,
    /// Tokens to continue instead: a safetensors file with `input_ids`, int32 of [B, T]. Every row gets as many new
    /// tokens; none ends it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt", "repetition_penalty", "stop"], requires_all = ["greedy", "out"])]
    pub(crate) prompt_tokens: Option<PathBuf>,
    /// The safetensors file that gets `output`, int32 of [B, T + N]: the tokens with the new ones.
    #[arg(long, value_name = "FILE", requires = "prompt_tokens")]
    pub(crate) out: Option<PathBuf>,
    /// Most tokens to add.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_NEW_TOKENS, value_parser = count)]
    pub(crate) max_new_tokens: usize,
    /// Always take the most likely token.
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p", "seed"])]
    pub(crate) greedy: bool,
    /// Divides the logits before sampling.
    #[arg(long, value_name = "T", default_value_t = DEFAULT_TEMPERATURE, value_parser = temperature)]
    pub(crate) temperature: f64,
    /// Sample from the K most likely tokens only.
    #[arg(long, value_name = "K", value_parser = count)]
    pub(crate) top_k: Option<usize>,
    /// Sample from the fewest tokens that hold this probability together.
    #[arg(long, value_name = "P", value_parser = probability)]
    pub(crate) top_p: Option<f64>,
    /// Sample from tokens that are at least P times as likely as the most likely one.
    #[arg(long, value_name = "P", value_parser = probability)]
    pub(crate) min_p: Option<f64>,
    /// Makes tokens that stand in the text already less likely; 1 changes nothing.
    #[arg(long, value_name = "R", value_parser = positive)]
    pub(crate) repetition_penalty: Option<f64>,
    /// Ends the text before this one appears; may be repeated.
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
    /// Decides the random numbers.
    #[arg(long, value_name = "S", default_value_t = DEFAULT_SEED)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) device: DeviceArguments,
}

impl GenerateArguments {
    fn options(&self) -> ContinuationOptions {
        let sampling = if self.greedy {
            Sampling::Greedy
        } else {
            Sampling::Sample {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
            }
        };
        ContinuationOptions {
            max_new_tokens: self.max_new_tokens,
            sampling,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
            stop_texts: self.stop.clone(),
        }
    }
}

/// Continues the prompt, showing the text as it comes.
pub(crate) fn execute(arguments: &GenerateArguments, output: Output) -> anyhow::Result<Outcome> {
    let device = arguments
        .device
        .device
        .open()
        .map_err(PipelineError::from)?;
    let model = arguments.directory.as_ref().or(arguments.model.as_ref());
    let model = model.context("the arguments name a model")?;
    let model = &find_model(model, &*for_stderr())?;
    if let (Some(tokens), Some(out)) = (&arguments.prompt_tokens, &arguments.out) {
        let shape = continue_tokens(model, tokens, out, arguments.max_new_tokens, &device)?;
        return Ok(Outcome::done(
            format!("{}: output {shape:?}", out.display()),
            json!({ "out": out, "shape": shape }),
        ));
    }
    let prompt = arguments.prompt.as_ref();
    let prompt = prompt.context("the arguments give a prompt")?;
    let mut pieces = 0;
    let continuation = continue_text(model, &device, prompt, &arguments.options(), |piece| {
        if pieces == 0 {
            output.stream(prompt);
        }
        pieces += 1;
        output.stream(piece);
    })?;
    let document = json!({
        "prompt": prompt,
        "text": continuation.text,
        "num_tokens": continuation.num_tokens,
        "finish": finish(continuation.finish),
    });
    // The text was shown while it came; what is left of it is the end of the line.
    Ok(Outcome::done(
        if pieces == 0 {
            prompt.clone()
        } else {
            String::new()
        },
        document,
    ))
}

fn finish(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop(_) => "stop",
        FinishReason::MaxNewTokens => "max_new_tokens",
        // Nothing else interrupts it.
        FinishReason::Interrupted => "stop_text",
        FinishReason::ContextFull => "context_full",
    }
}

fn count(text: &str) -> Result<usize, String> {
    let count = text
        .parse()
        .map_err(|_| "expected a whole number above 0".to_string())?;
    if count > 0 {
        Ok(count)
    } else {
        Err("expected a whole number above 0".into())
    }
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, "expected a finite number above 0", |number| {
        number.is_finite() && number > 0.0
    })
}

fn temperature(text: &str) -> Result<f64, String> {
    positive(text).map_err(|error| format!("{error}; --greedy always takes the most likely token"))
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, "expected a number above 0 and at most 1", |number| {
        number > 0.0 && number <= 1.0
    })
}

fn number(text: &str, expected: &str, holds: impl Fn(f64) -> bool) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| holds(*number))
        .ok_or_else(|| expected.to_string())
}
