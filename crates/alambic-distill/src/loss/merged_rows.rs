//! Distributions of groups of tokens, from the distributions of their tokens.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::LogProbs;

/// For one model and a list of groups of tokens: which positions of a batch predict them.
#[derive(Clone, Debug)]
pub(super) struct MergedRows {
    /// `[batch, seq, vocab]` of the model's distributions.
    dims: [usize; 3],
    /// The position of `batch · seq` that predicts each group's first token, `[groups]`.
    first: Tensor<1, Int>,
    later: Option<LaterTokens>,
}

/// The tokens of the groups behind their first.
#[derive(Clone, Debug)]
struct LaterTokens {
    /// The token that a position predicts, `[batch, seq]`; 0 where it is not read.
    next_ids: Tensor<2, Int>,
    /// The positions that predict them, `[groups · most]`.
    rows: Tensor<1, Int>,
    /// True where a group has fewer tokens than the longest, `[groups, most]`.
    absent: Tensor<2, Bool>,
}

impl MergedRows {
    /// Groups as positions of `batch · seq` with the token that each predicts.
    pub(super) fn new(groups: &[Vec<(usize, u32)>], dims: [usize; 3], device: &Device) -> Self {
        let first = groups.iter().map(|group| group[0].0 as i32).collect();
        Self {
            dims,
            first: ints(first, [groups.len()], device),
            later: LaterTokens::new(groups, dims, device),
        }
    }

    /// `[batch, seq, vocab]` of the distributions that [`merge`](Self::merge) takes.
    pub(super) fn dims(&self) -> [usize; 3] {
        self.dims
    }

    /// `ln p` of each group's first token plus `ln p` of the later tokens that the text has,
    /// `[1, groups, vocab]`.
    pub(super) fn merge(&self, log_probs: &LogProbs) -> Tensor<3> {
        let [batch, seq, vocab] = self.dims;
        let log_probs = log_probs.tensor().clone();
        let rows = log_probs.clone().reshape([batch * seq, vocab]);
        let first = rows.select(0, self.first.clone());
        let merged = match &self.later {
            None => first,
            Some(later) => first + later.log_probability(log_probs),
        };
        merged.unsqueeze::<3>()
    }
}

impl LaterTokens {
    fn new(
        groups: &[Vec<(usize, u32)>],
        [batch, seq, _]: [usize; 3],
        device: &Device,
    ) -> Option<Self> {
        let most = groups.iter().map(|group| group.len() - 1).max()?;
        if most == 0 {
            return None;
        }
        let mut next_ids = vec![0; batch * seq];
        let (mut rows, mut absent) = (Vec::new(), Vec::new());
        for group in groups {
            let later = &group[1..];
            for &(row, id) in later {
                next_ids[row] = id as i32;
                rows.push(row as i32);
            }
            rows.resize(rows.len() + most - later.len(), 0);
            absent.extend((0..most).map(|index| index >= later.len()));
        }
        let shape = [groups.len(), most];
        Some(Self {
            next_ids: ints(next_ids, [batch, seq], device),
            rows: ints(rows, [groups.len() * most], device),
            absent: Tensor::from_data(TensorData::new(absent, shape), device),
        })
    }

    /// `Σ ln p` of the later tokens of each group, `[groups, 1]`.
    fn log_probability(&self, log_probs: Tensor<3>) -> Tensor<2> {
        let [batch, seq, _] = log_probs.dims();
        let next_ids = self.next_ids.clone().unsqueeze_dim::<3>(2);
        let of_next = log_probs.gather(2, next_ids).reshape([batch * seq]);
        let of_later = of_next.select(0, self.rows.clone());
        let of_later = of_later.reshape(self.absent.dims());
        of_later.mask_fill(self.absent.clone(), 0.0).sum_dim(1)
    }
}

fn ints<const D: usize>(values: Vec<i32>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
