//! Hidden states of some layers of one model.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::LossError;

/// Hidden states of some layers of one model, at the same positions.
///
/// A live model gives all of them, a capture the layers that it declared. Layers are counted as
/// [`LayerPair`](super::LayerPair) counts them.
///
/// # Shapes
/// Each `[batch, seq, width]`, of one width.
///
/// # Example
/// ```
/// use alambic_distill::loss::LayerStates;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let last = Tensor::<3>::ones([1, 2, 8], &device);
/// let states = LayerStates::try_new([(6, last)].into()).unwrap();
/// assert_eq!((states.width(), states.positions()), (8, [1, 2]));
/// ```
#[derive(Clone, Debug)]
pub struct LayerStates {
    layers: BTreeMap<usize, Tensor<3>>,
    dims: [usize; 3],
}

impl LayerStates {
    /// States by layer.
    ///
    /// # Errors
    /// [`LossError::NoLayerPairs`] for no layer at all; [`LossError::Shape`] and
    /// [`LossError::StateWidth`] for layers that do not fit the first.
    pub fn try_new(layers: BTreeMap<usize, Tensor<3>>) -> Result<Self, LossError> {
        let first = layers.values().next().ok_or(LossError::NoLayerPairs)?;
        let dims @ [batch, seq, width] = first.dims();
        for states in layers.values() {
            let [states_batch, states_seq, states_width] = states.dims();
            let found = [states_batch, states_seq];
            LossError::check_shape("the hidden states of every layer", found, [batch, seq])?;
            LossError::check_width("the hidden states of every layer", states_width, width)?;
        }
        Ok(Self { layers, dims })
    }

    /// `[batch, seq]`
    pub fn positions(&self) -> [usize; 2] {
        [self.dims[0], self.dims[1]]
    }

    /// Numbers in one hidden state.
    pub fn width(&self) -> usize {
        self.dims[2]
    }

    /// The states of a layer; `side` says whose in the error.
    pub(super) fn layer(&self, layer: usize, side: &'static str) -> Result<Tensor<3>, LossError> {
        let states = self.layers.get(&layer).cloned();
        states.ok_or_else(|| LossError::MissingLayer {
            side,
            layer,
            found: self.layers.keys().copied().collect(),
        })
    }
}
