//! Who attends to whom in a batch, and at which positions.

use alambic_kernels::VisibleKeys;
use burn::tensor::{Device, Int, Tensor};

use crate::architecture::LayerKind;
use crate::config::DecoderConfig;
use crate::rotary::Rotations;

/// Positions and visibility of one batch, made once and shared by all layers and models.
///
/// A context belongs to no decoder: the same one serves a teacher and a student. It holds no
/// gradients and may be used with tensors on the autodiff side of the same device.
///
/// ```
/// use alambic_transformer::{AttentionContext, DeviceChoice};
/// use burn::tensor::{Int, Tensor};
///
/// let device = DeviceChoice::Cpu.open()?;
/// // Two documents of three and two tokens, and one token of padding.
/// let positions = Tensor::<2, Int>::from_ints([[0, 1, 2, 0, 1, 0]], &device);
/// let context = AttentionContext::packed(positions);
/// assert_eq!(context.dims(), [1, 6]);
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AttentionContext {
    batch: usize,
    seq: usize,
    device: Device,
    /// `[batch, seq]`; `None` if every row counts from 0.
    positions: Option<Tensor<2, Int>>,
    visible: VisibleKeys,
}

impl AttentionContext {
    /// Every token sees itself and those before it; positions count from 0 in every row.
    pub fn causal(batch: usize, seq: usize, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        Self {
            batch,
            seq,
            positions: None,
            visible: VisibleKeys::causal(seq, &device),
            device,
        }
    }

    /// Several documents per row: a token sees itself and those before it in its document.
    ///
    /// A document begins where the positions begin again at 0; padding is a document of its own.
    ///
    /// # Shapes
    /// `[batch, seq]`. Positions count up by one within a document, so each is at most its index.
    pub fn packed(positions: Tensor<2, Int>) -> Self {
        let [batch, seq] = positions.dims();
        let positions = positions.without_autodiff();
        Self {
            batch,
            seq,
            device: positions.device(),
            visible: VisibleKeys::within_documents(positions.clone()),
            positions: Some(positions),
        }
    }

    /// `[batch, seq]`
    pub fn dims(&self) -> [usize; 2] {
        [self.batch, self.seq]
    }

    /// Which keys the query of each position sees.
    pub fn visible_keys(&self) -> &VisibleKeys {
        &self.visible
    }

    pub(crate) fn sight(&self, config: &DecoderConfig) -> Sight {
        let (rotations, positions) = match &self.positions {
            None => {
                let every_position: Vec<usize> = (0..self.seq).collect();
                let shape = [1, self.seq];
                let rotations =
                    Rotations::at_positions(&every_position, shape, config, &self.device);
                let arranged = Tensor::<1, Int>::arange(0..self.seq as i64, &self.device);
                (rotations, arranged.reshape(shape))
            }
            Some(positions) => (
                Rotations::at_device_positions(positions, config),
                positions.clone(),
            ),
        };
        let window = config.architecture.sliding_window;
        let window = window.filter(|_| config.architecture.slides());
        Sight {
            rotations,
            positions,
            keys: KeysOfLayers {
                of_all: Keys::OfBatch(self.visible.clone()),
                of_sliding: window.map(|window| Keys::OfBatch(self.visible.within_window(window))),
            },
        }
    }
}

/// What the attention of every layer needs to know about the batch.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) rotations: Rotations,
    /// `[batch or 1, seq]`
    pub(crate) positions: Tensor<2, Int>,
    pub(crate) keys: KeysOfLayers,
}

/// Which keys the queries of a batch see, by the kind of layer.
#[derive(Debug)]
pub(crate) struct KeysOfLayers {
    pub(crate) of_all: Keys,
    /// Where some layers see a window only.
    pub(crate) of_sliding: Option<Keys>,
}

impl KeysOfLayers {
    pub(crate) fn of_layer(&self, kind: LayerKind) -> &Keys {
        match (kind.slides, &self.of_sliding) {
            (true, Some(keys)) => keys,
            _ => &self.of_all,
        }
    }
}

/// Which keys the queries of a batch see.
#[derive(Debug)]
pub(crate) enum Keys {
    /// Those of the batch itself.
    OfBatch(VisibleKeys),
    /// Those of a cache, to which the batch's own are appended.
    Cached {
        /// Added to the scores, `[batch or 1, 1, queries, keys]`; `None` if every key may be seen.
        score_bias: Option<Tensor<4>>,
    },
}
