//! Causal grouped-query attention in blocks of queries, forwards and backwards.
//!
//! The weights of one block exist at a time; backwards they are computed again from the kept
//! log-sum-exp of each query (Dao et al. 2022, arXiv:2205.14135, algorithm 4).

use std::ops::Range;

use rayon::prelude::*;

use super::matmul::{Into, View, matmul};
use super::rows::{dot, exp_in_place, exp_in_place_with_sum, max, vectorized};

/// Queries whose weights are computed together.
const BLOCK_QUERIES: usize = 64;

/// Sizes of one attention. Queries are `[batch, seq, heads, head_dim]`, keys and values
/// `[batch, seq, groups, head_dim]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) seq: usize,
    pub(super) heads: usize,
    pub(super) groups: usize,
    pub(super) head_dim: usize,
}

impl Sizes {
    /// Query heads that share a key and value head.
    fn shared(&self) -> usize {
        self.heads / self.groups
    }

    fn scale(&self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }

    /// The rows `[seq, head_dim]` of one head out of `[batch, seq, heads, head_dim]`, from `start`.
    fn head<'a>(&self, all: &'a [f32], batch: usize, start: usize, head: Head) -> View<'a> {
        let (index, heads) = match head {
            Head::Query(index) => (index, self.heads),
            Head::KeyValue(index) => (index, self.groups),
        };
        let offset = ((batch * self.seq + start) * heads + index) * self.head_dim;
        View::rows(&all[offset..], heads * self.head_dim)
    }
}

#[derive(Clone, Copy)]
enum Head {
    Query(usize),
    KeyValue(usize),
}

#[derive(Debug)]
/// Which keys each query sees: from `first[query]` to the query itself, for every row.
pub(super) struct Visible {
    pub(super) first: Vec<usize>,
    pub(super) seq: usize,
}

impl Visible {
    /// One row for each batch row, or a single one for all.
    fn row(&self, batch: usize) -> &[usize] {
        let rows = self.first.len() / self.seq;
        let row = if rows == 1 { 0 } else { batch };
        &self.first[row * self.seq..(row + 1) * self.seq]
    }
}

/// Neighbouring queries and all keys that any of them sees.
struct Block {
    queries: Range<usize>,
    keys: Range<usize>,
}

/// Cuts a row where a query no longer sees the block's first query, so that documents that share a
/// row cost no more than documents in rows of their own.
fn blocks(first: &[usize]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < first.len() {
        let most = (start + BLOCK_QUERIES).min(first.len());
        let end = (start + 1..most)
            .find(|&query| first[query] > start)
            .unwrap_or(most);
        let keys = first[start..end].iter().copied().min().unwrap_or(start);
        blocks.push(Block {
            queries: start..end,
            keys: keys..end,
        });
        start = end;
    }
    blocks
}

/// What the forward pass gives.
pub(super) struct Mixed {
    /// `[batch, seq, heads, head_dim]`
    pub(super) values: Vec<f32>,
    /// Log-sum-exp of the scores of every query, `[batch · groups][shared, seq]`.
    pub(super) log_sum_exp: Vec<Vec<f32>>,
}

/// The three inputs.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) queries: &'a [f32],
    pub(super) keys: &'a [f32],
    pub(super) values: &'a [f32],
}

pub(super) fn forward(inputs: Inputs<'_>, visible: &Visible, sizes: Sizes) -> Mixed {
    let (parts, log_sum_exp): (Vec<_>, Vec<_>) = (0..sizes.batch * sizes.groups)
        .into_par_iter()
        .map(|task| forward_group(inputs, visible, sizes, task))
        .unzip();
    Mixed {
        values: interleave_heads(&parts, sizes),
        log_sum_exp,
    }
}

/// The heads of one group of one batch row: values `[shared, seq, head_dim]` and log-sum-exps.
fn forward_group(
    inputs: Inputs<'_>,
    visible: &Visible,
    sizes: Sizes,
    task: usize,
) -> (Vec<f32>, Vec<f32>) {
    let Sizes { seq, head_dim, .. } = sizes;
    let (batch, group) = (task / sizes.groups, task % sizes.groups);
    let first = visible.row(batch);
    let mut mixed = vec![0.0; sizes.shared() * seq * head_dim];
    let mut log_sum_exp = vec![0.0; sizes.shared() * seq];
    let mut weights = vec![0.0; BLOCK_QUERIES.min(seq) * seq];
    let mut totals = [0.0; BLOCK_QUERIES];
    let blocks = blocks(first);
    for shared in 0..sizes.shared() {
        let head = Head::Query(group * sizes.shared() + shared);
        for Block { queries, keys } in &blocks {
            let size = [queries.len(), head_dim, keys.len()];
            let at = shared * seq + queries.start;
            let query_rows = sizes.head(inputs.queries, batch, queries.start, head);
            let key_rows = sizes.head(inputs.keys, batch, keys.start, Head::KeyValue(group));
            let value_rows = sizes.head(inputs.values, batch, keys.start, Head::KeyValue(group));
            let key_columns = key_rows.transposed();
            let (scale, over) = (sizes.scale(), Into::Overwrite);
            matmul(&mut weights, over, size, query_rows, key_columns, scale);
            let log_sums = &mut log_sum_exp[at..at + queries.len()];
            vectorized(
                #[inline(always)]
                || exponentials(&mut weights, keys, first, queries, &mut totals, log_sums),
            );
            let size = [queries.len(), keys.len(), head_dim];
            let weight_rows = View::rows(&weights, keys.len());
            let destination = &mut mixed[at * head_dim..(at + queries.len()) * head_dim];
            matmul(destination, over, size, weight_rows, value_rows, 1.0);
            for (row, total) in destination.chunks_exact_mut(head_dim).zip(&totals) {
                let inverse = 1.0 / total;
                row.iter_mut().for_each(|value| *value *= inverse);
            }
        }
    }
    (mixed, log_sum_exp)
}

