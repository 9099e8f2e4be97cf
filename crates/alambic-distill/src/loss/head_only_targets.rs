//! Truncated teacher distributions without a tail, on the device.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor};

use super::{DistributionPair, LogProbs, LossError, TailTreatment, TopKTargetBatch};

/// The teacher's most likely tokens at every position; nothing is known of all others.
///
/// What caches hold that were converted from formats without a tail. The stored probabilities may be
/// approximations, and add up to anything.
#[derive(Clone, Debug)]
pub struct HeadOnlyTargetBatch {
    /// Its tail and its entropy are zeros that nobody reads.
    head: TopKTargetBatch,
}

impl HeadOnlyTargetBatch {
    /// Builds the batch from row-major host values.
    ///
    /// # Panics
    /// If a vector's length does not match `[batch, seq, k]`.
    pub fn from_host(
        token_ids: Vec<i32>,
        log_probs: Vec<f32>,
        [batch, seq, k]: [usize; 3],
        device: &Device,
    ) -> Self {
        let unknown = vec![0.0; batch * seq];
        Self {
            head: TopKTargetBatch::from_host(
                token_ids,
                log_probs,
                unknown.clone(),
                unknown,
                [batch, seq, k],
                device,
            ),
        }
    }

    /// Teacher and student over the same outcomes.
    ///
    /// # Errors
    /// [`LossError::TailNotKept`] for the tail bucket, unless all tokens are stored, and those of
    /// [`DistributionPair::top_k`].
    ///
    /// # Example
    /// ```
    /// use alambic_distill::loss::{HeadOnlyTargetBatch, LogProbs, TailTreatment};
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex();
    /// let student = LogProbs::from_logits(Tensor::zeros([1, 1, 4], &device));
    /// let targets =
    ///     HeadOnlyTargetBatch::from_host(vec![3, 0], vec![-0.7, -1.4], [1, 1, 2], &device);
    /// assert!(targets.pair(&student, TailTreatment::RenormaliseTeacher).is_ok());
    /// assert!(targets.pair(&student, TailTreatment::TailBucket).is_err());
    /// ```
    pub fn pair(
        &self,
        student: &LogProbs,
        treatment: TailTreatment,
    ) -> Result<DistributionPair, LossError> {
        let ([_, _, k], [_, _, vocab]) = (self.dims(), student.dims());
        if treatment == TailTreatment::TailBucket && k < vocab {
            return Err(LossError::TailNotKept);
        }
        DistributionPair::top_k(&self.head, student, treatment)
    }

    /// Some of the positions of every row.
    pub fn positions(&self, range: Range<usize>) -> Self {
        Self {
            head: self.head.positions(range),
        }
    }

    /// The targets at some positions, as a list: `[1, rows, k]`.
    ///
    /// # Shapes
    /// `rows`: `[rows]`, positions in the flattened `[batch * seq]`.
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            head: self.head.select(rows),
        }
    }

    /// Ids and log-probabilities, `[batch, seq, k]`, most likely first.
    pub fn entries(&self) -> (&Tensor<3, Int>, &Tensor<3>) {
        (&self.head.token_ids, &self.head.log_probs)
    }

    /// `[batch, seq, k]`.
    pub fn dims(&self) -> [usize; 3] {
        self.head.dims()
    }
}
