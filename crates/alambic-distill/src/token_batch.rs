//! Segments of unequal length as one right-padded batch of token ids.

use alambic_text::Segment;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::DistillError;

/// Fills rows behind their end; a causal model's earlier positions never see it.
const RIGHT_PADDING_ID: i32 = 0;

/// Pads rows of token ids on the right to the longest one: `[batch, longest]`.
pub(crate) fn right_padded(rows: &[&[u32]], device: &Device) -> Tensor<2, Int> {
    let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut ids = vec![RIGHT_PADDING_ID; rows.len() * longest];
    for (index, row) in rows.iter().enumerate() {
        for (at, &id) in row.iter().enumerate() {
            ids[index * longest + at] = id as i32;
        }
    }
    Tensor::from_data(TensorData::new(ids, [rows.len(), longest]), device)
}

/// Flat indices into `[batch * longest]` of the positions that predict the counted labels.
pub(crate) fn label_rows(masks: &[&[bool]], longest: usize) -> Vec<i32> {
    let mut rows = Vec::new();
    for (index, mask) in masks.iter().enumerate() {
        let labels = mask.iter().enumerate().filter(|&(_, &counted)| counted);
        rows.extend(labels.map(|(token, _)| (index * longest + token - 1) as i32));
    }
    rows
}

/// Refuses a segment that a model cannot read.
pub(crate) fn check_fits(
    segment: &Segment,
    token_ids: &[u32],
    model: &'static str,
    max_tokens: usize,
    vocab_size: usize,
) -> Result<(), DistillError> {
    let source_name = || segment.source().to_string();
    if token_ids.len() > max_tokens {
        return Err(DistillError::SegmentTooLong {
            source_name: source_name(),
            model,
            expected: max_tokens,
            found: token_ids.len(),
        });
    }
    match token_ids.iter().find(|&&id| id as usize >= vocab_size) {
        Some(&found) => Err(DistillError::TokenOutOfVocabulary {
            source_name: source_name(),
            model,
            expected: vocab_size,
            found,
        }),
        None => Ok(()),
    }
}
