//! Head and objective over a list of labels: with whole logits, or a chunk of them at a time.

use std::ops::Range;

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::chunked::{check_labels, labels_per_chunk};
use super::{Chunked, DEFAULT_CHUNK_BYTES, Head, LabelTargets, LossError, Objective};

/// How many logits exist at one time.
///
/// Costs or saves memory and time; the losses and gradients are the same up to the order of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HeadPass {
    /// Those of all labels: several tables of `labels · vocab` numbers until the backward pass.
    Whole,
    /// Those of a chunk of labels; see [`Chunked`]. Labels whose logits fit into one chunk go the
    /// plain way, which is a little faster and needs no more than that chunk.
    Chunked {
        /// Largest size of a chunk's logits, or of one label's if that is more.
        chunk_bytes: usize,
    },
}

/// The losses of a list of labels.
#[derive(Clone, Debug)]
pub struct LabelLosses {
    /// The weighted total, `[1]`, differentiable.
    pub total: Tensor<1>,
    /// Every term's sum over the labels, before any weight, `[terms]`; not differentiable.
    pub term_sums: Tensor<1>,
}

impl Default for HeadPass {
    /// In chunks of [`DEFAULT_CHUNK_BYTES`].
    fn default() -> Self {
        Self::Chunked {
            chunk_bytes: DEFAULT_CHUNK_BYTES,
        }
    }
}

impl HeadPass {
    /// The losses of a list of labels.
    ///
    /// # Shapes
    /// - `hidden`: `[labels, hidden]`, the states that predict the labels
    /// - `labels`: `[labels]`
    /// - `targets`: for as many labels, on the same device
    /// - `weights`: `[terms, labels]`, what each term's loss at each label is multiplied with, such
    ///   as the term's [factor](Objective::factors) divided by the labels of the whole window
    ///
    /// # Errors
    /// [`LossError::Shape`] where the numbers of labels or terms differ, [`LossError::NoLabels`]
    /// where there is none, and the errors of [`Objective::per_token`].
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::{Head, HeadPass, Objective};
    /// use burn::tensor::{Device, Int, Tensor};
    ///
    /// let device = Device::flex();
    /// let hidden = Tensor::<2>::zeros([3, 2], &device).autodiff().require_grad();
    /// let head = Head::new(Tensor::<2>::zeros([2, 5], &device));
    /// let labels = Tensor::<1, Int>::from_ints([4, 0, 2], &device);
    /// let weights = Tensor::<2>::full([1, 3], 1.0 / 3.0, &device);
    /// for pass in [HeadPass::Whole, HeadPass::Chunked { chunk_bytes: 40 }] {
    ///     let losses = pass
    ///         .losses(&Objective::hard_labels(), &hidden, &head, &labels, None, &weights)
    ///         .unwrap();
    ///     // All logits are 0, so every label has a probability of one fifth.
    ///     assert!((losses.total.into_scalar::<f32>() - 5f32.ln()).abs() < 1e-6);
    /// }
    /// ```
    pub fn losses(
        self,
        objective: &Objective,
        hidden: &Tensor<2>,
        head: &Head,
        labels: &Tensor<1, Int>,
        targets: Option<&LabelTargets>,
        weights: &Tensor<2>,
    ) -> Result<LabelLosses, LossError> {
        let [_, vocab] = head.weight().dims();
        if let Self::Chunked { chunk_bytes } = self
            && labels.dims()[0] > labels_per_chunk(chunk_bytes, vocab)
        {
            let chunked = Chunked::new(objective.clone(), chunk_bytes);
            return chunked.losses(hidden, head, labels, targets, weights);
        }
        let count = check_labels(objective, hidden, labels, targets, weights)?;
        let targets = targets.map(|targets| targets.range(0..count));
        let labels = labels.clone().unsqueeze::<2>();
        let student = head.logits(hidden.clone());
        let per_token = objective.per_token(student, &labels, targets.as_ref())?;
        let terms = Tensor::cat(per_token, 0);
        let weights = weights.clone().cast(terms.dtype());
        let term_sums = terms.clone().without_autodiff().sum_dim(1);
        Ok(LabelLosses {
            total: (terms * weights).sum(),
            term_sums: term_sums.squeeze_dim::<1>(1),
        })
    }

    /// The ranges of `labels` labels whose logits over `vocab` tokens exist at one time, in order.
    pub fn ranges(self, labels: usize, vocab: usize) -> impl Iterator<Item = Range<usize>> {
        let at_a_time = match self {
            Self::Whole => labels.max(1),
            Self::Chunked { chunk_bytes } => labels_per_chunk(chunk_bytes, vocab),
        };
        (0..labels)
            .step_by(at_a_time)
            .map(move |from| from..(from + at_a_time).min(labels))
    }
}
