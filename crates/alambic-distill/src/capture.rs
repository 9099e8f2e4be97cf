//! Capture: a teacher reads text once, and its soft labels are kept in a cache.

use std::thread;

use alambic_cache::{
    CacheError, CacheLocation, CacheSpec, CacheWriter, Finished, Manifest, MissingShards, Part,
    SegmentKey, TargetKind, TargetRecord, Targets,
};
use alambic_text::Segment;
use burn::tensor::{Int, Tensor, TensorData};

use crate::token_batch::{check_fits, label_rows, right_padded};
use crate::token_sampler::TokenSampler;
use crate::top_k::TopKSelector;
use crate::{DistillError, StopHandle, teacher::Teacher};

/// What is kept of the teacher's distributions, and in which portions.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureConfig {
    /// What is kept of each distribution.
    pub targets: TargetKind,
    /// Softens the distributions that tokens are drawn from; 1 for the most likely tokens.
    pub temperature: f32,
    /// Segments per shard: the unit of resume and of shuffling.
    pub segments_per_shard: usize,
    /// Segments per forward pass of the teacher; memory only, but part of what fixes the bytes.
    pub batch_segments: usize,
    /// Fingerprint of the tokenizer that made the segments.
    pub tokenizer_fingerprint: String,
    /// Which shards this process captures; [`Part::whole`] unless several share the text.
    pub part: Part,
}

impl CaptureConfig {
    /// The specification of a cache that is captured from `teacher` with these settings.
    pub fn cache_spec(&self, teacher: &dyn Teacher) -> CacheSpec {
        CacheSpec {
            teacher_fingerprint: teacher.fingerprint().to_owned(),
            tokenizer_fingerprint: self.tokenizer_fingerprint.clone(),
            vocab_size: teacher.vocab_size(),
            targets: self.targets,
            temperatures: vec![self.temperature],
            segments_per_shard: self.segments_per_shard,
        }
    }
}

/// How far the capture of this process's part is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureProgress {
    /// Shards that are whole on disk.
    pub shards: usize,
    /// Segments in them.
    pub segments: u64,
    /// Tokens in them.
    pub tokens: u64,
}

/// How a capture ended.
#[derive(Clone, Debug)]
pub enum CaptureOutcome {
    /// Every segment is in the cache and the manifest is written.
    Complete(Manifest),
    /// Every shard of this part is in the cache; other writers have not finished theirs. The last
    /// of them writes the manifest.
    PartComplete(MissingShards),
    /// A stop was requested; the shards so far are whole and will be found again.
    Stopped(CaptureProgress),
}

/// Writes the teacher's targets for `segments` into a cache, in a directory or in object storage.
///
/// Shards that an earlier, interrupted capture left are kept: batches are fixed by shard, so the
/// bytes are those of an undisturbed capture. Memory holds one shard of segments and one batch of
/// dense distributions, `batch_segments · longest · vocab` numbers.
///
/// With a [`Part`] of several, the processes that capture the others may run at the same time, here
/// or elsewhere, as long as all are given the same segments. Each walks through all of them, which
/// costs tokenisation and no teacher, and captures the shards of its part; whoever finds all
/// shards there completes the cache. Where the same teacher gives the same numbers, the bytes of the
/// cache do not depend on the parts.
///
/// # Errors
/// [`DistillError::SegmentTooLong`] and [`DistillError::TokenOutOfVocabulary`] for a segment that
/// the teacher cannot read, [`DistillError::Empty`] when there are no segments, and the cache's
/// errors. Errors of the `segments` iterator are passed on.
pub fn capture<E>(
    teacher: &dyn Teacher,
    segments: impl Iterator<Item = Result<Segment, E>>,
    cache: impl Into<CacheLocation>,
    config: &CaptureConfig,
    stop: &StopHandle,
    mut on_progress: impl FnMut(CaptureProgress),
) -> Result<CaptureOutcome, DistillError>
where
    DistillError: From<E>,
{
    check_config(teacher, config)?;
    let mut writer = CacheWriter::open_part(cache, config.cache_spec(teacher), config.part)?;
    let mut progress = CaptureProgress::default();
    let mut num_shards = 0;
    let mut segments = segments.peekable();
    while segments.peek().is_some() {
        if stop.is_stopped() {
            return Ok(CaptureOutcome::Stopped(progress));
        }
        let index = num_shards;
        num_shards += 1;
        let mut of_shard = segments.by_ref().take(config.segments_per_shard);
        if !config.part.owns(index) {
            of_shard.try_for_each(|segment| segment.map(drop))?;
            continue;
        }
        let shard: Vec<Segment> = of_shard.collect::<Result<_, _>>()?;
        write_shard(teacher, &mut writer, index, &shard, config)?;
        progress.shards += 1;
        progress.segments += shard.len() as u64;
        progress.tokens += shard
            .iter()
            .map(|segment| segment.teacher().token_ids().len() as u64)
            .sum::<u64>();
        on_progress(progress);
    }
    if num_shards == 0 {
        return Err(DistillError::Empty {
            what: "the text to capture".into(),
            hint: "no segment with a label was found; check the files and the splits",
        });
    }
    Ok(match writer.finish_part(num_shards)? {
        Finished::Sealed(manifest) => CaptureOutcome::Complete(manifest),
        Finished::Waiting(missing) => CaptureOutcome::PartComplete(missing),
    })
}

