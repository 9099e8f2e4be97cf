//! The feed-forward layer.

use alambic_kernels::{Computation, swiglu};
use burn::module::Module;
use burn::tensor::activation::gelu_approximate;
use burn::tensor::{DType, Tensor};

use crate::architecture::FeedForwardKind;
use crate::linear::Linear;

/// Two projections with a non-linearity between them, or three with a gate; see [`FeedForwardKind`].
///
/// # Shapes
/// `[batch, seq, hidden]` → `[batch, seq, hidden]`, through `intermediate` inside.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    /// Where the kind has a gate.
    pub(crate) gate_proj: Option<Linear>,
    pub(crate) up_proj: Linear,
    pub(crate) down_proj: Linear,
    #[module(skip)]
    kind: FeedForwardKind,
}

impl FeedForward {
    pub(crate) fn new(
        kind: FeedForwardKind,
        gate_proj: Option<Linear>,
        up_proj: Linear,
        down_proj: Linear,
    ) -> Self {
        Self {
            gate_proj,
            up_proj,
            down_proj,
            kind,
        }
    }

    /// Every projection of the layer.
    pub(crate) fn projections_mut(&mut self) -> impl Iterator<Item = &mut Linear> {
        let gate = self.gate_proj.iter_mut();
        gate.chain([&mut self.up_proj, &mut self.down_proj])
    }

    pub(crate) fn forward(&self, states: Tensor<3>) -> Tensor<3> {
        let gate = self.gate_proj.as_ref();
        let gate = gate.map(|gate| gate.forward(states.clone()));
        let up = self.up_proj.forward(states);
        let inner = match (self.kind, gate) {
            (FeedForwardKind::GatedSilu, Some(gate)) => swiglu(gate, up, Computation::Fastest),
            (FeedForwardKind::GatedGeluTanh, Some(gate)) => {
                // Rounded in every step, small results would lose most of their bits.
                let dtype = up.dtype();
                let [gate, up] = [gate, up].map(|it| it.cast(DType::F32));
                (gelu_approximate(gate) * up).cast(dtype)
            }
            (FeedForwardKind::GeluTanh, None) => {
                let dtype = up.dtype();
                gelu_approximate(up.cast(DType::F32)).cast(dtype)
            }
            (kind, _) => {
                unreachable!("a gate belongs to {kind:?} or does not, as it was assembled")
            }
        };
        self.down_proj.forward(inner)
    }
}
