//! The gated activation of the feed-forward layer.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use crate::Computation;
use crate::precision::widened;

/// `silu(gate) · up`, where `silu(x) = x / (1 + e⁻ˣ)` (Shazeer 2020, arXiv:2002.05202, eq. 6).
///
/// # Shapes
/// Both inputs and the result have the same shape.
///
/// # Precision
/// Computed in f32 where the inputs are narrower, and rounded once.
///
/// # Panics
/// If the shapes differ.
pub fn swiglu<const D: usize>(
    gate: Tensor<D>,
    up: Tensor<D>,
    computation: Computation,
) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "gate and up have one shape");
    let dtype = gate.dtype();
    let [gate, up] = [gate, up].map(|it| it.cast(widened(dtype)));
    #[cfg(feature = "flex")]
    if computation.is_fused(&gate) {
        return crate::flex::swiglu(gate, up).cast(dtype);
    }
    let _ = computation;
    (sigmoid(gate.clone()) * gate * up).cast(dtype)
}