fn check_config(teacher: &dyn Teacher, config: &CaptureConfig) -> Result<(), DistillError> {
    if !teacher.capabilities().dense {
        return Err(DistillError::TeacherCannot {
            what: "whole distributions to select from",
        });
    }
    for (key, value, limit, expected) in [
        (
            "top_k",
            match config.targets {
                TargetKind::TopK { k, .. } => k,
                _ => 1,
            },
            teacher.vocab_size(),
            "1 to the teacher's vocabulary size",
        ),
        (
            "segments_per_shard",
            config.segments_per_shard,
            usize::MAX,
            "at least 1",
        ),
        (
            "batch_segments",
            config.batch_segments,
            usize::MAX,
            "at least 1",
        ),
    ] {
        if value == 0 || value > limit {
            return Err(DistillError::Setting {
                key,
                found: value.to_string(),
                expected,
            });
        }
    }
    Ok(())
}

fn write_shard(
    teacher: &dyn Teacher,
    writer: &mut CacheWriter,
    index: usize,
    shard: &[Segment],
    config: &CaptureConfig,
) -> Result<(), DistillError> {
    for segment in shard {
        let ids = segment.teacher().token_ids();
        check_fits(
            segment,
            ids,
            "teacher",
            teacher.max_sequence_tokens(),
            teacher.vocab_size(),
        )?;
    }
    let keys: Vec<SegmentKey> = shard
        .iter()
        .map(|segment| {
            let view = segment.teacher();
            SegmentKey::of(teacher.fingerprint(), view.token_ids(), view.loss_mask())
        })
        .collect();
    if writer.has_shard(index, &keys)? {
        return Ok(());
    }
    let targets = score(teacher, shard, &keys, config);
    let records: Vec<TargetRecord> = shard
        .iter()
        .zip(&keys)
        .zip(targets)
        .map(|((segment, &key), targets)| TargetRecord {
            key,
            token_ids: segment.student().token_ids().to_vec(),
            loss_mask: segment.student().loss_mask().to_vec(),
            targets,
        })
        .collect();
    match writer.write_shard(index, &records) {
        // A writer of a part that overlaps this one was faster, with the same segments.
        Err(CacheError::AlreadyExists { .. }) if writer.has_shard(index, &keys)? => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// The targets of every segment, in the order of the shard.
///
/// Batches are made of segments of similar length, to waste little on padding.
fn score(
    teacher: &dyn Teacher,
    shard: &[Segment],
    keys: &[SegmentKey],
    config: &CaptureConfig,
) -> Vec<Targets> {
    let mut by_length: Vec<usize> = (0..shard.len()).collect();
    by_length.sort_by_key(|&index| shard[index].teacher().token_ids().len());
    let mut targets: Vec<Option<Targets>> = vec![None; shard.len()];
    for batch in by_length.chunks(config.batch_segments) {
        let segments: Vec<&Segment> = batch.iter().map(|&index| &shard[index]).collect();
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
    let log_probs = teacher.log_probs(right_padded(&ids, teacher.device()));
    let [batch, longest, vocab] = log_probs.dims();
    let rows = label_rows(&masks, longest);
    let num_rows = rows.len();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [num_rows]), teacher.device());
    let picked = log_probs
        .tensor()
        .clone()
        .reshape([batch * longest, vocab])
        .select(0, rows);
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
            let (rows, after) = rest.split_at(count * vocab);
            rest = after;
            Portion { key, rows }
        })
        .collect();
    select_in_parallel(&portions, vocab, config)
}

/// The distributions at the labels of one segment.
struct Portion<'a> {
    key: &'a SegmentKey,
    /// `[labels, vocab]`
    rows: &'a [f32],
}

/// Selects from each segment's rows, segments spread over the machine's threads.
fn select_in_parallel(
    portions: &[Portion<'_>],
    vocab: usize,
    config: &CaptureConfig,
) -> Vec<Targets> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let per_thread = portions.len().div_ceil(threads).max(1);
    let select = |portion: &Portion<'_>| select(portion, vocab, config);
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
fn select(portion: &Portion<'_>, vocab: usize, config: &CaptureConfig) -> Targets {
    let rows = portion.rows.chunks_exact(vocab);
    match config.targets {
        TargetKind::TopK { k, .. } => {
            let mut selector = TopKSelector::new(k);
            rows.for_each(|row| selector.push(row));
            selector.finish().into()
        }
        TargetKind::Sampled { draws, seed } => {
            let mut sampler = TokenSampler::new(draws, config.temperature, seed, portion.key);
            rows.for_each(|row| sampler.push(row));
            sampler.finish().into()
        }
        other => unreachable!("refused when the capture began: {other:?}"),
    }
}
