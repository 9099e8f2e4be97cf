//! How probable a given text is.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::batch::Prompt;
use super::sampler::log_prob;
use crate::context::AttentionContext;
use crate::decoder::Decoder;
use crate::error::TransformerError;

/// `ln p` of each token of a continuation, given the prompt and what stands before it in the continuation.
///
/// Their sum is the log-likelihood by which answers to a question are compared; divided by their number, or by the bytes
/// that they spell, where the answers are of unequal length. One pass over prompt and continuation, without a cache.
///
/// # Errors
/// As [`generate`](super::generate) for a prompt, which together with the continuation fills at most the decoder's
/// positions. [`TransformerError::LogitNotFinite`] where the decoder gives no distribution.
///
/// ```
/// use alambic_transformer::{Architecture, DecoderConfig, DeviceChoice, continuation_log_probs};
///
/// # let config = DecoderConfig {
/// #     vocab_size: 32, hidden_size: 16, intermediate_size: 40, num_hidden_layers: 2,
/// #     num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, max_position_embeddings: 64,
/// #     rms_norm_eps: 1e-5, rope_theta: 10_000.0, tie_word_embeddings: true,
/// #     initializer_range: 0.02,
/// #     architecture: Architecture::default(),
/// # };
/// let decoder = config.init(&DeviceChoice::Cpu.open()?);
/// let log_probs = continuation_log_probs(&decoder, &[1, 7], &[4, 9, 2])?;
/// assert_eq!(log_probs.len(), 3);
/// assert!(log_probs.iter().all(|&log_prob| log_prob < 0.0));
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
pub fn continuation_log_probs(
    decoder: &Decoder,
    prompt: &[u32],
    continuation: &[u32],
) -> Result<Vec<f32>, TransformerError> {
    Prompt::checked(0, prompt, decoder.config())?;
    if continuation.is_empty() {
        return Ok(Vec::new());
    }
    let whole = [prompt, continuation].concat();
    Prompt::checked(0, &whole, decoder.config())?;
    let decoder = decoder.valid();
    let (device, seq, vocab) = (decoder.device(), whole.len(), decoder.config().vocab_size);
    let ids: Vec<i32> = whole.iter().map(|&id| id as i32).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, seq]), &device);
    let hidden = decoder.hidden(ids, &AttentionContext::causal(1, seq, &device));
    // Each token is predicted from the one before.
    let predicting = hidden.narrow(1, prompt.len() - 1, continuation.len());
    let logits: Vec<f32> = decoder
        .lm_head(predicting)
        .try_into_vec_as()
        .map_err(|source| TransformerError::ReadTensor {
            what: "the logits".to_string(),
            source,
        })?;
    let rows = logits.chunks_exact(vocab).zip(continuation).enumerate();
    rows.map(
        |(place, (logits, &token))| match logits.iter().position(|logit| !logit.is_finite()) {
            Some(token) => Err(TransformerError::LogitNotFinite {
                token,
                position: prompt.len() + place,
                found: logits[token],
            }),
            None => Ok(log_prob(logits, token)),
        },
    )
    .collect()
}
