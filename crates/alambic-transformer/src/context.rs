//! Who attends to whom in a batch, and at which positions.

use burn::tensor::{Bool, Device, Int, Tensor};

use crate::config::DecoderConfig;
use crate::rotary::Rotary;

/// Score of a forbidden pair: its weight is exactly 0 after the softmax, and still finite.
///
/// Shading languages may assume that infinities do not occur.
pub(crate) const FORBIDDEN_SCORE: f32 = -1.0e30;

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
/// // Two documents of three and two tokens, and one token of padding (document 0).
/// let positions = Tensor::<2, Int>::from_ints([[0, 1, 2, 0, 1, 0]], &device);
/// let document_ids = Tensor::<2, Int>::from_ints([[1, 1, 1, 2, 2, 0]], &device);
/// let context = AttentionContext::packed(positions, document_ids);
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
    /// Added to the scores: `[batch or 1, 1, seq, seq]`.
    score_bias: Tensor<4>,
}

impl AttentionContext {
    /// Every token sees itself and those before it; positions count from 0 in every row.
    pub fn causal(batch: usize, seq: usize, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        let allowed = Tensor::<2, Bool>::tril_mask([seq, seq], 0, &device).bool_not();
        Self {
            batch,
            seq,
            positions: None,
            score_bias: score_bias(allowed.unsqueeze()),
            device,
        }
    }

    /// Several documents per row: token i sees j if j ≤ i and both are of one document.
    ///
    /// Document id 0 is padding, which sees only padding, so that its softmax stays finite.
    ///
    /// # Shapes
    /// Both `[batch, seq]`. Positions restart with each document, so each is below `seq`.
    ///
    /// # Panics
    /// If the shapes differ; on some devices if a position is not below `seq`.
    pub fn packed(positions: Tensor<2, Int>, document_ids: Tensor<2, Int>) -> Self {
        let [batch, seq] = positions.dims();
        assert_eq!(
            document_ids.dims(),
            [batch, seq],
            "positions and document ids must have the same shape"
        );
        let positions = positions.without_autodiff();
        let document_ids = document_ids.without_autodiff();
        let device = positions.device();
        let queries = document_ids.clone().reshape([batch, seq, 1]);
        let keys = document_ids.reshape([batch, 1, seq]);
        let same_document = queries
            .expand([batch, seq, seq])
            .equal(keys.expand([batch, seq, seq]));
        let not_later = Tensor::<2, Bool>::tril_mask([seq, seq], 0, &device)
            .bool_not()
            .unsqueeze::<3>()
            .expand([batch, seq, seq]);
        let allowed = same_document.bool_and(not_later);
        Self {
            batch,
            seq,
            positions: Some(positions),
            score_bias: score_bias(allowed.reshape([batch, 1, seq, seq])),
            device,
        }
    }

    /// `[batch, seq]`
    pub fn dims(&self) -> [usize; 2] {
        [self.batch, self.seq]
    }

    pub(crate) fn sight(&self, config: &DecoderConfig) -> Sight {
        let rotary = match &self.positions {
            None => {
                let every_position: Vec<usize> = (0..self.seq).collect();
                Rotary::at_positions(&every_position, [1, self.seq], config, &self.device)
            }
            Some(positions) => Rotary::at_device_positions(positions.clone(), config),
        };
        Sight {
            rotary,
            score_bias: Some(self.score_bias.clone()),
        }
    }
}

/// What the attention of every layer needs to know about the batch.
pub(crate) struct Sight {
    pub(crate) rotary: Rotary,
    /// Added to the scores, `[batch or 1, 1, queries, keys]`; `None` if every key may be seen.
    pub(crate) score_bias: Option<Tensor<4>>,
}

/// 0 where `allowed`, [`FORBIDDEN_SCORE`] elsewhere.
fn score_bias(allowed: Tensor<4, Bool>) -> Tensor<4> {
    allowed.bool_not().float().mul_scalar(FORBIDDEN_SCORE)
}
