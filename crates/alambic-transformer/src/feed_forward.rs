//! The feed-forward layer.

use alambic_kernels::{Computation, swiglu};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

/// SwiGLU: `down(silu(gate(x)) · up(x))` (Shazeer 2020, arXiv:2002.05202, eq. 6).
///
/// # Shapes
/// `[batch, seq, hidden]` → `[batch, seq, hidden]`, through `intermediate` inside.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    pub(crate) gate_proj: Linear,
    pub(crate) up_proj: Linear,
    pub(crate) down_proj: Linear,
}

impl FeedForward {
    pub(crate) fn forward(&self, states: Tensor<3>) -> Tensor<3> {
        let gate = self.gate_proj.forward(states.clone());
        let up = self.up_proj.forward(states);
        self.down_proj
            .forward(swiglu(gate, up, Computation::Fastest))
    }
}
