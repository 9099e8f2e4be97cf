//! The student as burn-train's learner sees it.

use alambic_transformer::{AttentionContext, Decoder};
use burn::module::Module;
use burn::tensor::{Device, ExecutionError, Int, Tensor};
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::label_list::LabelList;
use crate::loss::{Head, HeadPass, LabelLosses, Objective};
use crate::{DistillationBatch, TargetSequence};

/// What one forward and backward pass reads.
#[derive(Clone, Debug)]
pub(crate) struct MicroBatch {
    /// `[batch, seq]`
    token_ids: Tensor<2, Int>,
    /// Positions and document boundaries.
    context: AttentionContext,
    /// What is predicted, if anything is.
    labels: Option<LabelList>,
    /// What each term's loss at a label is multiplied with, `[terms]`.
    term_weights: Vec<f32>,
}

impl MicroBatch {
    /// A part of a window; `factors` are the terms', and are divided by the labels of the whole
    /// window, known before its first forward pass.
    pub(crate) fn new(
        sequences: &[TargetSequence],
        factors: &[f64],
        window_labels: u64,
        teacher_head: Option<&Head>,
        device: &Device,
    ) -> Self {
        let batch = DistillationBatch::from_sequences(sequences, teacher_head, device);
        let labels = window_labels.max(1) as f64;
        Self {
            labels: LabelList::of(sequences, &batch),
            token_ids: batch.token_ids,
            context: batch.context,
            term_weights: factors
                .iter()
                .map(|factor| (factor / labels) as f32)
                .collect(),
        }
    }
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
    #[module(skip)]
    head_pass: HeadPass,
}

impl Student {
    pub(crate) fn new(decoder: Decoder, objective: Objective, head_pass: HeadPass) -> Self {
        Self {
            decoder,
            objective,
            head_pass,
        }
    }

    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(crate) fn into_decoder(self) -> Decoder {
        self.decoder
    }

    /// The weighted total (differentiable) and every term's sum.
    ///
    /// # Panics
    /// If the batch does not fit the objective; the trainer checks that before its first step.
    fn losses(&self, input: &MicroBatch) -> LabelLosses {
        let hidden = self.decoder.hidden(input.token_ids.clone(), &input.context);
        let device = hidden.device().without_autodiff();
        let num_terms = input.term_weights.len();
        let Some(labels) = &input.labels else {
            return LabelLosses {
                // So that every weight has a gradient, of 0.
                total: (hidden.sum() + self.decoder.head_weight().sum()) * 0.0,
                term_sums: Tensor::zeros([num_terms], &device),
            };
        };
        let weights = Tensor::<1>::from_floats(input.term_weights.as_slice(), &device);
        let weights = weights
            .unsqueeze_dim::<2>(1)
            .expand([num_terms, labels.len()]);
        self.head_pass
            .losses(
                &self.objective,
                &labels.states(hidden),
                &Head::new(self.decoder.head_weight()),
                labels.token_ids(),
                labels.targets(),
                &weights,
            )
            .expect("the cache was checked against the objective before the first step")
    }
}

impl TrainStep for Student {
    type Input = MicroBatch;
    type Output = PassOutput;

    fn step(&self, input: MicroBatch) -> TrainOutput<PassOutput> {
        let LabelLosses { total, term_sums } = self.losses(&input);
        let output = PassOutput {
            term_sums,
            total: total.clone().without_autodiff(),
        };
        TrainOutput::new(self, total.backward(), output)
    }
}

impl InferenceStep for Student {
    type Input = MicroBatch;
    type Output = PassOutput;

    fn step(&self, input: MicroBatch) -> PassOutput {
        let LabelLosses { total, term_sums } = self.losses(&input);
        PassOutput { term_sums, total }
    }
}
