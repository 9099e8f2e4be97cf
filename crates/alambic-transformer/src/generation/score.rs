//! How probable given texts are.

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::batch::{MAX_GROUP_ELEMENTS, Prompt, row_elements};
use super::sampler::{log_prob, most_probable};
use crate::config::DecoderConfig;
use crate::context::AttentionContext;
use crate::decoder::Decoder;
use crate::error::TransformerError;

/// Fills rows up on the right; nothing that counts sees it.
const FILLER: i32 = 0;

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
    let mut all = continuation_log_probs_batch(decoder, &[(prompt, continuation)])?;
    Ok(all.remove(0))
}

/// [`continuation_log_probs`] of many continuations, in their order.
///
/// Texts of similar length share a pass, filled up on the right; passes are as large as 64 MiB per intermediate tensor
/// allow. (Sums in another order may differ in the last bits.)
///
/// # Errors
/// As [`continuation_log_probs`]; the error names the pair.
///
/// ```
/// use alambic_transformer::{Architecture, DecoderConfig, DeviceChoice, continuation_log_probs_batch};
///
/// # let config = DecoderConfig {
/// #     vocab_size: 32, hidden_size: 16, intermediate_size: 40, num_hidden_layers: 2,
/// #     num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, max_position_embeddings: 64,
/// #     rms_norm_eps: 1e-5, rope_theta: 10_000.0, tie_word_embeddings: true,
/// #     initializer_range: 0.02,
/// #     architecture: Architecture::default(),
/// # };
/// let decoder = config.init(&DeviceChoice::Cpu.open()?);
/// let pairs: [(&[u32], &[u32]); 2] = [(&[1, 7], &[4, 9, 2]), (&[1, 7, 3], &[5])];
/// let log_probs = continuation_log_probs_batch(&decoder, &pairs)?;
/// assert_eq!((log_probs[0].len(), log_probs[1].len()), (3, 1));
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
pub fn continuation_log_probs_batch(
    decoder: &Decoder,
    pairs: &[(&[u32], &[u32])],
) -> Result<Vec<Vec<f32>>, TransformerError> {
    let scored = continuation_scores_batch(decoder, pairs)?;
    let log_probs = |tokens: Vec<GivenToken>| tokens.iter().map(|it| it.log_prob).collect();
    Ok(scored.into_iter().map(log_probs).collect())
}

/// What a decoder says about a token that is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GivenToken {
    /// `ln p` of it.
    pub log_prob: f32,
    /// Whether it is what greedy generation would choose: the most probable token; of equals, the lowest id.
    pub is_most_probable: bool,
}

/// [`continuation_log_probs_batch`], with whether each token is the most probable one.
///
/// # Errors
/// As [`continuation_log_probs_batch`].
///
/// ```
/// use alambic_transformer::{
///     Architecture, DecoderConfig, DeviceChoice, GenerationConfig, continuation_scores_batch, generate_batch,
/// };
///
/// # let config = DecoderConfig {
/// #     vocab_size: 32, hidden_size: 16, intermediate_size: 40, num_hidden_layers: 2,
/// #     num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, max_position_embeddings: 64,
/// #     rms_norm_eps: 1e-5, rope_theta: 10_000.0, tie_word_embeddings: true,
/// #     initializer_range: 0.02,
/// #     architecture: Architecture::default(),
/// # };
/// let decoder = config.init(&DeviceChoice::Cpu.open()?);
/// let greedy = generate_batch(&decoder, &[vec![1, 7]], &GenerationConfig::greedy(3))?;
/// let scored = continuation_scores_batch(&decoder, &[(&[1, 7], &greedy[0].token_ids)])?;
/// assert!(scored[0].iter().all(|token| token.is_most_probable));
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
pub fn continuation_scores_batch(
    decoder: &Decoder,
    pairs: &[(&[u32], &[u32])],
) -> Result<Vec<Vec<GivenToken>>, TransformerError> {
    let config = decoder.config();
    let mut texts = Vec::with_capacity(pairs.len());
    for (index, (prompt, continuation)) in pairs.iter().enumerate() {
        Prompt::checked(index, prompt, config)?;
        let whole = [*prompt, *continuation].concat();
        Prompt::checked(index, &whole, config)?;
        texts.push(Text {
            index,
            prompt_tokens: prompt.len(),
            whole,
        });
    }
    texts.sort_by_key(|text| text.whole.len());
    let decoder = decoder.valid();
    let mut results = vec![Vec::new(); pairs.len()];
    let mut rest = texts.as_slice();
    while !rest.is_empty() {
        let (group, others) = rest.split_at(group_size(rest, config));
        for (text, tokens) in group.iter().zip(score(&decoder, group)?) {
            results[text.index] = tokens;
        }
        rest = others;
    }
    Ok(results)
}

