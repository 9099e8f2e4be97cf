//! Generating text: from one prompt with streaming, or from many at once.

mod batch;
mod sampler;
mod score;
mod session;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

pub use batch::generate_batch;
pub use score::{
    GivenToken, continuation_log_probs, continuation_log_probs_batch, continuation_scores_batch,
};
pub use session::{DecodeSession, Slot};

use crate::decoder::Decoder;
use crate::error::TransformerError;
use batch::{Prompt, generate_group};

/// How to go on from a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationConfig {
    /// Stop after this many new tokens.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Divides the positive logits of tokens that already occur, prompt included, and multiplies
    /// the negative ones (Keskar et al. 2019, arXiv:1909.05858, as Hugging Face defines it).
    pub repetition_penalty: Option<f64>,
    /// Tokens that end the text; they are not part of it.
    pub stop_tokens: Vec<u32>,
    /// Decides every draw. Each prompt of a batch starts from this seed, as if it stood alone.
    pub seed: u64,
}

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sampling {
    /// The most probable token; of equals, the lowest id.
    Greedy,
    /// A draw from the distribution, after temperature, then top-k, then top-p, then min-p.
    Sample {
        /// Divides the logits: below 1 sharpens, above 1 flattens.
        temperature: f64,
        /// Keep exactly this many of the most probable tokens; of equals, the lowest ids.
        top_k: Option<usize>,
        /// Keep the fewest most probable tokens whose probabilities reach this sum.
        top_p: Option<f64>,
        /// Keep the tokens that are at least this times as probable as the most probable one (Nguyen et al. 2024,
        /// arXiv:2407.01082).
        min_p: Option<f64>,
    },
}

/// What was generated from one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The new tokens, without the prompt and without a stop token.
    pub token_ids: Vec<u32>,
    /// `ln p` of each of them under the decoder's own distribution: at temperature 1, without penalty and filters.
    pub log_probs: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The decoder chose this stop token.
    Stop(u32),
    /// [`GenerationConfig::max_new_tokens`] were generated.
    MaxNewTokens,
    /// The callback asked to end.
    Interrupted,
    /// Prompt and new tokens fill all of the decoder's positions.
    ContextFull,
}

impl GenerationConfig {
    /// The most probable tokens, with neither penalty nor stop tokens.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self {
            max_new_tokens,
            sampling: Sampling::Greedy,
            repetition_penalty: None,
            stop_tokens: Vec::new(),
            seed: 0,
        }
    }

    /// Checks the settings for a decoder of `vocab_size` tokens.
    ///
    /// # Errors
    /// [`TransformerError::InvalidGeneration`] lists every problem at once.
    pub fn validate(&self, vocab_size: usize) -> Result<(), TransformerError> {
        let mut problems = Vec::new();
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if let Sampling::Sample {
            temperature,
            top_k,
            top_p,
            min_p,
        } = self.sampling
        {
            if !positive(temperature) {
                problems.push(format!(
                    "temperature is {temperature}, expected a positive number (or greedy sampling)"
                ));
            }
            if top_k == Some(0) {
                problems.push("top_k is 0, expected at least 1".to_string());
            }
            for (name, share) in [("top_p", top_p), ("min_p", min_p)] {
                if let Some(share) = share.filter(|&p| !(positive(p) && p <= 1.0)) {
                    problems.push(format!("{name} is {share}, expected above 0 and at most 1"));
                }
            }
        }
        if let Some(penalty) = self.repetition_penalty.filter(|&p| !positive(p)) {
            problems.push(format!(
                "repetition_penalty is {penalty}, expected a positive number"
            ));
        }
        for token in &self.stop_tokens {
            if *token as usize >= vocab_size {
                problems.push(format!(
                    "stop token {token} is outside the vocabulary of {vocab_size}, so it cannot occur"
                ));
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(TransformerError::InvalidGeneration { problems })
        }
    }
}

/// Generates from one prompt; `on_token` sees each new token and may end the generation.
///
/// Uses a KV cache. A decoder on an autodiff device is used without tracking gradients.
///
/// ```
/// use std::ops::ControlFlow;
/// use alambic_transformer::{
///     Architecture, DecoderConfig, DeviceChoice, FinishReason, GenerationConfig, generate,
/// };
///
/// # let config = DecoderConfig {
/// #     vocab_size: 32, hidden_size: 16, intermediate_size: 40, num_hidden_layers: 2,
/// #     num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, max_position_embeddings: 64,
/// #     rms_norm_eps: 1e-5, rope_theta: 10_000.0, tie_word_embeddings: true,
/// #     initializer_range: 0.02,
/// #     architecture: Architecture::default(),
/// # };
/// let device = DeviceChoice::Cpu.open()?;
/// let decoder = config.init(&device);
/// let mut streamed = Vec::new();
/// let generated = generate(&decoder, &[1, 7], &GenerationConfig::greedy(5), |token| {
///     streamed.push(token);
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(generated.token_ids, streamed);
/// assert_eq!(generated.finish, FinishReason::MaxNewTokens);
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
///
/// # Errors
/// If the settings or the prompt are invalid, or the decoder's logits are not finite.
pub fn generate(
    decoder: &Decoder,
    prompt: &[u32],
    config: &GenerationConfig,
    mut on_token: impl FnMut(u32) -> ControlFlow<()>,
) -> Result<Generated, TransformerError> {
    config.validate(decoder.config().vocab_size)?;
    let prompt = Prompt::checked(0, prompt, decoder.config())?;
    let mut generated = generate_group(decoder, &[prompt], config, |_, token| on_token(token))?;
    Ok(generated.remove(0))
}
