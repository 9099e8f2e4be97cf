//! What is kept of a teacher's answers for a shard of segments.

use std::thread;

use alambic_cache::{HiddenTargets, SegmentKey, TargetKind, Targets};
use alambic_text::Segment;
use burn::tensor::{Int, Tensor, TensorData};

use super::CaptureConfig;
use crate::head_plus_sampled_tail::HeadPlusSampledTailSelector;
use crate::teacher::Teacher;
use crate::token_batch::{label_rows, right_padded};
use crate::token_sampler::TokenSampler;
use crate::top_k::TopKSelector;

/// What the teacher says about every segment.
///
/// Batches are made of segments of similar length, to waste little on padding.
pub(super) fn score(
    teacher: &dyn Teacher,
    shard: &[&Segment],
    keys: &[SegmentKey],
    config: &CaptureConfig,
) -> Vec<Targets> {
    let mut by_length: Vec<usize> = (0..shard.len()).collect();
    by_length.sort_by_key(|&index| shard[index].teacher().token_ids().len());
    let mut targets: Vec<Option<Targets>> = vec![None; shard.len()];
    for batch in by_length.chunks(config.batch_segments) {
        let segments: Vec<&Segment> = batch.iter().map(|&index| shard[index]).collect();
        let keys: Vec<&SegmentKey> = batch.iter().map(|&index| &keys[index]).collect();
        let scored = score_batch(teacher, &segments, &keys, config);
        for (&index, scored) in batch.iter().zip(scored) {
            targets[index] = Some(scored);
        }
    }
    targets
        .into_iter()
        .map(|targets| targets.expect("every segment is in one batch"))
        .collect()
}

fn score_batch(
    teacher: &dyn Teacher,
    segments: &[&Segment],
    keys: &[&SegmentKey],
    config: &CaptureConfig,
) -> Vec<Targets> {
    let ids: Vec<&[u32]> = segments
        .iter()
        .map(|segment| segment.teacher().token_ids())
        .collect();
    let masks: Vec<&[bool]> = segments
        .iter()
        .map(|segment| segment.teacher().loss_mask())
        .collect();
    let token_ids = right_padded(&ids, teacher.device());
    // `[batch, longest, vocab]`, or as wide as a hidden state.
    let answers = match config.targets {
        TargetKind::Hidden { .. } => teacher
            .hidden_states(token_ids)
            .expect("asked when the capture began"),
        _ => teacher.log_probs(token_ids).tensor().clone(),
    };
    let [batch, longest, width] = answers.dims();
    let rows = label_rows(&masks, longest);
    let num_rows = rows.len();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [num_rows]), teacher.device());
    let picked = answers.reshape([batch * longest, width]).select(0, rows);
    let values = picked.into_data().convert::<f32>();
    let values = values.as_slice::<f32>().expect("just converted");
    let counts: Vec<usize> = segments
        .iter()
        .map(|segment| segment.teacher().num_labels())
        .collect();
    let mut rest = values;
    let portions: Vec<Portion<'_>> = counts
        .iter()
        .zip(keys)
        .map(|(&count, &key)| {
            let (rows, after) = rest.split_at(count * width);
            rest = after;
            Portion { key, rows }
        })
        .collect();
    select_in_parallel(&portions, width, config)
}

/// The distributions, or hidden states, at the labels of one segment.
struct Portion<'a> {
    key: &'a SegmentKey,
    /// `[labels, width]`
    rows: &'a [f32],
}

/// Selects from each segment's rows, segments spread over the machine's threads.
fn select_in_parallel(
    portions: &[Portion<'_>],
    width: usize,
    config: &CaptureConfig,
) -> Vec<Targets> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let per_thread = portions.len().div_ceil(threads).max(1);
    let select = |portion: &Portion<'_>| select(portion, width, config);
    thread::scope(|scope| {
        let workers: Vec<_> = portions
            .chunks(per_thread)
            .map(|chunk| scope.spawn(|| chunk.iter().map(&select).collect::<Vec<_>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("selection does not panic"))
            .collect()
    })
}

/// What is kept of one segment's rows.
fn select(portion: &Portion<'_>, width: usize, config: &CaptureConfig) -> Targets {
    let rows = portion.rows.chunks_exact(width);
    match config.targets {
        TargetKind::TopK { k, .. } => {
            let mut selector = TopKSelector::new(k, &config.temperatures[1..]);
            rows.for_each(|row| selector.push(row));
            selector.finish().into()
        }
        TargetKind::Sampled {
            draws,
            seed,
            method,
        } => {
            let temperature = config.temperatures[0];
            let mut sampler = TokenSampler::new(draws, method, temperature, seed, portion.key);
            rows.for_each(|row| sampler.push(row));
            sampler.finish().into()
        }
        TargetKind::HeadPlusSampledTail {
            k,
            draws,
            seed,
            method,
            ..
        } => {
            let temperature = config.temperatures[0];
            let mut selector =
                HeadPlusSampledTailSelector::new(k, draws, method, temperature, seed, portion.key);
            rows.for_each(|row| selector.push(row));
            selector.finish().into()
        }
        TargetKind::Hidden { .. } => HiddenTargets {
            width,
            states: portion.rows.to_vec(),
        }
        .into(),
        other => unreachable!("refused when the capture began: {other:?}"),
    }
}
