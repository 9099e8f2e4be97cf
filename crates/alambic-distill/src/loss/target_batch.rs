//! What the teacher says about a batch, on the device.

use std::ops::Range;

use burn::tensor::{Int, Tensor};

use super::{
    DistributionPair, Head, HeadOnlyTargetBatch, LogProbs, Logits, LossError, SampledTargetBatch,
    TailTreatment, TopKTargetBatch,
};

/// Teacher targets for `[batch, seq]` positions.
///
/// # Example
/// ```
/// use alambic_distill::loss::{Divergence, ForwardKl, Head, LogProbs, TailTreatment, TargetBatch};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// // A hidden state 1 and a head (0, ln 9): probabilities of 0.1 and 0.9, and ¼ and ¾ at temperature 2.
/// let targets = TargetBatch::Hidden {
///     states: Tensor::ones([1, 1, 1], &device),
///     head: Head::new(Tensor::from_floats([[0.0, 9f32.ln()]], &device)),
/// };
/// let softened = targets.at_temperature(2.0).unwrap();
/// let student = LogProbs::from_logits(Tensor::<3>::zeros([1, 1, 2], &device));
/// let pair = softened.pair(&student, TailTreatment::TailBucket).unwrap();
/// let kl = ForwardKl.per_token(&pair).into_scalar::<f32>();
/// assert!((kl - (0.25 * 0.5f32.ln() + 0.75 * 1.5f32.ln())).abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one exists at a time, and what it holds are handles"
)]
pub enum TargetBatch {
    /// Whole distributions.
    Dense(LogProbs),
    /// Whole distributions by the logits that they were made of.
    Logits(Logits),
    /// The most likely tokens and the mass of the rest.
    TopK(TopKTargetBatch),
    /// Drawn tokens: for losses that are linear in the teacher's probabilities.
    Sampled(SampledTargetBatch),
    /// The teacher's last hidden states and its head: its whole distributions, made where they are
    /// compared.
    Hidden {
        /// `[batch, seq, hidden]`
        states: Tensor<3>,
        /// The teacher's output projection.
        head: Head,
    },
    /// The most likely tokens of a source that says nothing of the rest.
    HeadOnly(HeadOnlyTargetBatch),
}

impl TargetBatch {
    /// Teacher and student over the same outcomes; a dense teacher has no tail to treat.
    ///
    /// # Errors
    /// [`LossError::OnlyDraws`] for drawn tokens, which do not tell the teacher's distribution,
    /// [`LossError::TailNotKept`] for the tail bucket of targets without a tail, and those of [`DistributionPair::dense`] and [`DistributionPair::top_k`].
    pub fn pair(
        &self,
        student: &LogProbs,
        tail: TailTreatment,
    ) -> Result<DistributionPair, LossError> {
        match self {
            Self::Dense(teacher) => DistributionPair::dense(teacher, student),
            Self::Logits(teacher) => {
                DistributionPair::dense(&teacher.clone().into_log_probs(), student)
            }
            Self::TopK(targets) => DistributionPair::top_k(targets, student, tail),
            Self::Sampled(_) => Err(LossError::OnlyDraws),
            Self::Hidden { states, head } => projected(states, head).pair(student, tail),
            Self::HeadOnly(targets) => targets.pair(student, tail),
        }
    }

    /// The same targets softened by a temperature.
    ///
    /// # Errors
    /// [`LossError::TemperatureNotKept`] for truncated ones unless it is 1 or was declared at capture,
    /// [`LossError::DrawnAtTemperature`] for drawn tokens unless it is that of the draws, and
    /// [`LossError::OutOfRange`] unless it is finite and above 0.
    pub fn at_temperature(&self, temperature: f64) -> Result<Self, LossError> {
        match self {
            Self::Sampled(targets) => targets
                .check_temperature(temperature)
                .map(|()| self.clone()),
            _ if temperature == 1.0 => Ok(self.clone()),
            Self::Dense(teacher) => teacher.at_temperature(temperature).map(Self::Dense),
            Self::Logits(teacher) => {
                let teacher = teacher.clone().into_log_probs();
                teacher.at_temperature(temperature).map(Self::Dense)
            }
            Self::TopK(targets) => targets.at_temperature(temperature).map(Self::TopK),
            Self::Hidden { states, head } => projected(states, head).at_temperature(temperature),
            Self::HeadOnly(_) => Err(LossError::TemperatureNotKept {
                kept: vec![1.0],
                temperature,
            }),
        }
    }

