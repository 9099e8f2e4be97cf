//! Operations that take one element, or one pair, at a time.

use rayon::prelude::*;

use super::rows::{exp, vectorized};

/// Elements per task.
const CHUNK: usize = 1 << 14;

/// `silu(gate) · up`
pub(super) fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut all = vec![0.0; gate.len()];
    all.par_chunks_mut(CHUNK)
        .zip(gate.par_chunks(CHUNK))
        .zip(up.par_chunks(CHUNK))
        .for_each(|((all, gate), up)| {
            vectorized(
                #[inline(always)]
                || {
                    for ((out, g), u) in all.iter_mut().zip(gate).zip(up) {
                        *out = g * sigmoid(*g) * u;
                    }
                },
            );
        });
    all
}

/// Gradients of gate and up.
pub(super) fn swiglu_backward(gate: &[f32], up: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut of_gate, mut of_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    of_gate
        .par_chunks_mut(CHUNK)
        .zip(of_up.par_chunks_mut(CHUNK))
        .enumerate()
        .for_each(|(index, (of_gate, of_up))| {
            let range = index * CHUNK..index * CHUNK + of_gate.len();
            let (gate, up, gradient) = (
                &gate[range.clone()],
                &up[range.clone()],
                &gradient[range.clone()],
            );
            vectorized(
                #[inline(always)]
                || {
                    let inputs = gate.iter().zip(up).zip(gradient);
                    for ((of_gate, of_up), ((g, u), d)) in of_gate.iter_mut().zip(of_up).zip(inputs)
                    {
                        let s = sigmoid(*g);
                        *of_gate = d * u * s * (1.0 + g * (1.0 - s));
                        *of_up = d * g * s;
                    }
                },
            );
        });
    (of_gate, of_up)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The direction of a rotation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Forwards,
    /// The transposed rotation, which is the gradient's.
    Backwards,
}

/// Rotates pairs `(i, i + head_dim / 2)` of `[rows, heads, head_dim]`.
///
/// `cos` and `sin` are `[rows or a divisor of it, head_dim / 2]`, and repeat over the rows.
pub(super) fn rotate(
    states: &[f32],
    cos: &[f32],
    sin: &[f32],
    [heads, head_dim]: [usize; 2],
    turn: Turn,
) -> Vec<f32> {
    let (row, half) = (heads * head_dim, head_dim / 2);
    let table_rows = cos.len() / half;
    let rows_per_task = CHUNK.div_ceil(row);
    let mut all = vec![0.0; states.len()];
    all.par_chunks_mut(rows_per_task * row)
        .zip(states.par_chunks(rows_per_task * row))
        .enumerate()
        .for_each(|(task, (all, states))| {
            let rows = all.chunks_exact_mut(row).zip(states.chunks_exact(row));
            vectorized(
                #[inline(always)]
                || {
                    for (index, (out, from)) in rows.enumerate() {
                        let at = (task * rows_per_task + index) % table_rows * half;
                        let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
                        rotate_row(out, from, cos, sin, turn);
                    }
                },
            );
        });
    all
}

#[inline(always)]
fn rotate_row(out: &mut [f32], from: &[f32], cos: &[f32], sin: &[f32], turn: Turn) {
    let half = cos.len();
    let sign = if turn == Turn::Forwards { 1.0 } else { -1.0 };
    let heads = out
        .chunks_exact_mut(2 * half)
        .zip(from.chunks_exact(2 * half));
    for (out, from) in heads {
        let (out_first, out_second) = out.split_at_mut(half);
        let (first, second) = from.split_at(half);
        for i in 0..half {
            let s = sign * sin[i];
            out_first[i] = first[i] * cos[i] - second[i] * s;
            out_second[i] = second[i] * cos[i] + first[i] * s;
        }
    }
}
