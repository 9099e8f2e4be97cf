//! What a teacher says about one segment, twice.

use burn::tensor::{Int, Tensor, TensorData};

use crate::head_plus_sampled_tail::{remove, softened};
use crate::token_batch::label_rows;

/// The distributions, or hidden states, at the labels of one segment from two live runs, on the host.
#[derive(Debug)]
pub(super) struct LiveRows {
    width: usize,
    /// `[labels, width]`
    alone: Vec<f32>,
    /// `[labels, width]`
    together: Vec<f32>,
}

impl LiveRows {
    /// Takes the labels of `mask` from a run of the segment alone and from row `index` of a batch.
    pub(super) fn new(
        alone: &Tensor<3>,
        together: &Tensor<3>,
        index: usize,
        loss_mask: &[bool],
    ) -> Self {
        let [_, _, width] = alone.dims();
        Self {
            width,
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
            let rows = rows.chunks_exact(self.width).zip(hidden.clone());
            rows.flat_map(|(row, hidden)| {
                let mut row = softened(row, temperature);
                remove(&mut row, hidden);
                row
            })
            .collect()
        };
        Self {
            width: self.width,
            alone: soften(&self.alone),
            together: soften(&self.together),
        }
    }

    /// Numbers per label: tokens of the vocabulary, or those of a state.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Numbers of the run without other segments, label by label.
    pub(super) fn alone(&self) -> impl Iterator<Item = &[f32]> {
        self.alone.chunks_exact(self.width)
    }

    /// Numbers of the run among others.
    pub(super) fn together(&self) -> impl Iterator<Item = &[f32]> {
        self.together.chunks_exact(self.width)
    }
}

/// Row `index` of a batch at its labels, `[labels, width]`.
fn at_labels(answers: &Tensor<3>, index: usize, loss_mask: &[bool]) -> Vec<f32> {
    let [_, longest, width] = answers.dims();
    let rows = label_rows(&[loss_mask], longest);
    let count = rows.len();
    let device = answers.device();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
    let of_segment = answers.clone().narrow(0, index, 1);
    of_segment
        .reshape([longest, width])
        .select(0, rows)
        .into_data()
        .convert::<f32>()
        .try_to_vec()
        .expect("just converted")
}
