//! Log-probabilities, and the mass outside of some entries.

use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor};

use crate::Computation;

/// Stands in for the logarithm of zero where an entry is left out of a sum.
///
/// Finite, so that `0 · ln 0` is 0 rather than NaN in the gradient.
const LOG_OF_NOTHING: f32 = -1.0e30;

/// `x - ln Σ eˣ` over the last dimension.
pub fn log_softmax<const D: usize>(logits: Tensor<D>, computation: Computation) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if computation.is_fused(&logits) {
        return crate::flex::log_softmax(logits);
    }
    let _ = computation;
    burn::tensor::activation::log_softmax(logits, D - 1)
}

/// `ln Σ p` over the entries of each row that are not listed, in nats.
///
/// The sum runs over those entries themselves: `ln(1 − Σ p)` of the listed ones would cancel
/// catastrophically once they hold nearly all mass.
///
/// # Shapes
/// Log-probabilities `[batch, seq, vocab]`, ids `[batch, seq, k]` with `k < vocab`, all below
/// `vocab`; the result is `[batch, seq, 1]`.
///
/// # Panics
/// If the shapes do not fit each other.
pub fn log_mass_outside(
    log_probs: Tensor<3>,
    token_ids: Tensor<3, Int>,
    computation: Computation,
) -> Tensor<3> {
    let [batch, seq, vocab] = log_probs.dims();
    let [_, _, k] = token_ids.dims();
    assert_eq!(token_ids.dims(), [batch, seq, k], "the listed ids");
    assert!(
        k < vocab,
        "{k} listed entries of {vocab} leave none outside"
    );
    #[cfg(feature = "flex")]
    if computation.is_fused(&log_probs) {
        return crate::flex::log_mass_outside(log_probs, token_ids);
    }
    let _ = computation;
    let masked = log_probs
        .clone()
        .mask_fill(is_listed(&log_probs, token_ids), LOG_OF_NOTHING);
    let largest = masked.clone().detach().max_dim(2);
    let sum = (masked - largest.clone()).exp().sum_dim(2);
    sum.log() + largest
}

/// True where the vocabulary entry is listed, `[batch, seq, vocab]`.
fn is_listed(log_probs: &Tensor<3>, token_ids: Tensor<3, Int>) -> Tensor<3, Bool> {
    let device = log_probs.device().without_autodiff();
    let ones = Tensor::<3>::ones(token_ids.dims(), &device);
    Tensor::<3>::zeros(log_probs.dims(), &device)
        .scatter(2, token_ids, ones, IndexingUpdateOp::Add)
        .greater_elem(0.0)
}
