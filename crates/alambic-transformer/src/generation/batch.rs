//! Generating from many prompts at once.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::sampler::{Sampler, log_prob};
use super::{FinishReason, Generated, GenerationConfig};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::error::TransformerError;
use crate::kv_cache::KvCache;

/// Largest intermediate tensor of a group, in elements; 64 MiB of f32.
const MAX_GROUP_ELEMENTS: usize = 1 << 24;
/// Fills rows up on the left; nothing sees it.
const FILLER: u32 = 0;

/// Generates from prompts of any lengths; the results equal those of
/// [`generate`](super::generate) one by one.
///
/// Prompts of similar length share a batch, filled up on the left; a row that ends leaves its batch.
/// The results are in the order of the prompts. Batches are as large as 64 MiB per intermediate
/// tensor allows. (Sums in another order may differ in the last bit of a logit, so a choice between
/// two all but equally probable tokens can fall otherwise.)
///
/// # Errors
/// As [`generate`](super::generate); the error names the prompt.
pub fn generate_batch(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    config: &GenerationConfig,
) -> Result<Vec<Generated>, TransformerError> {
    config.validate(decoder.config().vocab_size)?;
    let decoder = &decoder.valid();
    let mut queue = prompts
        .iter()
        .enumerate()
        .map(|(index, prompt)| Prompt::checked(index, prompt, decoder.config()))
        .collect::<Result<Vec<_>, _>>()?;
    queue.sort_by_key(|prompt| prompt.token_ids.len());
    let mut results: Vec<Option<Generated>> = vec![None; prompts.len()];
    let mut rest = queue.as_slice();
    while !rest.is_empty() {
        let (group, others) = rest.split_at(group_size(rest, decoder.config()));
        let generated = generate_group(decoder, group, config, |_, _| ControlFlow::Continue(()))?;
        for (prompt, generated) in group.iter().zip(generated) {
            results[prompt.index] = Some(generated);
        }
        rest = others;
    }
    Ok(results.into_iter().flatten().collect())
}

/// A prompt that fits the decoder.
#[derive(Clone, Copy)]
pub(super) struct Prompt<'a> {
    index: usize,
    token_ids: &'a [u32],
}

impl<'a> Prompt<'a> {
    pub(super) fn checked(
        index: usize,
        token_ids: &'a [u32],
        config: &DecoderConfig,
    ) -> Result<Self, TransformerError> {
        if token_ids.is_empty() {
            return Err(TransformerError::EmptyPrompt { prompt: index });
        }
        if token_ids.len() > config.max_sequence_tokens() {
            return Err(TransformerError::PromptTooLong {
                prompt: index,
                found: token_ids.len(),
                limit: config.max_sequence_tokens(),
            });
        }
        let vocab_size = config.vocab_size;
        match token_ids.iter().position(|&id| id as usize >= vocab_size) {
            Some(position) => Err(TransformerError::TokenOutOfRange {
                prompt: index,
                position,
                token: token_ids[position],
                vocab_size,
            }),
            None => Ok(Self { index, token_ids }),
        }
    }
}

/// How many of the prompts, sorted by length, fit into one batch: at least one.
fn group_size(prompts: &[Prompt], config: &DecoderConfig) -> usize {
    let fits = |rows: usize| {
        let seq = prompts[rows - 1].token_ids.len();
        let widest = (config.num_attention_heads * seq)
            .max(config.intermediate_size)
            .max(config.num_attention_heads * config.head_dim);
        let elements = (seq * widest).max(config.vocab_size);
        rows * elements <= MAX_GROUP_ELEMENTS
    };
    (2..=prompts.len())
        .take_while(|&rows| fits(rows))
        .last()
        .unwrap_or(1)
}

/// One row of a group, while it is being generated and after.
struct Row {
    prompt_tokens: usize,
    /// Prompt and new tokens.
    token_ids: Vec<u32>,
    /// Of the new tokens.
    log_probs: Vec<f32>,
    sampler: Sampler,
    finish: Option<FinishReason>,
}

impl Row {
    fn new(prompt: &Prompt, config: &GenerationConfig, max_tokens: usize) -> Self {
        let mut row = Self {
            prompt_tokens: prompt.token_ids.len(),
            token_ids: prompt.token_ids.to_vec(),
            log_probs: Vec::new(),
            sampler: Sampler::new(config),
            finish: None,
        };
        row.end_if_full(config, max_tokens);
        row
    }

    fn end_if_full(&mut self, config: &GenerationConfig, max_tokens: usize) {
        if self.token_ids.len() - self.prompt_tokens == config.max_new_tokens {
            self.finish = Some(FinishReason::MaxNewTokens);
        } else if self.token_ids.len() == max_tokens {
            self.finish = Some(FinishReason::ContextFull);
        }
    }

