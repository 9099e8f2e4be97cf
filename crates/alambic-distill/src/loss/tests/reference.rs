//! The losses in `f64` on the host, from their formulas in probabilities, without logarithms of
//! sums or tensors: an implementation that shares nothing with the one under test.

use super::{Kept, TailTreatment};

/// A divergence of a teacher `p` and a student `q` over the same outcomes.
pub(super) type Formula = fn(&[f64], &[f64]) -> f64;

pub(super) fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = logits.iter().map(|z| (z - largest).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|e| e / sum).collect()
}

/// `Σ a ln (a ÷ b)`
pub(super) fn kl(a: &[f64], b: &[f64]) -> f64 {
    let terms = a.iter().zip(b).filter(|(a, _)| **a > 0.0);
    terms.map(|(a, b)| a * (a / b).ln()).sum()
}

pub(super) fn entropy(p: &[f64]) -> f64 {
    let terms = p.iter().filter(|p| **p > 0.0);
    -terms.map(|p| p * p.ln()).sum::<f64>()
}

/// `w a + (1 − w) b`
pub(super) fn mixture(weight: f64, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mixed = a.iter().zip(b);
    mixed
        .map(|(a, b)| weight * a + (1.0 - weight) * b)
        .collect()
}

pub(super) fn jensen_shannon(beta: f64, p: &[f64], q: &[f64]) -> f64 {
    let m = mixture(beta, p, q);
    beta * kl(p, &m) + (1.0 - beta) * kl(q, &m)
}

pub(super) fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>()
}

/// The share of the forward divergence in an adaptive one.
pub(super) fn forward_share(head_mass: f64, p: &[f64], q: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let (mut before, mut head, mut tail) = (0.0, 0.0, 0.0);
    for id in order {
        let gap = (p[id] - q[id]).abs();
        *(if before < head_mass {
            &mut head
        } else {
            &mut tail
        }) += gap;
        before += p[id];
    }
    if head + tail == 0.0 {
        0.5
    } else {
        head / (head + tail)
    }
}

pub(super) fn adaptive(head_mass: f64, p: &[f64], q: &[f64]) -> f64 {
    let share = forward_share(head_mass, p, q);
    share * kl(p, q) + (1.0 - share) * kl(q, p)
}

/// The `k` most likely entries, and the mass of the others.
pub(super) fn truncate(p: &[f64], k: usize) -> (Vec<usize>, f64) {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
    let tail = order[k..].iter().map(|&id| p[id]).sum();
    (order[..k].to_vec(), tail)
}

/// Teacher and student over the outcomes of a pair, from whole distributions.
pub(super) fn outcomes(p: &[f64], q: &[f64], kept: Kept) -> (Vec<f64>, Vec<f64>) {
    let Kept::TopK(k, treatment) = kept else {
        return (p.to_vec(), q.to_vec());
    };
    let (ids, p_tail) = truncate(p, k);
    let mut stored_p: Vec<f64> = ids.iter().map(|&id| p[id]).collect();
    let mut stored_q: Vec<f64> = ids.iter().map(|&id| q[id]).collect();
    if k == p.len() {
        return (stored_p, stored_q);
    }
    let q_tail: f64 = (0..q.len())
        .filter(|id| !ids.contains(id))
        .map(|id| q[id])
        .sum();
    let normalise = |values: &mut Vec<f64>| {
        let sum: f64 = values.iter().sum();
        values.iter_mut().for_each(|value| *value /= sum);
    };
    match treatment {
        TailTreatment::TailBucket => {
            stored_p.push(p_tail);
            stored_q.push(q_tail);
        }
        TailTreatment::ZeroFill => {
            stored_p.push(0.0);
            stored_q.push(q_tail);
        }
        TailTreatment::RenormaliseTeacher => {
            normalise(&mut stored_p);
            stored_p.push(0.0);
            stored_q.push(q_tail);
        }
        TailTreatment::RenormaliseBoth => {
            normalise(&mut stored_p);
            normalise(&mut stored_q);
        }
    }
    (stored_p, stored_q)
}
