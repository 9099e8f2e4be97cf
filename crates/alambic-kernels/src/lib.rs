//! Operations of a language model on burn, fused where that pays.
//!
//! Every operation has a portable form, composed of burn's own operations, and one meaning on all
//! backends. On the CPU backend flex, in f32, a fused form with a hand-written gradient takes its
//! place: it keeps less and runs several times faster. [`Computation::Portable`] asks for the
//! composed form, as a reference.
//!
//! | function | computes |
//! |---|---|
//! | [`causal_attention`] | grouped-query attention where each query sees a range of keys before it |
//! | [`attention_with_bias`] | grouped-query attention over a cache, composed on every backend |
//! | [`rotate_halves`] | rotary positions in the half-split pairing |
//! | [`swiglu`] | `silu(gate) · up` |
//! | [`log_softmax`] | log-probabilities over the last dimension |
//! | [`log_mass_outside`] | `ln Σ p` over the entries that are not listed |
//! | [`attach_gradients`] | a value whose gradients are already known |
//!
//! Attention and [`swiglu`] take rounded operands ([`Precision`]) as well; their fused forms compute those in f32.

mod attach_gradients;
mod attention;
#[cfg(feature = "flex")]
mod flex;
mod log_softmax;
mod precision;
mod rotary;
mod swiglu;
#[cfg(test)]
mod tests;

pub use attach_gradients::attach_gradients;
pub use attention::{FORBIDDEN_SCORE, VisibleKeys, attention_with_bias, causal_attention};
pub use log_softmax::{log_mass_outside, log_softmax};
pub use precision::Precision;
pub use rotary::rotate_halves;
pub use swiglu::swiglu;

use burn::tensor::Tensor;

/// How an operation is calculated; its meaning is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Computation {
    /// Fused where the tensor's device has a fused form, portable elsewhere.
    #[default]
    Fastest,
    /// Composed of burn's operations: the reference.
    Portable,
}

impl Computation {
    /// Whether a fused form serves `tensor`.
    #[cfg(feature = "flex")]
    fn is_fused<const D: usize>(self, tensor: &Tensor<D>) -> bool {
        self == Self::Fastest && flex::serves(tensor)
    }

    /// Whether a fused form serves `tensor`.
    #[cfg(not(feature = "flex"))]
    fn is_fused<const D: usize>(self, _tensor: &Tensor<D>) -> bool {
        false
    }
}