    fn choose(
        &mut self,
        logits: &mut [f32],
        config: &GenerationConfig,
        max_tokens: usize,
        on_token: impl FnOnce(u32) -> ControlFlow<()>,
    ) -> Result<(), TransformerError> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(TransformerError::LogitNotFinite {
                token,
                position: self.token_ids.len(),
                found: logits[token],
            });
        }
        // A penalty changes them.
        let own = config.repetition_penalty.map(|_| logits.to_vec());
        let token = self.sampler.choose(logits, &self.token_ids);
        if config.stop_tokens.contains(&token) {
            self.finish = Some(FinishReason::Stop(token));
            return Ok(());
        }
        self.token_ids.push(token);
        let own = own.as_deref().unwrap_or(logits);
        self.log_probs.push(log_prob(own, token));
        match on_token(token) {
            ControlFlow::Continue(()) => self.end_if_full(config, max_tokens),
            ControlFlow::Break(()) => self.finish = Some(FinishReason::Interrupted),
        }
        Ok(())
    }

    fn into_generated(mut self) -> Generated {
        Generated {
            token_ids: self.token_ids.split_off(self.prompt_tokens),
            log_probs: self.log_probs,
            finish: self.finish.expect("the loop ends when every row has ended"),
        }
    }
}

/// Generates from prompts that fit into one batch; `on_token` gets the row and its new token.
pub(super) fn generate_group(
    decoder: &Decoder,
    prompts: &[Prompt],
    config: &GenerationConfig,
    mut on_token: impl FnMut(usize, u32) -> ControlFlow<()>,
) -> Result<Vec<Generated>, TransformerError> {
    let max_tokens = decoder.config().max_sequence_tokens();
    let vocab_size = decoder.config().vocab_size;
    let mut rows: Vec<Row> = prompts
        .iter()
        .map(|prompt| Row::new(prompt, config, max_tokens))
        .collect();
    let mut alive = unfinished(&rows, 0..rows.len());
    if !alive.is_empty() {
        let (mut cache, mut logits) = read_prompts(decoder, &rows, &alive)?;
        loop {
            for (logits, &row) in logits.chunks_exact_mut(vocab_size).zip(&alive) {
                rows[row].choose(logits, config, max_tokens, |token| on_token(row, token))?;
            }
            let still = unfinished(&rows, alive.iter().copied());
            if still.is_empty() {
                break;
            }
            if still.len() < alive.len() {
                let kept: Vec<usize> = (0..alive.len())
                    .filter(|&place| rows[alive[place]].finish.is_none())
                    .collect();
                cache.keep_rows(&kept, &decoder.device());
                alive = still;
            }
            let newest: Vec<u32> = alive
                .iter()
                .map(|&row| rows[row].token_ids[rows[row].token_ids.len() - 1])
                .collect();
            let outgrows = |&row: &usize| decoder.config().outgrows(rows[row].token_ids.len());
            if alive.iter().any(outgrows) {
                (cache, logits) = read_prompts(decoder, &rows, &alive)?;
                continue;
            }
            logits = next_logits(decoder, newest, alive.len(), &mut cache)?;
        }
    }
    Ok(rows.into_iter().map(Row::into_generated).collect())
}

fn unfinished(rows: &[Row], places: impl Iterator<Item = usize>) -> Vec<usize> {
    places.filter(|&row| rows[row].finish.is_none()).collect()
}

/// Reads the prompts of the given rows into a new cache; returns the logits after the last tokens.
fn read_prompts(
    decoder: &Decoder,
    rows: &[Row],
    places: &[usize],
) -> Result<(KvCache, Vec<f32>), TransformerError> {
    let prompts = || places.iter().map(|&row| rows[row].token_ids.as_slice());
    let longest = prompts().map(<[u32]>::len).max().unwrap_or(0);
    let padding: Vec<usize> = prompts().map(|prompt| longest - prompt.len()).collect();
    let token_ids: Vec<u32> = prompts()
        .zip(&padding)
        .flat_map(|(prompt, &padding)| {
            std::iter::repeat_n(FILLER, padding).chain(prompt.iter().copied())
        })
        .collect();
    let mut cache = KvCache::left_padded(decoder.config(), padding);
    let logits = next_logits(decoder, token_ids, places.len(), &mut cache)?;
    Ok((cache, logits))
}

/// Reads some tokens per row; returns the logits after the last of them, `[batch, vocab]`.
fn next_logits(
    decoder: &Decoder,
    token_ids: Vec<u32>,
    batch: usize,
    cache: &mut KvCache,
) -> Result<Vec<f32>, TransformerError> {
    let seq = token_ids.len() / batch;
    let token_ids: Vec<i32> = token_ids.into_iter().map(|id| id as i32).collect();
    let device = decoder.device();
    let token_ids = Tensor::<2, Int>::from_data(TensorData::new(token_ids, [batch, seq]), &device);
    let hidden = decoder.step_hidden(token_ids, cache);
    let logits = decoder.lm_head(hidden.narrow(1, seq - 1, 1));
    logits
        .try_into_vec_as()
        .map_err(|source| TransformerError::ReadTensor {
            what: "the logits".to_string(),
            source,
        })
}
