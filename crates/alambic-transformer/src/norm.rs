//! The norm of a residual stream.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

use crate::architecture::NormKind;

/// A norm over the last dimension, as [`NormKind`] says; computed and given in f32.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    /// The scale, `[width]`.
    pub(crate) gamma: Param<Tensor<1>>,
    /// The bias of [`NormKind::Layer`], `[width]`.
    pub(crate) beta: Option<Param<Tensor<1>>>,
    epsilon: f64,
    #[module(skip)]
    kind: NormKind,
}

impl Norm {
    pub(crate) fn new(
        kind: NormKind,
        epsilon: f64,
        gamma: Tensor<1>,
        beta: Option<Tensor<1>>,
    ) -> Self {
        Self {
            gamma: Param::from_tensor(gamma),
            beta: beta.map(Param::from_tensor),
            epsilon,
            kind,
        }
    }

    pub(crate) fn forward<const D: usize>(&self, states: Tensor<D>) -> Tensor<D> {
        let gamma = self.gamma.val();
        let states = states.cast(DType::F32);
        let centred = match self.kind {
            NormKind::Rms | NormKind::RmsAroundOne => states,
            NormKind::Layer => states.clone() - states.mean_dim(D - 1),
        };
        let scale = match self.kind {
            NormKind::Rms | NormKind::Layer => gamma,
            NormKind::RmsAroundOne => gamma + 1.0,
        };
        let squares = centred.clone().square();
        let root = (squares.mean_dim(D - 1) + self.epsilon).sqrt();
        let normed = (centred / root) * scale.unsqueeze();
        match &self.beta {
            Some(beta) => normed + beta.val().unsqueeze(),
            None => normed,
        }
    }
}
