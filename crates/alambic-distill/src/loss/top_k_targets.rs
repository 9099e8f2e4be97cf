//! Truncated teacher distributions on the device.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The teacher's `k` most likely tokens at every position, with the mass of the rest.
///
/// The stored probabilities are those of the full softmax at temperature 1, over the tokenizer's
/// tokens where the teacher has more columns: they are not renormalised, and
/// `Σ exp(log_probs) + tail_mass = 1` up to the rounding of the stored values.
/// Rows of positions that are not labels hold zeros and must be masked.
#[derive(Clone, Debug)]
pub struct TopKTargetBatch {
    /// Token ids, `[batch, seq, k]`, most likely first; distinct within a counted row.
    pub token_ids: Tensor<3, Int>,
    /// The largest of the token ids, known to the host: a vocabulary is checked against it without
    /// reading the ids back from the device.
    pub largest_token_id: u32,
    /// Log-probabilities in nats, `[batch, seq, k]`.
    pub log_probs: Tensor<3>,
    /// Probability outside of the stored entries, `[batch, seq]`.
    pub tail_mass: Tensor<2>,
    /// Entropy of the full teacher distribution in nats, `[batch, seq]`.
    pub entropy: Tensor<2>,
}

impl TopKTargetBatch {
    /// Builds the batch from row-major host values.
    ///
    /// # Panics
    /// If a vector's length does not match `[batch, seq, k]` or `[batch, seq]`.
    pub fn from_host(
        token_ids: Vec<i32>,
        log_probs: Vec<f32>,
        tail_mass: Vec<f32>,
        entropy: Vec<f32>,
        [batch, seq, k]: [usize; 3],
        device: &Device,
    ) -> Self {
        let rows =
            |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [batch, seq]), device);
        // A negative id becomes one that is beyond every vocabulary.
        let unsigned = token_ids.iter().map(|id| id.cast_unsigned());
        Self {
            largest_token_id: unsigned.max().unwrap_or(0),
            token_ids: Tensor::from_data(TensorData::new(token_ids, [batch, seq, k]), device),
            log_probs: Tensor::from_data(TensorData::new(log_probs, [batch, seq, k]), device),
            tail_mass: rows(tail_mass),
            entropy: rows(entropy),
        }
    }

    /// Some of the positions of every row.
    pub fn positions(&self, range: Range<usize>) -> Self {
        let [batch, _, k] = self.dims();
        let entries = [0..batch, range.clone(), 0..k];
        let rows = [0..batch, range];
        Self {
            largest_token_id: self.largest_token_id,
            token_ids: self.token_ids.clone().slice(entries.clone()),
            log_probs: self.log_probs.clone().slice(entries),
            tail_mass: self.tail_mass.clone().slice(rows.clone()),
            entropy: self.entropy.clone().slice(rows),
        }
    }

    /// The targets at some positions, as a list: `[1, rows, k]`.
    ///
    /// # Shapes
    /// `rows`: `[rows]`, positions in the flattened `[batch * seq]`.
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let [_, _, k] = self.dims();
        let of_rows = |values: &Tensor<2>| {
            let list = values.clone().reshape([-1]).select(0, rows.clone());
            list.unsqueeze::<2>()
        };
        let ids = self.token_ids.clone().reshape([-1, k as i32]);
        let log_probs = self.log_probs.clone().reshape([-1, k as i32]);
        Self {
            token_ids: ids.select(0, rows.clone()).unsqueeze::<3>(),
            log_probs: log_probs.select(0, rows.clone()).unsqueeze::<3>(),
            tail_mass: of_rows(&self.tail_mass),
            entropy: of_rows(&self.entropy),
            largest_token_id: self.largest_token_id,
        }
    }

    /// `[batch, seq, k]`.
    pub fn dims(&self) -> [usize; 3] {
        self.log_probs.dims()
    }
}
