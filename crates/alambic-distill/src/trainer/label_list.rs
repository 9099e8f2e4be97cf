//! The counted labels of a batch, as a list: all that the head has to see.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::loss::{LabelTargets, TargetBatch};
use crate::{DistillationBatch, TargetSequence};

/// The counted labels of a batch, one after the other; at least one.
///
/// Prompts, padding and borders between segments are not among them, and nothing behind the hidden
/// states is computed there.
#[derive(Clone, Debug)]
pub(crate) struct LabelList {
    /// Which rows of the flattened `[batch * seq]` predict the labels, `[labels]`.
    rows: Tensor<1, Int>,
    /// `[labels]`
    token_ids: Tensor<1, Int>,
    targets: Option<LabelTargets>,
}

impl LabelList {
    /// The labels of the sequences that `batch` was made of; `None` if none counts.
    pub(crate) fn of(sequences: &[TargetSequence], batch: &DistillationBatch) -> Option<Self> {
        let packed = || sequences.iter().map(|sequence| &sequence.packed);
        let counted = packed().flat_map(|packed| &packed.label_mask);
        let labels = packed().flat_map(|packed| &packed.labels);
        let counted_labels = counted.zip(labels).enumerate();
        let (rows, token_ids): (Vec<i32>, Vec<i32>) = counted_labels
            .filter(|(_, (counted, _))| **counted)
            .map(|(row, (_, &label))| (row as i32, label as i32))
            .unzip();
        if rows.is_empty() {
            return None;
        }
        let device = batch.token_ids.device();
        let rows = list(rows, &device);
        let of_rows = |targets: &TargetBatch| match targets {
            TargetBatch::TopK(targets) => LabelTargets::TopK(targets.select(&rows)),
            TargetBatch::Sampled(targets) => LabelTargets::Sampled(targets.select(&rows)),
            TargetBatch::Hidden { states, head } => LabelTargets::Hidden {
                states: select(states.clone(), rows.clone().without_autodiff()),
                head: head.clone(),
            },
            TargetBatch::HeadOnly(targets) => LabelTargets::HeadOnly(targets.select(&rows)),
            TargetBatch::Dense(_) | TargetBatch::Logits(_) => {
                unreachable!("records hold no whole distributions")
            }
        };
        Some(Self {
            targets: batch.targets.as_ref().map(of_rows),
            token_ids: list(token_ids, &device),
            rows,
        })
    }

    /// How many labels there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.dims()[0]
    }

    /// The states that predict the labels: `[batch, seq, hidden]` → `[labels, hidden]`.
    pub(crate) fn states(&self, hidden: Tensor<3>) -> Tensor<2> {
        select(hidden, self.rows.clone())
    }

    /// `[labels]`
    pub(crate) fn token_ids(&self) -> &Tensor<1, Int> {
        &self.token_ids
    }

    /// What the teacher says at the labels, when the objective reads it.
    pub(crate) fn targets(&self) -> Option<&LabelTargets> {
        self.targets.as_ref()
    }
}

fn select(states: Tensor<3>, rows: Tensor<1, Int>) -> Tensor<2> {
    let [batch, seq, width] = states.dims();
    states.reshape([batch * seq, width]).select(0, rows)
}

fn list(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
