//! Tokens drawn from the teacher, on the device.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::LossError;
use super::temperature::is_kept_temperature;

/// Tokens drawn from the teacher's distribution at every position, with their shares.
///
/// The share of a token among the draws is an unbiased estimate of its probability at the
/// temperature of the draws. Rows have different numbers of distinct tokens: what is left of a row
/// has the id 0 and the share 0.
///
/// # Example
/// ```
/// use alambic_distill::loss::{LabelMask, LogProbs, SampledForwardKl, SampledTargetBatch};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// // Four draws from a fair coin: three times token 1, once token 0.
/// let targets = SampledTargetBatch::from_host(
///     vec![1, 0],
///     vec![0.75, 0.25],
///     vec![2f32.ln()],
///     [1, 1, 2],
///     &device,
/// );
/// let student = LogProbs::from_logits(Tensor::<3>::zeros([1, 1, 2], &device));
/// let mask = LabelMask::new(&[true], [1, 1], &device);
/// let loss = SampledForwardKl.forward(&targets, &student, &mask).unwrap();
/// // The cross-entropy at any shares is ln 2, and so is the entropy: the student is right.
/// assert!(loss.mean_nats().unwrap().abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct SampledTargetBatch {
    /// Token ids, `[batch, seq, most]`.
    pub token_ids: Tensor<3, Int>,
    /// Shares of the draws, `[batch, seq, most]`; they add up to 1 in a counted row.
    pub shares: Tensor<3>,
    /// Entropy of the distribution that was drawn from, in nats, `[batch, seq]`.
    pub entropy: Tensor<2>,
    /// Temperature of the distribution that was drawn from.
    temperature: f64,
    largest_token_id: u32,
}

impl SampledTargetBatch {
    /// Builds the batch from row-major host values; drawn at temperature 1.
    ///
    /// # Panics
    /// If a vector's length does not match `[batch, seq, most]` or `[batch, seq]`.
    pub fn from_host(
        token_ids: Vec<i32>,
        shares: Vec<f32>,
        entropy: Vec<f32>,
        [batch, seq, most]: [usize; 3],
        device: &Device,
    ) -> Self {
        let entries = [batch, seq, most];
        let unsigned = token_ids.iter().map(|&id| id.cast_unsigned());
        let largest_token_id = unsigned.max().unwrap_or(0);
        Self {
            token_ids: Tensor::from_data(TensorData::new(token_ids, entries), device),
            shares: Tensor::from_data(TensorData::new(shares, entries), device),
            entropy: Tensor::from_data(TensorData::new(entropy, [batch, seq]), device),
            temperature: 1.0,
            largest_token_id,
        }
    }

    /// The same, drawn at another temperature.
    pub fn drawn_at(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Temperature of the distribution that was drawn from.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// Refuses ids that a vocabulary does not have.
    pub(super) fn check_ids(&self, vocab: usize) -> Result<(), LossError> {
        let token_id = self.largest_token_id;
        if (token_id as usize) < vocab {
            return Ok(());
        }
        Err(LossError::TokenOutOfVocabulary { token_id, vocab })
    }

    /// Refuses any other temperature than that of the draws.
    pub(super) fn check_temperature(&self, temperature: f64) -> Result<(), LossError> {
        if is_kept_temperature(self.temperature, temperature) {
            return Ok(());
        }
        Err(LossError::DrawnAtTemperature {
            drawn: self.temperature,
            temperature,
        })
    }

    /// Some of the positions of every row.
    pub fn positions(&self, range: Range<usize>) -> Self {
        let [batch, _, most] = self.dims();
        let entries = [0..batch, range.clone(), 0..most];
        Self {
            token_ids: self.token_ids.clone().slice(entries.clone()),
            shares: self.shares.clone().slice(entries),
            entropy: self.entropy.clone().slice([0..batch, range]),
            temperature: self.temperature,
            largest_token_id: self.largest_token_id,
        }
    }

    /// The targets at some positions, as a list: `[1, rows, most]`.
    ///
    /// # Shapes
    /// `rows`: `[rows]`, positions in the flattened `[batch * seq]`.
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let [_, _, most] = self.dims();
        let ids = self.token_ids.clone().reshape([-1, most as i32]);
        let shares = self.shares.clone().reshape([-1, most as i32]);
        let entropy = self.entropy.clone().reshape([-1]);
        Self {
            token_ids: ids.select(0, rows.clone()).unsqueeze::<3>(),
            shares: shares.select(0, rows.clone()).unsqueeze::<3>(),
            entropy: entropy.select(0, rows.clone()).unsqueeze::<2>(),
            temperature: self.temperature,
            largest_token_id: self.largest_token_id,
        }
    }

    /// `[batch, seq, most]`
    pub fn dims(&self) -> [usize; 3] {
        self.shares.dims()
    }
}
