//! What truncated targets know of another temperature, on the device.

use burn::tensor::Tensor;

use super::temperature::is_kept_temperature;

/// Mass outside of the stored entries and entropy of the full distribution at a temperature.
///
/// Counted over the whole vocabulary when the teacher was read: a truncation does not tell them.
#[derive(Clone, Debug)]
pub struct TemperedTailBatch {
    /// The temperature.
    pub temperature: f64,
    /// Probability outside of the stored entries at this temperature, `[batch, seq]`.
    pub tail_mass: Tensor<2>,
    /// Entropy at this temperature in nats, `[batch, seq]`.
    pub entropy: Tensor<2>,
}

impl TemperedTailBatch {
    /// Whether these are the numbers for a temperature.
    pub(super) fn is_at(&self, temperature: f64) -> bool {
        is_kept_temperature(self.temperature, temperature)
    }
}
