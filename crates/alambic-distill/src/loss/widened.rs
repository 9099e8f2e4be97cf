//! The float type that losses are computed in.

use burn::tensor::{DType, Tensor};

/// Half precision as `f32`, since loss arithmetic is that whatever the weights are; `f64` stays.
pub(super) fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F64 => tensor,
        _ => tensor.cast(DType::F32),
    }
}