    /// Ones where `choices` `[batch, seq]` is the teacher's most likely token, or one of several
    /// that are equally likely as they are stored; `None` if that is not known, as of drawn tokens.
    pub fn agreement(&self, choices: Tensor<2, Int>) -> Option<Tensor<2>> {
        let choices = choices.unsqueeze_dim::<3>(2);
        let whole = |teacher: &Tensor<3>| {
            let of_choice = teacher.clone().gather(2, choices.clone());
            of_choice.greater_equal(teacher.clone().max_dim(2)).float()
        };
        let of_entries = |token_ids: &Tensor<3, Int>, log_probs: &Tensor<3>| {
            let first = log_probs.clone().narrow(2, 0, 1);
            let is_first = log_probs.clone().greater_equal(first).float();
            let is_choice = token_ids.clone().equal(choices.clone()).float();
            (is_first * is_choice).sum_dim(2)
        };
        let agrees = match self {
            Self::Sampled(_) => return None,
            Self::Hidden { states, head } => whole(head.logits_of_batch(states.clone()).tensor()),
            Self::Dense(teacher) => whole(teacher.tensor()),
            Self::Logits(teacher) => whole(teacher.tensor()),
            Self::TopK(targets) => of_entries(&targets.token_ids, &targets.log_probs),
            Self::HeadOnly(targets) => {
                let (token_ids, log_probs) = targets.entries();
                of_entries(token_ids, log_probs)
            }
        };
        Some(agrees.squeeze_dim::<2>(2))
    }

    /// The teacher's raw logits, which `term` reads.
    ///
    /// # Errors
    /// [`LossError::LogitsNotKept`] for targets that are probabilities.
    pub fn logits(&self, term: &'static str) -> Result<Logits, LossError> {
        let targets = match self {
            Self::Logits(logits) => return Ok(logits.clone()),
            Self::Hidden { states, head } => return Ok(head.logits_of_batch(states.clone())),
            Self::Dense(_) => "log-probabilities",
            Self::TopK(_) => "top-k targets",
            Self::Sampled(_) => "drawn tokens",
            Self::HeadOnly(_) => "targets without a tail",
        };
        Err(LossError::LogitsNotKept { term, targets })
    }
}

/// The logits that a head makes of hidden states.
fn projected(states: &Tensor<3>, head: &Head) -> TargetBatch {
    TargetBatch::Logits(head.logits_of_batch(states.clone()))
}

/// Teacher targets for a list of labels, from which a range can be taken.
///
/// # Shapes
/// The first dimension of a hidden state, and `seq` of `[1, seq, k]` entries, are the labels.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one exists at a time, and what it holds are handles"
)]
pub enum LabelTargets {
    /// The most likely tokens and the mass of the rest.
    TopK(TopKTargetBatch),
    /// Drawn tokens.
    Sampled(SampledTargetBatch),
    /// The most likely tokens of a source that says nothing of the rest.
    HeadOnly(HeadOnlyTargetBatch),
    /// The teacher's last hidden states `[labels, hidden]` and its head: its whole distributions,
    /// made where and when they are compared.
    Hidden {
        /// `[labels, hidden]`
        states: Tensor<2>,
        /// The teacher's output projection.
        head: Head,
    },
}

impl LabelTargets {
    /// How many labels the targets are for.
    pub fn num_labels(&self) -> usize {
        match self {
            Self::TopK(targets) => targets.dims()[1],
            Self::Sampled(targets) => targets.dims()[1],
            Self::HeadOnly(targets) => targets.dims()[1],
            Self::Hidden { states, .. } => states.dims()[0],
        }
    }

    /// The targets of some of the labels.
    pub fn range(&self, range: Range<usize>) -> TargetBatch {
        match self {
            Self::TopK(targets) => TargetBatch::TopK(targets.positions(range)),
            Self::Sampled(targets) => TargetBatch::Sampled(targets.positions(range)),
            Self::HeadOnly(targets) => TargetBatch::HeadOnly(targets.positions(range)),
            Self::Hidden { states, head } => {
                let states = states.clone().narrow(0, range.start, range.len());
                TargetBatch::Logits(head.logits(states))
            }
        }
    }
}
