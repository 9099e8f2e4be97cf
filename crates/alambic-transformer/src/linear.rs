//! A projection.

use alambic_kernels::Precision;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::linear;

/// `x W + b`, in one type for all that a weight may be: burn's parameter holds it dense, rounded to blocks of whole
/// numbers, or composed with an adapter ([`Decoder::with_lora`](crate::Decoder::with_lora)).
///
/// # Shapes
/// `[.., inputs]` → `[.., outputs]`
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[inputs, outputs]`
    pub(crate) weight: Param<Tensor<2>>,
    /// `[outputs]`
    pub(crate) bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    precision: Precision,
}

impl Linear {
    pub(crate) fn new(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self {
            weight: Param::from_tensor(weight),
            bias: bias.map(Param::from_tensor),
            precision: Precision::F32,
        }
    }

    /// The result is of the precision's type.
    pub(crate) fn forward<const D: usize>(&self, states: Tensor<D>) -> Tensor<D> {
        let rounded = self.precision;
        linear(
            rounded.round(states),
            rounded.round(self.weight.val()),
            self.bias.as_ref().map(|bias| rounded.round(bias.val())),
        )
    }

    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }
}
