//! The ladder for every divergence: formula, identities, limits, gradients, golden values.

#![allow(clippy::unwrap_used)]

mod aligned_groups;
mod byte_alignment;
mod chunked;
mod differences;
mod extreme_logits;
mod gradients;
mod hidden_states;
mod hybrid_logit;
mod identities;
mod kd_vectors;
mod limits;
mod logit_mse;
mod objective;
mod padded_vocabulary;
mod recorded;
mod recorded_divergences;
mod recorded_unlike_models;
mod reference;
mod relations;
mod sampled;
mod temperature;
mod tempered;
mod universal_logit;
mod weight_ramp;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::*;

/// Sums of a few hundred `f32` terms of order one.
const F32_SUM_TOLERANCE: f64 = 2e-5;

/// Every divergence of a pair, with the formula that it should follow.
fn divergences() -> Vec<(Box<dyn Divergence>, reference::Formula)> {
    let beta = |beta| Box::new(JensenShannon::try_new(beta).unwrap());
    vec![
        (Box::new(ForwardKl), reference::kl),
        (Box::new(ReverseKl), |p, q| reference::kl(q, p)),
        (Box::new(SymmetricKl), |p, q| {
            0.5 * (reference::kl(p, q) + reference::kl(q, p))
        }),
        (beta(0.0), reference::kl),
        (beta(0.1), |p, q| reference::jensen_shannon(0.1, p, q)),
        (beta(0.5), |p, q| reference::jensen_shannon(0.5, p, q)),
        (beta(0.9), |p, q| reference::jensen_shannon(0.9, p, q)),
        (beta(1.0), |p, q| reference::kl(q, p)),
        (Box::new(SkewKl::try_new(0.0).unwrap()), reference::kl),
        (Box::new(SkewKl::try_new(0.1).unwrap()), |p, q| {
            reference::kl(p, &reference::mixture(0.1, p, q))
        }),
        (Box::new(SkewReverseKl::try_new(0.0).unwrap()), |p, q| {
            reference::kl(q, p)
        }),
        (Box::new(SkewReverseKl::try_new(0.1).unwrap()), |p, q| {
            reference::kl(q, &reference::mixture(0.1, q, p))
        }),
        (Box::new(AdaptiveKl::try_new(0.5).unwrap()), |p, q| {
            reference::adaptive(0.5, p, q)
        }),
        (Box::new(TotalVariation), reference::total_variation),
    ]
}

/// What the teacher's side of a pair is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    Everything,
    TopK(usize, TailTreatment),
}

const TREATMENTS: [TailTreatment; 4] = [
    TailTreatment::TailBucket,
    TailTreatment::ZeroFill,
    TailTreatment::RenormaliseTeacher,
    TailTreatment::RenormaliseBoth,
];

/// Dense, and the `k` most likely entries under every treatment.
fn every_kind(k: usize) -> impl Iterator<Item = Kept> {
    let truncated = TREATMENTS.map(|treatment| Kept::TopK(k, treatment));
    std::iter::once(Kept::Everything).chain(truncated)
}

impl Kept {
    /// Whether the divergence has a value on such a pair.
    fn serves(self, divergence: &dyn Divergence) -> bool {
        !divergence.needs_teacher_mass()
            || !matches!(
                self,
                Self::TopK(
                    _,
                    TailTreatment::ZeroFill | TailTreatment::RenormaliseTeacher
                )
            )
    }
}

/// Rows of logits as one batch `[1, rows, vocab]`.
fn logits(rows: &[Vec<f64>], dtype: DType, device: &Device) -> Tensor<3> {
    let values: Vec<f64> = rows.concat();
    let data = TensorData::new(values, [1, rows.len(), rows[0].len()]).convert_dtype(dtype);
    Tensor::from_data(data, (device, dtype))
}

/// The pair of a teacher and a student, given by their logits.
fn pair(teacher: &[Vec<f64>], student: Tensor<3>, kept: Kept) -> DistributionPair {
    let (device, dtype) = (student.device().without_autodiff(), student.dtype());
    let student = LogProbs::from_logits(student);
    match kept {
        Kept::Everything => {
            let teacher = LogProbs::from_logits(logits(teacher, dtype, &device));
            DistributionPair::dense(&teacher, &student).unwrap()
        }
        Kept::TopK(k, treatment) => {
            let targets = top_k_targets(teacher, k, dtype, &device);
            DistributionPair::top_k(&targets, &student, treatment).unwrap()
        }
    }
}

/// The `k` most likely entries of every row of a teacher.
fn top_k_targets(teacher: &[Vec<f64>], k: usize, dtype: DType, device: &Device) -> TopKTargetBatch {
    let (mut ids, mut values, mut tails, mut entropies) = (vec![], vec![], vec![], vec![]);
    for row in teacher {
        let probs = reference::softmax(row);
        let (kept, tail) = reference::truncate(&probs, k);
        values.extend(kept.iter().map(|&id| probs[id].ln()));
        ids.extend(kept.iter().map(|&id| id as i32));
        tails.push(tail);
        entropies.push(reference::entropy(&probs));
    }
    let floats = |values: Vec<f64>| TensorData::new(values, [1, teacher.len()]);
    let on_device = (device, dtype);
    TopKTargetBatch {
        largest_token_id: ids.iter().max().unwrap().cast_unsigned(),
        token_ids: Tensor::from_data(TensorData::new(ids, [1, teacher.len(), k]), device),
        log_probs: Tensor::from_data(
            TensorData::new(values, [1, teacher.len(), k]).convert_dtype(dtype),
            on_device,
        ),
        tail_mass: Tensor::from_data(floats(tails).convert_dtype(dtype), on_device),
        entropy: Tensor::from_data(floats(entropies).convert_dtype(dtype), on_device),
        tempered: vec![],
    }
}

fn every_label(rows: usize, device: &Device) -> LabelMask {
    LabelMask::new(&vec![true; rows], [1, rows], device)
}

/// The values of a tensor of one float type or the other.
fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor
        .into_data()
        .convert::<f64>()
        .try_to_vec::<f64>()
        .unwrap()
}

/// The divergence of every row.
fn values(
    divergence: &dyn Divergence,
    teacher: &[Vec<f64>],
    student: &[Vec<f64>],
    kept: Kept,
    (dtype, device): (DType, &Device),
) -> Vec<f64> {
    let student = logits(student, dtype, device);
    floats(divergence.per_token(&pair(teacher, student, kept)))
}
