//! A teacher that answers while the student trains: what losses between layers read.

use alambic_transformer::{
    AttentionContext, AttentionProjections, Decoder, DecoderConfig, LayerOutputs, LayerSizes,
    WantedLayers,
};
use burn::tensor::{Int, Tensor};

use crate::loss::{
    AttentionStates, LayerObjective, LayerStates, ModelShape, ModelShapes, ModelStates, Objective,
};
use crate::teacher::{DecoderTeacher, Teacher};
use crate::{DistillError, WindowConfig};

/// The layers of a frozen decoder that a student imitates.
#[derive(Clone, Debug)]
pub(crate) struct LiveTeacher {
    decoder: Decoder,
    wanted: WantedLayers,
}

impl LiveTeacher {
    /// A teacher without autodiff, on the student's device.
    pub(crate) fn new(decoder: Decoder, layers: &LayerObjective) -> Self {
        let [_, wanted] = wanted_layers(layers);
        Self { decoder, wanted }
    }

    /// What its layers say about a batch: `[batch, seq]` ids of the student's context.
    pub(crate) fn states(
        &self,
        token_ids: Tensor<2, Int>,
        context: &AttentionContext,
    ) -> ModelStates {
        let token_ids = token_ids.without_autodiff();
        model_states(self.decoder.layer_outputs(token_ids, context, &self.wanted))
    }
}

/// The layers that are read of the student, and of the teacher.
pub(super) fn wanted_layers(layers: &LayerObjective) -> [WantedLayers; 2] {
    let [student, teacher] = layers.hidden_layers();
    let [student_attention, teacher_attention] = layers.attention_layers();
    [(student, student_attention), (teacher, teacher_attention)].map(
        |(hidden_states, attention)| WantedLayers {
            hidden_states,
            attention,
        },
    )
}

/// A decoder's outputs as losses read them.
pub(super) fn model_states(outputs: LayerOutputs) -> ModelStates {
    let hidden = outputs.hidden_states;
    let hidden = (!hidden.is_empty())
        .then(|| LayerStates::try_new(hidden).expect("the layers of one pass have one shape"));
    let attention = outputs.attention.into_iter().map(|(layer, projections)| {
        let AttentionProjections {
            queries,
            keys,
            values,
        } = projections;
        let states = AttentionStates::new()
            .with_queries(queries)
            .with_keys(keys)
            .with_values(values);
        (layer, states)
    });
    let attention = attention.collect();
    ModelStates { hidden, attention }
}

/// The losses between layers of an objective, checked against both models and the windows; `None` for an
/// objective without any.
///
/// # Errors
/// [`DistillError::Setting`] for layer terms without a teacher, for a teacher of another vocabulary and for
/// windows that it cannot read; the errors of [`LayerObjective::init`].
pub(super) fn layer_objective(
    objective: &Objective,
    student: &Decoder,
    teacher: Option<&DecoderTeacher>,
    windows: &WindowConfig,
) -> Result<Option<LayerObjective>, DistillError> {
    if objective.layer_terms().is_empty() {
        return Ok(None);
    }
    let refuse = |key, found: String, expected| {
        Err(DistillError::Setting {
            key,
            found,
            expected,
        })
    };
    let Some(teacher) = teacher else {
        let expected =
            "a live teacher (Trainer::with_teacher): no cache keeps the states of layers";
        return refuse("objective.layer_terms", "no teacher".into(), expected);
    };
    let (vocab, expected) = (teacher.vocab_size(), student.config().vocab_size);
    if vocab != expected {
        let found = format!("{vocab} tokens, for a student of {expected}");
        return refuse("teacher", found, "a teacher of the student's vocabulary");
    }
    let (window, limit) = (windows.sequence_tokens, teacher.max_sequence_tokens());
    if window > limit {
        let found = format!("{window}, for a live teacher of at most {limit} positions");
        return refuse(
            "sequence_tokens",
            found,
            "at most what the teacher can read",
        );
    }
    let shapes = ModelShapes {
        student: model_shape(student.config()),
        teacher: model_shape(teacher.decoder().config()),
    };
    let seed = crate::derive_seed(windows.seed, "layer projections");
    let device = student.device();
    let layers = LayerObjective::init(objective.layer_terms(), shapes, seed, &device)?;
    Ok(Some(layers))
}

/// What losses between layers know about a decoder. Where its layers have unlike numbers of heads, these are their
/// greatest common divisors: whatever divides them divides those of every layer.
pub fn model_shape(config: &DecoderConfig) -> ModelShape {
    let common = |heads: fn(LayerSizes) -> usize| {
        let heads = config.all_layer_sizes().map(heads);
        heads.fold(0, greatest_common_divisor)
    };
    ModelShape {
        num_layers: config.num_hidden_layers,
        hidden_size: config.hidden_size,
        num_attention_heads: common(|sizes| sizes.num_attention_heads),
        num_key_value_heads: common(|sizes| sizes.num_key_value_heads),
        head_dim: config.head_dim,
    }
}

fn greatest_common_divisor(left: usize, right: usize) -> usize {
    match right {
        0 => left,
        _ => greatest_common_divisor(right, left % right),
    }
}
