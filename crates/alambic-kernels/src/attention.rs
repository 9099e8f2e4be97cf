//! Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245).

use std::sync::{Arc, OnceLock};

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};

use crate::Computation;
use crate::precision::widened;

/// Score of a forbidden pair: its weight is exactly 0 after the softmax, and still finite.
///
/// Shading languages may assume that infinities do not occur.
pub const FORBIDDEN_SCORE: f32 = -1.0e30;

/// Which keys each query of a batch sees: a range that ends with the query itself.
///
/// Made once for a batch and shared by all layers and models.
#[derive(Clone, Debug)]
pub struct VisibleKeys {
    /// The first key that each query sees, `[batch or 1, seq]`.
    first: Tensor<2, Int>,
    /// Made when it is first asked for: `[batch or 1, 1, seq, seq]`.
    bias: Arc<OnceLock<Tensor<4>>>,
}

impl VisibleKeys {
    /// Every query sees itself and all keys before it.
    pub fn causal(seq: usize, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        Self::from_first(Tensor::zeros([1, seq], &device))
    }

    /// Every query sees itself and the keys before it, back to position 0 of its document.
    ///
    /// `positions` `[batch, seq]` count up within each document of a row.
    pub fn within_documents(positions: Tensor<2, Int>) -> Self {
        let positions = positions.without_autodiff();
        let [batch, seq] = positions.dims();
        let index = Tensor::<1, Int>::arange(0..seq as i64, &positions.device());
        let index = index.reshape([1, seq]).expand([batch, seq]);
        Self::from_first(index - positions)
    }

    /// Every query sees at most the `window` last keys of those that it sees, itself included.
    ///
    /// # Panics
    /// If `window` is 0.
    pub fn within_window(&self, window: usize) -> Self {
        assert!(window > 0, "a query sees itself");
        let [rows, seq] = self.first.dims();
        if window >= seq {
            return self.clone();
        }
        let index = Tensor::<1, Int>::arange(0..seq as i64, &self.first.device());
        let earliest = index.sub_scalar(window as i64 - 1);
        let earliest = earliest.reshape([1, seq]).expand([rows, seq]);
        Self::from_first(self.first.clone().max_pair(earliest))
    }

    fn from_first(first: Tensor<2, Int>) -> Self {
        Self {
            first,
            bias: Arc::default(),
        }
    }

    /// 0 where a query sees a key, [`FORBIDDEN_SCORE`] elsewhere, `[batch or 1, 1, seq, seq]`.
    ///
    /// Made once and kept.
    pub fn bias(&self) -> Tensor<4> {
        let make = || {
            let [rows, seq] = self.first.dims();
            let index = Tensor::<1, Int>::arange(0..seq as i64, &self.first.device());
            let shape = [rows, seq, seq];
            let keys = index.clone().reshape([1, 1, seq]).expand(shape);
            let queries = index.reshape([1, seq, 1]).expand(shape);
            let first = self.first.clone().reshape([rows, seq, 1]).expand(shape);
            let forbidden = keys
                .clone()
                .greater(queries)
                .bool_or(keys.lower(first))
                .float();
            forbidden
                .mul_scalar(FORBIDDEN_SCORE)
                .reshape([rows, 1, seq, seq])
        };
        self.bias.get_or_init(make).clone()
    }
}

/// Causal grouped-query attention with scores divided by `√head_dim`.
///
/// # Shapes
/// Queries `[batch, seq, heads, head_dim]`, keys and values `[batch, seq, groups, head_dim]`, where
/// `groups` divides `heads`; the result has the queries' shape. Query head `h` belongs to group
/// `h / (heads / groups)`.
///
/// # Cost
/// Fused, the weights of one block of queries exist at a time, and only for keys that the block
/// sees: documents in one row cost what they cost alone. Portable, `[batch, heads, seq, seq]`
/// weights exist, and are kept for the gradient.
///
/// # Precision
/// As of [`attention_with_bias`].
///
/// # Panics
/// If the shapes do not fit each other.
pub fn causal_attention(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    visible: &VisibleKeys,
    computation: Computation,
) -> Tensor<4> {
    let [batch, seq, heads, head_dim] = queries.dims();
    let [_, _, groups, _] = keys.dims();
    assert_eq!(keys.dims(), [batch, seq, groups, head_dim], "the keys");
    assert_eq!(values.dims(), keys.dims(), "values are shaped like keys");
    assert_eq!(heads % groups, 0, "the groups divide the heads");
    let [rows, columns] = visible.first.dims();
    assert!(
        (rows == 1 || rows == batch) && columns == seq,
        "visible keys are of [{rows}, {columns}], the batch is [{batch}, {seq}]"
    );
    let (dtype, wide) = (keys.dtype(), widened(keys.dtype()));
    let queries = queries.cast(wide);
    #[cfg(feature = "flex")]
    if computation.is_fused(&queries) {
        let (keys, values) = (keys.cast(wide), values.cast(wide));
        let first = visible.first.clone();
        return crate::flex::causal_attention(queries, keys, values, first).cast(dtype);
    }
    let _ = (computation, dtype);
    let keys = keys.permute([0, 2, 3, 1]);
    let values = values.swap_dims(1, 2);
    attention_with_bias(queries, keys, values, Some(visible.bias()), None)
}

/// Grouped-query attention of new queries over cached keys, with a bias on the scores.
///
/// The query heads of a group are stacked along the sequence, so keys and values are never copied
/// per query head. Scores are divided by `√head_dim`; with a soft-cap `c` a score `z` then becomes
/// `c · tanh(z / c)` (Gemma Team 2024, arXiv:2408.00118), before the bias.
///
/// # Shapes
/// Queries `[batch, seq, heads, head_dim]`, keys `[batch, groups, head_dim, keys]`, values
/// `[batch, groups, keys, head_dim]`, bias `[batch or 1, 1, seq, keys]`; the result has the queries'
/// shape.
///
/// # Precision
/// Products are made in the number type of keys and values, which the result has, and the softmax in f32; queries may
/// be of a wider type, and are rounded once they are scaled.
pub fn attention_with_bias(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    bias: Option<Tensor<4>>,
    softcap: Option<f64>,
) -> Tensor<4> {
    let [batch, seq, heads, head_dim] = queries.dims();
    let [_, groups, _, num_keys] = keys.dims();
    let stacked = heads / groups * seq;
    let dtype = keys.dtype();
    let wide = widened(dtype);
    let queries = queries
        .swap_dims(1, 2)
        .cast(wide)
        .mul_scalar((head_dim as f64).powf(-0.5))
        .reshape([batch, groups, stacked, head_dim])
        .cast(dtype);
    let scores = queries.matmul(keys).reshape([batch, heads, seq, num_keys]);
    let scores = scores.cast(wide);
    let scores = match softcap {
        Some(cap) => scores.div_scalar(cap).tanh().mul_scalar(cap),
        None => scores,
    };
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    softmax(scores, 3)
        .cast(dtype)
        .reshape([batch, groups, stacked, num_keys])
        .matmul(values)
        .reshape([batch, heads, seq, head_dim])
        .swap_dims(1, 2)
}