/// Scores to weights that each row's total still has to divide; keys that a query does not see get 0.
#[inline(always)]
fn exponentials(
    scores: &mut [f32],
    keys: &Range<usize>,
    first: &[usize],
    queries: &Range<usize>,
    totals: &mut [f32],
    log_sum_exp: &mut [f32],
) {
    let rows = scores.chunks_exact_mut(keys.len());
    let sums = totals.iter_mut().zip(log_sum_exp);
    for ((query, row), (total, log_sum)) in queries.clone().zip(rows).zip(sums) {
        let seen = first[query] - keys.start..query + 1 - keys.start;
        row[..seen.start].fill(0.0);
        row[seen.end..].fill(0.0);
        let row = &mut row[seen];
        let largest = max(row);
        *total = exp_in_place_with_sum(row, largest);
        *log_sum = largest + total.ln();
    }
}

/// Gradients of the three inputs, in their layouts.
pub(super) struct Gradients {
    pub(super) queries: Vec<f32>,
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
}

pub(super) fn backward(
    inputs: Inputs<'_>,
    visible: &Visible,
    mixed: &[f32],
    log_sum_exp: &[Vec<f32>],
    gradient: &[f32],
    sizes: Sizes,
) -> Gradients {
    let parts: Vec<GroupGradients> = (0..sizes.batch * sizes.groups)
        .into_par_iter()
        .map(|task| {
            let pass = Backward {
                inputs,
                first: visible.row(task / sizes.groups),
                mixed,
                log_sum_exp: &log_sum_exp[task],
                gradient,
                sizes,
            };
            pass.group(task / sizes.groups, task % sizes.groups)
        })
        .collect();
    let key_value_sizes = Sizes {
        heads: sizes.groups,
        ..sizes
    };
    let pick = |part: fn(&GroupGradients) -> &Vec<f32>| parts.iter().map(part).collect::<Vec<_>>();
    Gradients {
        queries: interleave_heads(&pick(|part| &part.queries), sizes),
        keys: interleave_heads(&pick(|part| &part.keys), key_value_sizes),
        values: interleave_heads(&pick(|part| &part.values), key_value_sizes),
    }
}

/// `[shared, seq, head_dim]`, `[seq, head_dim]` and `[seq, head_dim]`.
struct GroupGradients {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

struct Backward<'a> {
    inputs: Inputs<'a>,
    first: &'a [usize],
    mixed: &'a [f32],
    log_sum_exp: &'a [f32],
    gradient: &'a [f32],
    sizes: Sizes,
}

