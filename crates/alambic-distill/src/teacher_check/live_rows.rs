//! What a teacher says about one segment, twice.

use burn::tensor::{Int, Tensor, TensorData};

use crate::head_plus_sampled_tail::{remove, softened};
use crate::loss::LogProbs;
use crate::token_batch::label_rows;

/// The distributions at the labels of one segment from two live runs, on the host.
#[derive(Debug)]
pub(super) struct LiveRows {
    vocab: usize,
    /// `[labels, vocab]`
    alone: Vec<f32>,
    /// `[labels, vocab]`
    together: Vec<f32>,
}

impl LiveRows {
    /// Takes the labels of `mask` from a run of the segment alone and from row `index` of a batch.
    pub(super) fn new(
        alone: &LogProbs,
        together: &LogProbs,
        index: usize,
        loss_mask: &[bool],
    ) -> Self {
        let [_, _, vocab] = alone.dims();
        Self {
            vocab,
            alone: at_labels(alone, 0, loss_mask),
            together: at_labels(together, index, loss_mask),
        }
    }

    /// The same rows at another temperature, without what `hidden` names at each label.
    pub(super) fn softened<'a>(
        &self,
        temperature: f32,
        hidden: impl Iterator<Item = &'a [u32]> + Clone,
    ) -> Self {
        let soften = |rows: &[f32]| {
            let rows = rows.chunks_exact(self.vocab).zip(hidden.clone());
            rows.flat_map(|(row, hidden)| {
                let mut row = softened(row, temperature);
                remove(&mut row, hidden);
                row
            })
            .collect()
        };
        Self {
            vocab: self.vocab,
            alone: soften(&self.alone),
            together: soften(&self.together),
        }
    }

    /// Tokens of the vocabulary.
    pub(super) fn vocab(&self) -> usize {
        self.vocab
    }

    /// Log-probabilities of the run without other segments, label by label.
    pub(super) fn alone(&self) -> impl Iterator<Item = &[f32]> {
        self.alone.chunks_exact(self.vocab)
    }

    /// Log-probabilities of the run among others.
    pub(super) fn together(&self) -> impl Iterator<Item = &[f32]> {
        self.together.chunks_exact(self.vocab)
    }
}

/// Row `index` of a batch at its labels, `[labels, vocab]`.
fn at_labels(log_probs: &LogProbs, index: usize, loss_mask: &[bool]) -> Vec<f32> {
    let [_, longest, vocab] = log_probs.dims();
    let rows = label_rows(&[loss_mask], longest);
    let count = rows.len();
    let device = log_probs.tensor().device();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
    let of_segment = log_probs.tensor().clone().narrow(0, index, 1);
    of_segment
        .reshape([longest, vocab])
        .select(0, rows)
        .into_data()
        .convert::<f32>()
        .try_to_vec()
        .expect("just converted")
}
