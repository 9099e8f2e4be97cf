//! Log-softmax over rows, and the mass that a row has outside of some entries.

use rayon::prelude::*;

use super::rows::{exp, exp_in_place, max, sum, sum_exp, vectorized};

/// `x - ln Σ eˣ` for every row.
pub(super) fn forward(logits: &[f32], vocab: usize) -> Vec<f32> {
    let mut all = vec![0.0; logits.len()];
    all.par_chunks_exact_mut(vocab)
        .zip(logits.par_chunks_exact(vocab))
        .for_each(|(out, row)| {
            vectorized(
                #[inline(always)]
                || {
                    let largest = max(row);
                    let log_sum = sum_exp(row, largest).ln();
                    // In this order: a large common offset of the logits cancels exactly.
                    for (out, x) in out.iter_mut().zip(row) {
                        *out = (x - largest) - log_sum;
                    }
                },
            );
        });
    all
}

/// `d - softmax · Σ d` for every row, where `d` is the gradient of the log-probabilities.
pub(super) fn backward(log_probs: &[f32], vocab: usize, gradient: &[f32]) -> Vec<f32> {
    let mut all = vec![0.0; log_probs.len()];
    all.par_chunks_exact_mut(vocab)
        .zip(log_probs.par_chunks_exact(vocab))
        .zip(gradient.par_chunks_exact(vocab))
        .for_each(|((out, log_probs), gradient)| {
            vectorized(
                #[inline(always)]
                || {
                    let total = sum(gradient);
                    for ((out, l), d) in out.iter_mut().zip(log_probs).zip(gradient) {
                        *out = d - exp(*l) * total;
                    }
                },
            );
        });
    all
}

/// `ln Σ exp(l)` over the entries of each row that are not among the row's `ids`.
///
/// The sum runs over those entries themselves: the difference to all of them would cancel.
pub(super) fn log_mass_outside(log_probs: &[f32], vocab: usize, ids: &[usize]) -> Vec<f32> {
    let rows = log_probs.len() / vocab;
    let ids_per_row = ids.len() / rows;
    log_probs
        .par_chunks_exact(vocab)
        .zip(ids.par_chunks_exact(ids_per_row))
        .map_init(
            || vec![0.0; vocab],
            |others, (row, ids)| {
                others.copy_from_slice(row);
                ids.iter().for_each(|&id| others[id] = f32::NEG_INFINITY);
                vectorized(
                    #[inline(always)]
                    || {
                        let largest = max(others);
                        exp_in_place(others, largest);
                        ids.iter().for_each(|&id| others[id] = 0.0);
                        largest + sum(others).ln()
                    },
                )
            },
        )
        .collect()
}

/// `d · exp(l - mass)` outside of the row's ids and 0 at them.
pub(super) fn log_mass_outside_backward(
    log_probs: &[f32],
    vocab: usize,
    ids: &[usize],
    masses: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    let ids_per_row = ids.len() / masses.len();
    let mut all = vec![0.0; log_probs.len()];
    all.par_chunks_exact_mut(vocab)
        .zip(log_probs.par_chunks_exact(vocab))
        .zip(ids.par_chunks_exact(ids_per_row))
        .zip(masses.par_iter().zip(gradient))
        .for_each(|(((out, row), ids), (mass, gradient))| {
            vectorized(
                #[inline(always)]
                || {
                    for (out, l) in out.iter_mut().zip(row) {
                        *out = gradient * exp(l - mass);
                    }
                },
            );
            ids.iter().for_each(|&id| out[id] = 0.0);
        });
    all
}