/// A prompt with its continuation.
struct Text {
    index: usize,
    prompt_tokens: usize,
    whole: Vec<u32>,
}

impl Text {
    fn continuation(&self) -> &[u32] {
        &self.whole[self.prompt_tokens..]
    }
}

/// How many of the texts, sorted by length, share a pass: at least one.
fn group_size(texts: &[Text], config: &DecoderConfig) -> usize {
    let mut scored = 0;
    let fits = |(index, text): &(usize, &Text)| {
        let (rows, seq) = (index + 1, text.whole.len());
        scored += text.continuation().len();
        let largest = (rows * row_elements(config, seq)).max(scored * config.vocab_size);
        // Where wavelengths depend on the length, a longer text means the same only alone.
        largest <= MAX_GROUP_ELEMENTS && seq <= config.max_batched_tokens()
    };
    let fitting = texts.iter().enumerate().take_while(fits).count();
    fitting.max(1)
}

/// One pass over all rows; what is said of the tokens of each row's continuation.
fn score(decoder: &Decoder, texts: &[Text]) -> Result<Vec<Vec<GivenToken>>, TransformerError> {
    let longest = texts.iter().map(|text| text.whole.len()).max().unwrap_or(0);
    let filled = texts.iter().flat_map(|text| {
        let ids = text.whole.iter().map(|&id| id as i32);
        let filler = std::iter::repeat_n(FILLER, longest - text.whole.len());
        ids.chain(filler)
    });
    let ids: Vec<i32> = filled.collect();
    // Each token is predicted from the one before.
    let predicting = texts.iter().enumerate().flat_map(|(row, text)| {
        let places = text.prompt_tokens - 1..text.whole.len() - 1;
        places.map(move |place| (row * longest + place) as i32)
    });
    let predicting: Vec<i32> = predicting.collect();
    let scored = predicting.len();
    if scored == 0 {
        return Ok(vec![Vec::new(); texts.len()]);
    }
    let (device, rows) = (decoder.device(), texts.len());
    let vocab = decoder.config().vocab_size;
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, longest]), &device);
    let predicting = Tensor::<1, Int>::from_data(TensorData::new(predicting, [scored]), &device);
    let hidden = decoder.hidden(ids, &AttentionContext::causal(rows, longest, &device));
    let [_, _, width] = hidden.dims();
    let states = hidden
        .reshape([rows * longest, width])
        .select(0, predicting);
    let logits: Vec<f32> = decoder
        .lm_head(states.reshape([1, scored, width]))
        .try_into_vec_as()
        .map_err(|source| TransformerError::ReadTensor {
            what: "the logits".to_string(),
            source,
        })?;
    let mut logits = logits.chunks_exact(vocab);
    let of_text = |text: &Text| {
        let tokens = text.continuation().iter().enumerate();
        let of_token = tokens.zip(&mut logits).map(|((place, &token), logits)| {
            match logits.iter().position(|logit| !logit.is_finite()) {
                Some(token) => Err(TransformerError::LogitNotFinite {
                    token,
                    position: text.prompt_tokens + place,
                    found: logits[token],
                }),
                None => Ok(GivenToken {
                    log_prob: log_prob(logits, token),
                    is_most_probable: most_probable(logits) == token,
                }),
            }
        });
        of_token.collect()
    };
    texts.iter().map(of_text).collect()
}
