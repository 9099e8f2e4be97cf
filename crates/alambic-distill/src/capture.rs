//! Capture: a teacher reads text once, and its soft labels are kept in a cache.

mod score;

use std::collections::{BTreeMap, BTreeSet};

use alambic_cache::{
    CacheError, CacheLocation, CacheReader, CacheSpec, CacheWriter, Finished, Manifest,
    MissingShards, Part, SegmentKey, TargetIndex, TargetKind, TargetRecord, Targets,
};
use alambic_text::Segment;

use crate::teacher_head::head_of;
use crate::token_batch::check_fits;
use crate::{DistillError, StopHandle, teacher::Teacher};

/// What is kept of the teacher's distributions, and in which portions.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureConfig {
    /// What is kept of each distribution; [`hidden_targets`](crate::hidden_targets) specifies hidden
    /// states.
    pub targets: TargetKind,
    /// Temperatures that the targets answer for. For the most likely tokens 1 and the further ones
    /// at which the mass of the rest is kept too; for drawn tokens the one that they are drawn at; 1
    /// for hidden states, which answer for all.
    pub temperatures: Vec<f32>,
    /// Segments per shard: the unit of resume and of shuffling.
    pub segments_per_shard: usize,
    /// Segments per forward pass of the teacher; memory only, but part of what fixes the bytes.
    pub batch_segments: usize,
    /// Fingerprint of the tokenizer that made the segments.
    pub tokenizer_fingerprint: String,
    /// Finished caches of the same teacher and the same kind of targets: a segment that one of them
    /// holds is taken from there, and the teacher is not asked.
    pub reuse: Vec<CacheLocation>,
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
            temperatures: self.temperatures.clone(),
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
    /// Segments whose targets were found in other caches, or earlier in their shard.
    pub reused: u64,
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
/// dense distributions, `batch_segments · longest · vocab` numbers, or of hidden states, of which no
/// distribution is made; the teacher's head is then put into the cache first.
///
/// Equal segments of a shard are asked about once, and those that a cache of
/// [`reuse`](CaptureConfig::reuse) holds not at all. Log-probabilities depend on the batch in the last
/// bits, so the bytes of the cache depend on what is reused; its targets are those that the teacher gave
/// for the same tokens and labels.
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
    let mut known = known_targets(teacher, config)?;
    let mut writer = CacheWriter::open_part(cache, config.cache_spec(teacher), config.part)?;
    if let TargetKind::Hidden { .. } = config.targets {
        writer.put_teacher_head(&head_of(teacher)?)?;
    }
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
        progress.reused += write_shard(teacher, &mut writer, index, &shard, config, &mut known)?;
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

/// The targets of the caches that are reused.
fn known_targets(
    teacher: &dyn Teacher,
    config: &CaptureConfig,
) -> Result<TargetIndex, DistillError> {
    let caches = config.reuse.iter().map(CacheReader::open);
    let caches = caches.collect::<Result<_, _>>()?;
    Ok(TargetIndex::open(caches, &config.cache_spec(teacher))?)
}

fn check_config(teacher: &dyn Teacher, config: &CaptureConfig) -> Result<(), DistillError> {
    let (can, what) = match config.targets {
        TargetKind::Hidden { .. } => (
            teacher.capabilities().hidden_states,
            "hidden states and a head",
        ),
        _ => (
            teacher.capabilities().dense,
            "whole distributions to select from",
        ),
    };
    if !can {
        return Err(DistillError::TeacherCannot { what });
    }
    if let TargetKind::HeadOnly { .. } = config.targets {
        return Err(DistillError::Setting {
            key: "targets",
            found: format!("{:?}", config.targets),
            expected: "the most likely tokens with their tail, which a capture knows, or drawn ones",
        });
    }
    for (key, value, limit, expected) in [
        (
            "top_k",
            match config.targets {
                TargetKind::TopK { k, .. } | TargetKind::HeadPlusSampledTail { k, .. } => k,
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

/// Writes one shard unless it is there; how many of its segments the teacher was not asked about.
fn write_shard(
    teacher: &dyn Teacher,
    writer: &mut CacheWriter,
    index: usize,
    shard: &[Segment],
    config: &CaptureConfig,
    known: &mut TargetIndex,
) -> Result<u64, DistillError> {
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
        return Ok(0);
    }
    let (targets, num_reused) = targets_of(teacher, shard, &keys, config, known)?;
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
        Err(CacheError::AlreadyExists { .. }) if writer.has_shard(index, &keys)? => Ok(0),
        outcome => {
            outcome?;
            Ok(num_reused)
        }
    }
}

/// The targets of every segment, in the order of the shard, and how many were not asked for.
fn targets_of(
    teacher: &dyn Teacher,
    shard: &[Segment],
    keys: &[SegmentKey],
    config: &CaptureConfig,
    known: &mut TargetIndex,
) -> Result<(Vec<Targets>, u64), DistillError> {
    let mut found: BTreeMap<&SegmentKey, Targets> = BTreeMap::new();
    let (mut to_ask, mut keys_to_ask) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (segment, key) in shard.iter().zip(keys) {
        if !seen.insert(key) {
            continue;
        }
        match known.find(key)? {
            Some(record) => _ = found.insert(key, record.targets),
            None => {
                to_ask.push(segment);
                keys_to_ask.push(*key);
            }
        }
    }
    let num_reused = (shard.len() - to_ask.len()) as u64;
    let scored = score::score(teacher, &to_ask, &keys_to_ask, config);
    found.extend(keys_to_ask.iter().zip(scored));
    let targets = keys.iter().map(|key| found[key].clone()).collect();
    Ok((targets, num_reused))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
