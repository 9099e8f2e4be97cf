//! The student as burn-train's learner sees it.

use alambic_transformer::{AttentionContext, Decoder, LayerOutputs, Recomputation, WantedLayers};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, ExecutionError, Int, Tensor};
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::aligned_teacher::{AlignedReader, AlignedReading};
use super::label_list::LabelList;
use super::live_teacher::{LiveTeacher, model_states, wanted_layers};
use crate::loss::{
    AlignedGroups, AlignedObjective, AlignedPair, Head, HeadPass, LabelLosses, LabelMask,
    LayerObjective, LogProbs, ModelStates, Objective, TokenLoss,
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
    /// What a teacher of another vocabulary says, if the student learns from one.
    aligned: Option<AlignedTargets>,
    /// What the layers of a live teacher say, if any are imitated.
    teacher_layers: Option<TeacherLayers>,
}

/// What losses between two vocabularies read of a live teacher.
#[derive(Clone, Debug)]
struct AlignedTargets {
    log_probs: LogProbs,
    groups: AlignedGroups,
    /// What each term's loss at a group is multiplied with, `[aligned terms]`.
    term_weights: Vec<f32>,
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
            aligned: None,
            teacher_layers: None,
        }
    }

    /// The same part with what a teacher of another vocabulary says about it; `factors` are divided by the
    /// groups of the whole window.
    pub(crate) fn with_aligned_teacher(
        mut self,
        teacher: &AlignedReader,
        reading: &AlignedReading,
        factors: &[f64],
        window_groups: u64,
    ) -> Self {
        self.aligned = Some(AlignedTargets {
            log_probs: teacher.log_probs(reading),
            groups: reading.groups().clone(),
            term_weights: per_label(factors, window_groups),
        });
        self
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
    /// Sum of every term: those at the pass's labels, those between vocabularies, those between layers; `[terms]`.
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
    /// Losses between two vocabularies.
    #[module(skip)]
    aligned: Option<AlignedObjective>,
    #[module(skip)]
    head_pass: HeadPass,
    /// The last hidden state, which the head reads, and what losses between layers read.
    #[module(skip)]
    wanted: WantedLayers,
    /// Whether what is inside of a layer is computed again when its gradients are.
    #[module(skip)]
    recomputes: bool,
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
            aligned: None,
            head_pass,
            wanted,
            recomputes: false,
        }
    }

    /// The same student, of whose layers one at a time is held for the gradients.
    pub(crate) fn with_recomputation(mut self, recomputes: bool) -> Self {
        self.recomputes = recomputes;
        self
    }

    /// The same student, which also learns from a teacher of another vocabulary.
    pub(crate) fn with_aligned(mut self, aligned: AlignedObjective) -> Self {
        self.aligned = Some(aligned);
        self
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
    fn losses(&self, input: &MicroBatch, outputs: &LayerOutputs) -> LabelLosses {
        let last = self.decoder.config().num_hidden_layers;
        let hidden = outputs.hidden_states[&last].clone();
        let (mut total, mut sums) = self.losses_of_head(input, hidden.clone());
        let weighted = self
            .losses_of_vocabularies(input, hidden)
            .into_iter()
            .chain(self.losses_of_layers(input, outputs));
        for (TokenLoss { sum, .. }, weight) in weighted {
            sums.push(sum.clone().without_autodiff());
            total = total + sum * weight;
        }
        LabelLosses {
            total,
            term_sums: Tensor::cat(sums, 0),
        }
    }

    fn outputs(&self, input: &MicroBatch) -> LayerOutputs {
        let (ids, context) = (input.token_ids.clone(), &input.context);
        self.decoder.layer_outputs(ids, context, &self.wanted)
    }

    /// The losses, and the gradients of every parameter.
    fn differentiate(&self, input: &MicroBatch) -> (LabelLosses, GradientsParams) {
        if !self.recomputes {
            let losses = self.losses(input, &self.outputs(input));
            let gradients = losses.total.backward();
            return (losses, GradientsParams::from_grads(gradients, self));
        }
        let (ids, context) = (input.token_ids.clone(), &input.context);
        let (outputs, pass) = Recomputation::forward(&self.decoder, ids, context, &self.wanted);
        let losses = self.losses(input, &outputs);
        drop(outputs);
        let mut of_losses = losses.total.backward();
        let mut sum = GradientsAccumulator::new();
        let mut add =
            |gradients| sum.accumulate(self, GradientsParams::from_grads(gradients, self));
        pass.backward(&self.decoder, &mut of_losses, &mut add);
        add(of_losses);
        (losses, sum.grads())
    }

    /// The losses between vocabularies, each with its weight.
    fn losses_of_vocabularies(
        &self,
        input: &MicroBatch,
        hidden: Tensor<3>,
    ) -> Vec<(TokenLoss, f32)> {
        let Some(aligned) = &self.aligned else {
            return Vec::new();
        };
        let teacher = input.aligned.as_ref();
        let teacher = teacher.expect("a live teacher reads every batch of such a student");
        let [batch, seq, width] = hidden.dims();
        let states = hidden.reshape([batch * seq, width]);
        let student = decoder_head(&self.decoder).logits(states).into_log_probs();
        let losses = AlignedPair::by_bytes(&teacher.log_probs, &student, &teacher.groups)
            .and_then(|pair| aligned.losses(&pair, teacher.groups.mask()))
            .expect("the groups were made for these batches");
        let weights = teacher.term_weights.iter().copied();
        losses.into_iter().zip(weights).collect()
    }

    /// The losses between layers, each with its weight.
    fn losses_of_layers(
        &self,
        input: &MicroBatch,
        outputs: &LayerOutputs,
    ) -> Vec<(TokenLoss, f32)> {
        let Some(layers) = &self.layers else {
            return Vec::new();
        };
        let teacher = input.teacher_layers.as_ref();
        let teacher = teacher.expect("a live teacher reads every batch of such a student");
        let states = model_states(outputs.clone());
        let visible = input.context.visible_keys();
        let losses = layers
            .losses(&states, &teacher.states, visible, &input.mask)
            .expect("the layers were checked against both models before the first step");
        let weights = teacher.term_weights.iter().copied();
        losses.into_iter().zip(weights).collect()
    }

    /// The total of the losses at the labels, and the sums of its terms.
    fn losses_of_head(&self, input: &MicroBatch, hidden: Tensor<3>) -> (Tensor<1>, Vec<Tensor<1>>) {
        let device = hidden.device().without_autodiff();
        let num_terms = input.term_weights.len();
        let labels = input.labels.as_ref().filter(|_| num_terms > 0);
        let Some(labels) = labels else {
            // So that every weight has a gradient, of 0.
            let total = (hidden.sum() + self.decoder.head_weight().sum()) * 0.0;
            let sums = (0..num_terms).map(|_| Tensor::zeros([1], &device));
            return (total, sums.collect());
        };
        let weights = Tensor::<1>::from_floats(input.term_weights.as_slice(), &device);
        let weights = weights
            .unsqueeze_dim::<2>(1)
            .expand([num_terms, labels.len()]);
        let losses = self
            .head_pass
            .losses(
                &self.objective,
                &labels.states(hidden),
                &decoder_head(&self.decoder),
                labels.token_ids(),
                labels.targets(),
                &weights,
            )
            .expect("the cache was checked against the objective before the first step");
        (losses.total, vec![losses.term_sums])
    }
}

impl TrainStep for Student {
    type Input = MicroBatch;
    type Output = PassOutput;

    fn step(&self, input: MicroBatch) -> TrainOutput<PassOutput> {
        let (LabelLosses { total, term_sums }, grads) = self.differentiate(&input);
        let total = total.without_autodiff();
        let item = PassOutput { term_sums, total };
        TrainOutput { grads, item }
    }
}

impl InferenceStep for Student {
    type Input = MicroBatch;
    type Output = PassOutput;

    fn step(&self, input: MicroBatch) -> PassOutput {
        let LabelLosses { total, term_sums } = self.losses(&input, &self.outputs(&input));
        PassOutput { term_sums, total }
    }
}
