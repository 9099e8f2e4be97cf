//! Generating from many prompts at once.

use std::ops::ControlFlow;

use super::session::DecodeSession;
use super::{Generated, GenerationConfig};
use crate::config::DecoderConfig;
use crate::decoder::Decoder;
use crate::error::TransformerError;

/// Largest intermediate tensor of a group, in elements; 64 MiB of f32.
pub(super) const MAX_GROUP_ELEMENTS: usize = 1 << 24;

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
    pub(super) token_ids: &'a [u32],
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
        let elements = row_elements(config, seq).max(config.vocab_size);
        rows * elements <= MAX_GROUP_ELEMENTS
    };
    (2..=prompts.len())
        .take_while(|&rows| fits(rows))
        .last()
        .unwrap_or(1)
}

/// Elements of the largest tensor inside of a layer that a row of `seq` tokens has.
pub(super) fn row_elements(config: &DecoderConfig, seq: usize) -> usize {
    let of_token = config.all_layer_sizes().map(|sizes| {
        let heads = sizes.num_attention_heads;
        (heads * seq)
            .max(sizes.intermediate_size)
            .max(heads * config.head_dim)
    });
    seq * of_token.max().unwrap_or(1)
}

/// Generates from prompts that fit into one batch; `on_token` gets the row and its new token.
pub(super) fn generate_group(
    decoder: &Decoder,
    prompts: &[Prompt],
    config: &GenerationConfig,
    mut on_token: impl FnMut(usize, u32) -> ControlFlow<()>,
) -> Result<Vec<Generated>, TransformerError> {
    let mut session = DecodeSession::new(decoder);
    let slots = prompts
        .iter()
        .map(|prompt| session.start(prompt.token_ids, config));
    let slots = slots.collect::<Result<Vec<_>, _>>()?;
    while session.num_running() > 0 {
        session.step(|slot, token| {
            let row = slots.iter().position(|&own| own == slot);
            on_token(row.expect("every slot is one of these"), token)
        })?;
    }
    let mut results = session.take_finished();
    results.sort_by_key(|(slot, _)| *slot);
    Ok(results
        .into_iter()
        .map(|(_, generated)| generated)
        .collect())
}
