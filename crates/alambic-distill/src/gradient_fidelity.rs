//! How close gradients from stored targets are to those from whole distributions.

use std::sync::Arc;

use alambic_transformer::Decoder;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use burn::train::TrainStep;

use crate::loss::{Head, HeadPass, Objective};
use crate::teacher_head::head_for;
use crate::trainer::{MicroBatch, Student, check_source};
use crate::windows::Windows;
use crate::{DataPosition, DistillError, TrainingSource, Window, WindowConfig};

/// What a student is taught, and from what.
#[derive(Clone)]
pub struct Teaching {
    /// The losses.
    pub objective: Objective,
    /// The text with its targets.
    pub source: Arc<dyn TrainingSource>,
}

/// Two gradients of one student on the same text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientFidelity {
    /// The cosine of the angle between them.
    pub cosine: f64,
    /// The norm of the one that is judged, divided by that of the reference.
    pub norm_ratio: f64,
    /// Labels that both are averages over.
    pub labels: u64,
}

/// Compares the gradients of two ways to teach, window by window.
///
/// Each window gives the gradient of the mean loss over its labels, at the student as it is, with respect
/// to all of its weights; nothing is trained. Targets that estimate without bias show a smaller cosine
/// here than they deserve over many steps, since their errors average out; those of a bias do not.
///
/// # Errors
/// [`DistillError::Setting`] for sources that hold different text, and those of a trainer that is given
/// such an objective, source or window.
pub fn gradient_fidelity(
    student: &Decoder,
    judged: &Teaching,
    reference: &Teaching,
    windows: &WindowConfig,
    num_windows: usize,
) -> Result<Vec<GradientFidelity>, DistillError> {
    let sides = [judged, reference];
    let (mut streams, mut heads) = (Vec::new(), Vec::new());
    for side in sides {
        check_source(student, &*side.source, &side.objective, windows)?;
        let objective = &side.objective;
        if !(objective.layer_terms().is_empty() && objective.aligned_terms().is_empty()) {
            return Err(DistillError::Setting {
                key: "objective",
                found: "losses that a live teacher answers".into(),
                expected: "losses of stored targets alone, whose gradients are compared",
            });
        }
        heads.push(head_for(&*side.source, &student.device())?);
        let (source, start) = (side.source.clone(), DataPosition::default());
        let needs_targets = side.objective.needs_targets();
        streams.push(Windows::try_new(
            source,
            windows.clone(),
            start,
            needs_targets,
        )?);
    }
    (0..num_windows)
        .map(|_| {
            let [judged, reference] = [0, 1].map(|side| streams[side].next_window());
            compare(student, sides, &heads, [&judged?, &reference?])
        })
        .collect()
}

fn compare(
    student: &Decoder,
    sides: [&Teaching; 2],
    heads: &[Option<Head>],
    windows: [&Window; 2],
) -> Result<GradientFidelity, DistillError> {
    let [first, second] = windows.map(|window| {
        let sequences = window.sequences.iter();
        sequences
            .map(|sequence| &sequence.segment_keys)
            .collect::<Vec<_>>()
    });
    if first != second {
        return Err(DistillError::Setting {
            key: "source",
            found: "segments other than those of the reference, or another order of them".into(),
            expected: "the same text, captured with the same segments_per_shard",
        });
    }
    let [judged, reference] =
        [0, 1].map(|side| gradient(student, sides[side], heads[side].as_ref(), windows[side]));
    let (dot, squares) = dot(&judged, &reference);
    let [own, other] = squares.map(f64::sqrt);
    if !(own > 0.0 && other > 0.0 && own.is_finite() && other.is_finite()) {
        return Err(DistillError::Setting {
            key: "objective",
            found: format!("gradients of the norms {own} and {other}"),
            expected: "losses whose gradients have a direction at this student",
        });
    }
    Ok(GradientFidelity {
        cosine: dot / (own * other),
        norm_ratio: own / other,
        labels: windows[0].num_labels,
    })
}

/// The gradient of every weight, flat.
fn gradient(
    student: &Decoder,
    teaching: &Teaching,
    teacher_head: Option<&Head>,
    window: &Window,
) -> Vec<Tensor<1>> {
    let device = student.device().autodiff();
    let objective = teaching.objective.clone();
    let model = Student::new(student.clone(), objective, HeadPass::default()).train();
    // The weights of the first step.
    let factors = teaching.objective.factors(1);
    let mut accumulator = GradientsAccumulator::<Student>::new();
    for sequence in &window.sequences {
        let sequence = std::slice::from_ref(sequence);
        let batch = MicroBatch::new(sequence, &factors, window.num_labels, teacher_head, &device);
        accumulator.accumulate(&model, model.step(batch).grads);
    }
    flat(&model, &accumulator.grads())
}

fn flat(model: &Student, gradients: &GradientsParams) -> Vec<Tensor<1>> {
    struct Flat<'a> {
        gradients: &'a GradientsParams,
        parts: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Flat<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.gradients.get::<D>(param.id);
            let of_weight = gradient.unwrap_or_else(|| param.val().without_autodiff().zeros_like());
            self.parts.push(of_weight.flatten(0, D - 1));
        }
    }
    let mut flat = Flat {
        gradients,
        parts: Vec::new(),
    };
    model.visit(&mut flat);
    flat.parts
}

/// The scalar product, and both squared norms.
fn dot(first: &[Tensor<1>], second: &[Tensor<1>]) -> (f64, [f64; 2]) {
    let sum = |products: Vec<Tensor<1>>| -> f64 {
        let sums = products.into_iter().map(Tensor::sum).collect();
        f64::from(Tensor::cat(sums, 0).sum().into_scalar::<f32>())
    };
    let product = |first: &[Tensor<1>], second: &[Tensor<1>]| {
        let pairs = first.iter().zip(second);
        sum(pairs.map(|(x, y)| x.clone() * y.clone()).collect())
    };
    (
        product(first, second),
        [product(first, first), product(second, second)],
    )
}
