//! Truncated teacher distributions on the device.

use std::ops::Range;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::LossError;
use super::tempered_tail::TemperedTailBatch;

/// The teacher's `k` most likely tokens at every position, with the mass of the rest.
///
/// The stored probabilities are those of the full softmax at temperature 1, over the tokenizer's
/// tokens where the teacher has more columns: they are not renormalised, and
/// `Σ exp(log_probs) + tail_mass = 1` up to the rounding of the stored values.
/// Rows of positions that are not labels hold zeros and must be masked.
#[derive(Clone, Debug)]
pub struct TopKTargetBatch {
    /// Token ids, `[batch, seq, k]`, most likely first; distinct within a counted row.
    pub token_ids: Tensor<3, Int>,
    /// The largest of the token ids, known to the host: a vocabulary is checked against it without
    /// reading the ids back from the device.
    pub largest_token_id: u32,
    /// Log-probabilities in nats, `[batch, seq, k]`.
    pub log_probs: Tensor<3>,
    /// Probability outside of the stored entries, `[batch, seq]`.
    pub tail_mass: Tensor<2>,
    /// Entropy of the full teacher distribution in nats, `[batch, seq]`.
    pub entropy: Tensor<2>,
    /// Tail and entropy at further temperatures.
    pub tempered: Vec<TemperedTailBatch>,
}

impl TopKTargetBatch {
    /// Builds the batch from row-major host values.
    ///
    /// # Panics
    /// If a vector's length does not match `[batch, seq, k]` or `[batch, seq]`.
    pub fn from_host(
        token_ids: Vec<i32>,
        log_probs: Vec<f32>,
        tail_mass: Vec<f32>,
        entropy: Vec<f32>,
        [batch, seq, k]: [usize; 3],
        device: &Device,
    ) -> Self {
        let rows =
            |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [batch, seq]), device);
        // A negative id becomes one that is beyond every vocabulary.
        let unsigned = token_ids.iter().map(|id| id.cast_unsigned());
        Self {
            largest_token_id: unsigned.max().unwrap_or(0),
            token_ids: Tensor::from_data(TensorData::new(token_ids, [batch, seq, k]), device),
            log_probs: Tensor::from_data(TensorData::new(log_probs, [batch, seq, k]), device),
            tail_mass: rows(tail_mass),
            entropy: rows(entropy),
            tempered: Vec::new(),
        }
    }

    /// The same with tail and entropy at one more temperature, row-major host values.
    ///
    /// # Panics
    /// If a vector's length does not match `[batch, seq]`.
    pub fn with_tempered(
        mut self,
        temperature: f64,
        tail_mass: Vec<f32>,
        entropy: Vec<f32>,
    ) -> Self {
        let [batch, seq, _] = self.dims();
        let device = self.log_probs.device();
        let rows =
            |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [batch, seq]), &device);
        self.tempered.push(TemperedTailBatch {
            temperature,
            tail_mass: rows(tail_mass),
            entropy: rows(entropy),
        });
        self
    }

    /// The targets softened by a temperature, exactly: 1, or one of [`Self::tempered`].
    ///
    /// `ln p_T = ln p ÷ T − ln Σ_head p^(1/T) + ln (1 − tail_T)`
    ///
    /// # Errors
    /// [`LossError::TemperatureNotKept`] for any other.
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::TopKTargetBatch;
    /// use burn::tensor::Device;
    ///
    /// // Probabilities 1/2, 1/4, 1/8, 1/8, of which two are kept; their roots add up to 1.914.
    /// let targets = TopKTargetBatch::from_host(
    ///     vec![3, 0],
    ///     vec![0.5f32.ln(), 0.25f32.ln()],
    ///     vec![0.25],
    ///     vec![1.2130],
    ///     [1, 1, 2],
    ///     &Device::flex(),
    /// )
    /// .with_tempered(2.0, vec![0.36940], vec![1.34245]);
    /// let softened = targets.at_temperature(2.0).unwrap();
    /// let first = softened.log_probs.max().into_scalar::<f32>();
    /// assert!((first - (0.5f32.sqrt() / 1.914214).ln()).abs() < 1e-5);
    /// assert!(targets.at_temperature(3.0).is_err());
    /// ```
    pub fn at_temperature(&self, temperature: f64) -> Result<Self, LossError> {
        if temperature == 1.0 {
            return Ok(self.clone());
        }
        let mut tempered = self.tempered.iter();
        let Some(tail) = tempered.find(|tail| tail.is_at(temperature)) else {
            let further = self.tempered.iter().map(|tail| tail.temperature);
            let kept = std::iter::once(1.0).chain(further).collect();
            return Err(LossError::TemperatureNotKept { kept, temperature });
        };
        let head = log_softmax(self.log_probs.clone() / temperature, 2);
        let head_mass = tail.tail_mass.clone().neg().log1p();
        Ok(Self {
            token_ids: self.token_ids.clone(),
            largest_token_id: self.largest_token_id,
            log_probs: head + head_mass.unsqueeze_dim::<3>(2),
            tail_mass: tail.tail_mass.clone(),
            entropy: tail.entropy.clone(),
            tempered: Vec::new(),
        })
    }

    /// Some of the positions of every row.
    pub fn positions(&self, range: Range<usize>) -> Self {
        let [batch, _, k] = self.dims();
        let entries = [0..batch, range.clone(), 0..k];
        let rows = [0..batch, range];
        Self {
            largest_token_id: self.largest_token_id,
            token_ids: self.token_ids.clone().slice(entries.clone()),
            log_probs: self.log_probs.clone().slice(entries),
            tail_mass: self.tail_mass.clone().slice(rows.clone()),
            entropy: self.entropy.clone().slice(rows.clone()),
            tempered: self.map_tempered(|values| values.clone().slice(rows.clone())),
        }
    }

    /// The targets at some positions, as a list: `[1, rows, k]`.
    ///
    /// # Shapes
    /// `rows`: `[rows]`, positions in the flattened `[batch * seq]`.
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        let [_, _, k] = self.dims();
        let of_rows = |values: &Tensor<2>| {
            let list = values.clone().reshape([-1]).select(0, rows.clone());
            list.unsqueeze::<2>()
        };
        let ids = self.token_ids.clone().reshape([-1, k as i32]);
        let log_probs = self.log_probs.clone().reshape([-1, k as i32]);
        Self {
            token_ids: ids.select(0, rows.clone()).unsqueeze::<3>(),
            log_probs: log_probs.select(0, rows.clone()).unsqueeze::<3>(),
            tail_mass: of_rows(&self.tail_mass),
            entropy: of_rows(&self.entropy),
            tempered: self.map_tempered(of_rows),
            largest_token_id: self.largest_token_id,
        }
    }

    fn map_tempered(&self, change: impl Fn(&Tensor<2>) -> Tensor<2>) -> Vec<TemperedTailBatch> {
        let changed = |tail: &TemperedTailBatch| TemperedTailBatch {
            temperature: tail.temperature,
            tail_mass: change(&tail.tail_mass),
            entropy: change(&tail.entropy),
        };
        self.tempered.iter().map(changed).collect()
    }

    /// `[batch, seq, k]`.
    pub fn dims(&self) -> [usize; 3] {
        self.log_probs.dims()
    }
}