impl Backward<'_> {
    fn group(&self, batch: usize, group: usize) -> GroupGradients {
        let Sizes { seq, head_dim, .. } = self.sizes;
        let shared = self.sizes.shared();
        let mut gradients = GroupGradients {
            queries: vec![0.0; shared * seq * head_dim],
            keys: vec![0.0; seq * head_dim],
            values: vec![0.0; seq * head_dim],
        };
        let blocks = blocks(self.first);
        let room = BLOCK_QUERIES.min(seq) * seq;
        let mut buffers = (vec![0.0; room], vec![0.0; room]);
        for index in 0..shared {
            let head = Head::Query(group * shared + index);
            for block in &blocks {
                let at = index * seq + block.queries.start;
                self.block(
                    [batch, group, at],
                    head,
                    block,
                    &mut buffers,
                    &mut gradients,
                );
            }
        }
        gradients
    }

    /// Adds the gradients of one block; `at` is the block's first row among the group's queries.
    fn block(
        &self,
        [batch, group, at]: [usize; 3],
        head: Head,
        Block { queries, keys }: &Block,
        (weights, score_gradients): &mut (Vec<f32>, Vec<f32>),
        gradients: &mut GroupGradients,
    ) {
        let (sizes, head_dim) = (self.sizes, self.sizes.head_dim);
        let key_value = Head::KeyValue(group);
        let query_rows = sizes.head(self.inputs.queries, batch, queries.start, head);
        let key_rows = sizes.head(self.inputs.keys, batch, keys.start, key_value);
        let value_rows = sizes.head(self.inputs.values, batch, keys.start, key_value);
        let mixed_rows = sizes.head(self.mixed, batch, queries.start, head);
        let gradient_rows = sizes.head(self.gradient, batch, queries.start, head);

        let scores = [queries.len(), head_dim, keys.len()];
        let (over, add, scale) = (Into::Overwrite, Into::Add, sizes.scale());
        matmul(
            weights,
            over,
            scores,
            query_rows,
            key_rows.transposed(),
            scale,
        );
        let values = value_rows.transposed();
        matmul(score_gradients, over, scores, gradient_rows, values, 1.0);
        let log_sums = &self.log_sum_exp[at..at + queries.len()];
        vectorized(
            #[inline(always)]
            || {
                let rows = weights.chunks_exact_mut(keys.len());
                let rows = rows.zip(score_gradients.chunks_exact_mut(keys.len()));
                for (((row, query), (weights, gradients)), log_sum) in
                    queries.clone().enumerate().zip(rows).zip(log_sums)
                {
                    let of =
                        |view: View<'_>| row * view.row_stride..row * view.row_stride + head_dim;
                    let output_dot = dot(
                        &mixed_rows.data[of(mixed_rows)],
                        &gradient_rows.data[of(gradient_rows)],
                    );
                    let seen = self.first[query] - keys.start..query + 1 - keys.start;
                    score_row(weights, gradients, seen, *log_sum, output_dot, scale);
                }
            },
        );

        let (weight_rows, score_rows) = (
            View::rows(weights, keys.len()),
            View::rows(score_gradients, keys.len()),
        );
        let by_key = [keys.len(), queries.len(), head_dim];
        let key_at = keys.start * head_dim;
        let destination = &mut gradients.values[key_at..];
        let transposed = weight_rows.transposed();
        matmul(destination, add, by_key, transposed, gradient_rows, 1.0);
        let destination = &mut gradients.keys[key_at..];
        let transposed = score_rows.transposed();
        matmul(destination, add, by_key, transposed, query_rows, 1.0);
        let by_query = [queries.len(), keys.len(), head_dim];
        let destination = &mut gradients.queries[at * head_dim..];
        matmul(destination, over, by_query, score_rows, key_rows, 1.0);
    }
}

/// Scores become weights, and the gradients of weights those of the unscaled scores.
#[inline(always)]
fn score_row(
    weights: &mut [f32],
    gradients: &mut [f32],
    seen: Range<usize>,
    log_sum_exp: f32,
    output_dot: f32,
    scale: f32,
) {
    for hidden in [0..seen.start, seen.end..weights.len()] {
        weights[hidden.clone()].fill(0.0);
        gradients[hidden].fill(0.0);
    }
    let weights = &mut weights[seen.clone()];
    exp_in_place(weights, log_sum_exp);
    for (gradient, weight) in gradients[seen].iter_mut().zip(weights) {
        *gradient = *weight * (*gradient - output_dot) * scale;
    }
}

/// Parts `[batch · groups][shared, seq, head_dim]` as one `[batch, seq, heads, head_dim]`.
fn interleave_heads<P: AsRef<[f32]> + Sync>(parts: &[P], sizes: Sizes) -> Vec<f32> {
    let Sizes {
        seq,
        heads,
        head_dim,
        ..
    } = sizes;
    let groups = parts.len() / sizes.batch;
    let shared = heads / groups;
    let mut all = vec![0.0; sizes.batch * seq * heads * head_dim];
    all.par_chunks_exact_mut(seq * heads * head_dim)
        .zip(parts.par_chunks_exact(groups))
        .for_each(|(row, parts)| {
            for (position, states) in row.chunks_exact_mut(heads * head_dim).enumerate() {
                for (head, state) in states.chunks_exact_mut(head_dim).enumerate() {
                    let part = parts[head / shared].as_ref();
                    let from = ((head % shared) * seq + position) * head_dim;
                    state.copy_from_slice(&part[from..from + head_dim]);
                }
            }
        });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(first: &[usize]) -> Vec<(Range<usize>, Range<usize>)> {
        let blocks = blocks(first).into_iter();
        blocks.map(|block| (block.queries, block.keys)).collect()
    }

    #[test]
    fn a_block_ends_where_a_document_ends() {
        assert_eq!(
            cuts(&[0, 0, 0, 3, 3, 5]),
            [(0..3, 0..3), (3..5, 3..5), (5..6, 5..6)]
        );
        let long = cuts(&[0; BLOCK_QUERIES + 6]);
        assert_eq!(long[1], (64..70, 0..70));
    }

    #[test]
    fn a_sliding_window_keeps_its_queries_together() {
        assert_eq!(
            cuts(&[0, 0, 0, 1, 2, 3]),
            [(0..3, 0..3), (3..6, 1..6)],
            "windows of three keys"
        );
    }
}
