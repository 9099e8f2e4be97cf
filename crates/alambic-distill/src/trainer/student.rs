//! The student as burn-train's learner sees it.

use alambic_transformer::Decoder;
use burn::module::Module;
use burn::tensor::{ExecutionError, Tensor};
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use crate::DistillationBatch;
use crate::loss::{LogProbs, Objective};

/// One forward and backward pass: a batch and the number its sums are divided by.
#[derive(Clone, Debug)]
pub(crate) struct MicroBatch {
    /// What the student reads.
    pub batch: DistillationBatch,
    /// Counted labels of the whole window, known before its first forward pass.
    pub window_labels: u64,
}

/// What one pass gives back, detached.
#[derive(Debug)]
pub(crate) struct PassOutput {
    /// Sum of every term over the pass's labels, `[terms]`, nats.
    pub term_sums: Tensor<1>,
    /// The weighted total, already divided by the window's labels, `[1]`.
    pub total: Tensor<1>,
}

impl ItemLazy for PassOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.total.device().flush()?;
        Ok(self)
    }
}

impl Adaptor<LossInput> for PassOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.total.clone())
    }
}

/// The student with its objective: burn-train's model.
#[derive(Module, Debug)]
pub(crate) struct Student {
    decoder: Decoder,
    #[module(skip)]
    objective: Objective,
}

impl Student {
    pub(crate) fn new(decoder: Decoder, objective: Objective) -> Self {
        Self { decoder, objective }
    }

    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(crate) fn into_decoder(self) -> Decoder {
        self.decoder
    }

    /// The weighted total (differentiable) and every term's sum (detached).
    ///
    /// # Panics
    /// If the batch does not fit the objective; the trainer checks that before its first step.
    fn losses(&self, input: &MicroBatch) -> (Tensor<1>, Tensor<1>) {
        let batch = &input.batch;
        let logits = self
            .decoder
            .forward(batch.token_ids.clone(), &batch.context);
        let log_probs = LogProbs::from_logits(logits);
        let losses = self
            .objective
            .losses(
                &log_probs,
                &batch.labels,
                batch.targets.as_ref(),
                &batch.mask,
            )
            .expect("the cache was checked against the objective before the first step");
        let weights = self.objective.terms().iter().map(|term| term.weight);
        let total = losses
            .iter()
            .zip(weights)
            .map(|(loss, weight)| {
                loss.sum
                    .clone()
                    .mul_scalar(weight / input.window_labels.max(1) as f64)
            })
            .reduce(|total, term| total + term)
            .expect("an objective has at least one term");
        let sums = Tensor::cat(
            losses.into_iter().map(|loss| loss.sum.detach()).collect(),
            0,
        );
        (total, sums)
    }
}

impl TrainStep for Student {
    type Input = MicroBatch;
    type Output = PassOutput;

    fn step(&self, input: MicroBatch) -> TrainOutput<PassOutput> {
        let (total, term_sums) = self.losses(&input);
        let output = PassOutput {
            term_sums: term_sums.without_autodiff(),
            total: total.clone().without_autodiff(),
        };
        TrainOutput::new(self, total.backward(), output)
    }
}

impl InferenceStep for Student {
    type Input = MicroBatch;
    type Output = PassOutput;

    fn step(&self, input: MicroBatch) -> PassOutput {
        let (total, term_sums) = self.losses(&input);
        PassOutput { term_sums, total }
    }
}
