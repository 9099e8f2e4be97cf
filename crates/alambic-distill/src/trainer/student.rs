//! The student as burn-train's learner sees it.

use alambic_transformer::{AttentionContext, Decoder, WantedLayers};
use burn::module::Module;
use burn::tensor::{Device, ExecutionError, Int, Tensor};
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::label_list::LabelList;
use super::live_teacher::{LiveTeacher, model_states, wanted_layers};
use crate::loss::{
    Head, HeadPass, LabelLosses, LabelMask, LayerObjective, ModelStates, Objective, TokenLoss,
};
use crate::teacher_head::decoder_head;
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
    /// Which positions count.
    mask: LabelMask,
    /// What the layers of a live teacher say, if any are imitated.
    teacher_layers: Option<TeacherLayers>,
}

/// What losses between layers read of a live teacher.
#[derive(Clone, Debug)]
struct TeacherLayers {
    states: ModelStates,
    /// What each term's loss at a position is multiplied with, `[layer terms]`.
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
        Self {
            labels: LabelList::of(sequences, &batch),
            token_ids: batch.token_ids,
            context: batch.context,
            term_weights: per_label(factors, window_labels),
            mask: batch.mask,
            teacher_layers: None,
        }
    }

    /// The same part with what `teacher` says about it, for losses between layers.
    pub(crate) fn with_live_teacher(
        mut self,
        teacher: &LiveTeacher,
        factors: &[f64],
        window_labels: u64,
    ) -> Self {
        self.teacher_layers = Some(TeacherLayers {
            states: teacher.states(self.token_ids.clone(), &self.context),
            term_weights: per_label(factors, window_labels),
        });
        self
    }
}

/// Factors divided by the labels of the whole window.
fn per_label(factors: &[f64], window_labels: u64) -> Vec<f32> {
    let labels = window_labels.max(1) as f64;
    let divided = factors.iter().map(|factor| (factor / labels) as f32);
    divided.collect()
}

/// What one pass gives back, detached.
#[derive(Debug)]
pub(crate) struct PassOutput {
    /// Sum of every term over the pass's labels, those of the head first, `[terms]`.
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
    /// Losses between layers, with the projections that are trained for them.
    layers: Option<LayerObjective>,
    #[module(skip)]
    objective: Objective,
    #[module(skip)]
    head_pass: HeadPass,
    /// The last hidden state, which the head reads, and what losses between layers read.
    #[module(skip)]
    wanted: WantedLayers,
}

impl Student {
    /// A student that learns by the terms of the head alone.
    pub(crate) fn new(decoder: Decoder, objective: Objective, head_pass: HeadPass) -> Self {
        let mut wanted = WantedLayers::default();
        wanted
            .hidden_states
            .insert(decoder.config().num_hidden_layers);
        Self {
            decoder,
            layers: None,
            objective,
            head_pass,
            wanted,
        }
    }

    /// The same student, which also imitates layers of a live teacher.
    pub(crate) fn with_layers(mut self, layers: LayerObjective) -> Self {
        let [compared, _] = wanted_layers(&layers);
        self.wanted.hidden_states.extend(compared.hidden_states);
        self.wanted.attention.extend(compared.attention);
        self.layers = Some(layers);
        self
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
        let (ids, context) = (input.token_ids.clone(), &input.context);
        let outputs = self.decoder.layer_outputs(ids, context, &self.wanted);
        let last = self.decoder.config().num_hidden_layers;
        let hidden = outputs.hidden_states[&last].clone();
        let of_head = self.losses_of_head(input, hidden);
        let Some(layers) = &self.layers else {
            return of_head;
        };
        let teacher = input.teacher_layers.as_ref();
        let teacher = teacher.expect("a live teacher reads every batch of such a student");
        let states = model_states(outputs);
        let losses = layers
            .losses(
                &states,
                &teacher.states,
                context.visible_keys(),
                &input.mask,
            )
            .expect("the layers were checked against both models before the first step");
        let LabelLosses {
            mut total,
            term_sums,
        } = of_head;
        let mut sums = vec![term_sums];
        for (TokenLoss { sum, .. }, &weight) in losses.into_iter().zip(&teacher.term_weights) {
            sums.push(sum.clone().without_autodiff());
            total = total + sum * weight;
        }
        LabelLosses {
            total,
            term_sums: Tensor::cat(sums, 0),
        }
    }

    fn losses_of_head(&self, input: &MicroBatch, hidden: Tensor<3>) -> LabelLosses {
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
                &decoder_head(&self.decoder),
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
