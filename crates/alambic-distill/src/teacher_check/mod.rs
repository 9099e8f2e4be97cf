//! Whether a cache is what its teacher says.

mod both_runs;
mod draws;
mod hidden;
mod judgement;
mod live_rows;
mod report;
mod rounding;
mod tempered;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod top_k;

use alambic_cache::{
    CacheReader, CacheSpec, EpochOrder, SegmentKey, SegmentReader, TargetKind, TargetRecord,
};

pub use report::{Deviation, Measure, Quantity, QuantityCheck, Spread, TeacherCheck};

use crate::teacher_head::head_of;
use crate::{DistillError, teacher::Teacher};

/// Which segments of a cache a teacher is asked about again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeacherCheckConfig {
    /// How many; all, if the cache has no more.
    pub num_segments: u64,
    /// Decides which: the first of this seed's [`EpochOrder`], epoch 0.
    pub seed: u64,
    /// Segments per forward pass of the control, at least 2.
    pub batch_segments: usize,
}

/// Asks the teacher again about a sample of a cache, and compares.
///
/// A capture that went wrong in a way that no checksum shows, another model under the same name, rows
/// that belong to other labels: all of these leave a cache whole, and training on it senseless.
///
/// # What is compared
/// The teacher reads every sampled segment twice: alone, and in a batch with others, that is in
/// another shape and padded (a segment without others, beside itself). The first run is compared with
/// the cache; how far the second one differs from it, in the same quantities, is the *control*. At
/// every label:
///
/// - for the most likely tokens: `Σ p |Δ ln p|` over the stored ones; how far the least likely of them
///   is below the `k`-th most likely one, so that tokens may change places only where they are equally
///   likely (control: the largest `|Δ ln p|` of the `k` most likely ones); tail mass; entropy. Where
///   levels are stored ([`ValueType::level_steps`](alambic_cache::ValueType::level_steps)), also
///   `Σ p |Δ ln p|` between them and what the teacher's answer would be stored as now; tail mass and
///   entropy at every further temperature of the cache;
/// - for drawn tokens: how far the teacher's cumulated distribution would have to move for them to be
///   those that the cache's seed and the segment's key draw, 0 where the teacher gives the numbers of
///   the capture, infinite for a token without probability (control: how far it moves); entropy;
/// - for a head with a drawn tail: both, the second one within the live distribution of the tokens that
///   are not in the stored head;
/// - for hidden states: the largest difference in one of their numbers, as a share of the largest number
///   of the state; where integers are stored, also that from what the teacher's answer would be stored as now. The head must be the teacher's,
///   number by number.
///
/// # The rule
/// A cache passes if, in nats, in probability or in numbers of a state,
/// 1. every difference at every label is at most `rounding + 4 · control + 10⁻³`, where `rounding` is that
///    of the label and `control` the largest one of the quantity;
/// 2. the mean of every difference over all labels is at most `rounding + 4 · control + 10⁻⁴`, where both
///    are means.
///
/// `rounding` is what the format explains: nothing for `f32`; 2⁻¹¹ of a log-probability, or 2⁻²⁵, for
/// `f16`; for levels 0.63 of a step, at the probability after the largest shift that a writer makes, and
/// what that can change of the sum that a reader divides by; 1/128 nat for an entropy that is stored in
/// bits; for hidden states [`StateType::largest_error`](alambic_cache::StateType::largest_error). For the
/// difference of levels, and of rounded states, it is twice as much at a label, and in the mean the largest one
/// divided by the number of labels: similar answers are rounded alike at all labels but a few, just so
/// many that the mean difference stays what it was before rounding. This finds errors that are much
/// smaller than levels are wide, as long as they concern many labels; in a single label they do not
/// show.
///
/// The constants are for what a control need not show: a capture on another device, which adds up in
/// another order. A difference that is not a number never passes.
///
/// # What cannot be compared
/// A cache stores the student's tokens. Where the teacher read others (a prompt that the student does
/// not see), the segment's key is not the hash of what is stored; such segments are counted, and
/// say nothing about the cache.
///
/// # Memory
/// One segment of the cache for each of `batch_segments`, the dense distributions of one such batch on
/// the teacher's device, those of one segment on the host, and a few numbers for every label.
///
/// # Errors
/// [`DistillError::TeacherMismatch`] for another fingerprint or vocabulary,
/// [`DistillError::NotComparable`] if no sampled segment can be compared, [`DistillError::Empty`] if
/// those that can have no labels, [`DistillError::Setting`] for an empty sample or a batch of less
/// than 2, [`DistillError::TeacherCannot`], [`DistillError::SegmentTooLong`], and those of reading a
/// cache. A cache that deviates is no error but a [`TeacherCheck`] that has not
/// [passed](TeacherCheck::passed).
pub fn verify_against_teacher(
    cache: CacheReader,
    teacher: &dyn Teacher,
    config: &TeacherCheckConfig,
    mut on_segments: impl FnMut(u64),
) -> Result<TeacherCheck, DistillError> {
    let spec = cache.manifest().spec.clone();
    check_inputs(&spec, teacher, config)?;
    let mut segments = SegmentReader::new(cache);
    let order = EpochOrder::new(config.seed, 0, segments.num_segments());
    let mut sample: Vec<u64> = order
        .take(usize::try_from(config.num_segments).unwrap_or(usize::MAX))
        .collect();
    sample.sort_unstable();

    let mut labels = Vec::new();
    let (mut num_read, mut num_not_comparable) = (0, 0);
    for chunk in sample.chunks(config.batch_segments) {
        let mut batch = Vec::new();
        for &index in chunk {
            let record = segments.read(index)?;
            if !teacher_read_it(teacher, &record) {
                num_not_comparable += 1;
            } else if record.num_targets() > 0 {
                check_length(teacher, index, &record)?;
                batch.push((index, record));
            }
        }
        both_runs::compare(teacher, &spec, &batch, &mut labels)?;
        num_read += chunk.len() as u64;
        on_segments(num_read);
    }

    let num_sampled = sample.len() as u64;
    if num_not_comparable == num_sampled {
        return Err(DistillError::NotComparable {
            num_segments: num_sampled,
        });
    }
    if labels.is_empty() {
        return Err(DistillError::Empty {
            what: "the sample of the cache".into(),
            hint: "none of its segments has a label; sample more of them",
        });
    }
    Ok(judgement::judge(num_sampled, num_not_comparable, &labels))
}

fn check_inputs(
    spec: &CacheSpec,
    teacher: &dyn Teacher,
    config: &TeacherCheckConfig,
) -> Result<(), DistillError> {
    for (field, expected, found) in [
        (
            "fingerprint",
            spec.teacher_fingerprint.clone(),
            teacher.fingerprint().to_owned(),
        ),
        (
            "vocabulary",
            format!("{} tokens", spec.vocab_size),
            format!("{} tokens", teacher.vocab_size()),
        ),
    ] {
        if expected != found {
            return Err(DistillError::TeacherMismatch {
                field,
                expected,
                found,
            });
        }
    }
    if let TargetKind::Hidden { head, .. } = spec.targets {
        let found = head_of(teacher)?.fingerprint();
        if found != head {
            return Err(DistillError::TeacherMismatch {
                field: "head",
                expected: head.to_string(),
                found: found.to_string(),
            });
        }
    } else if !teacher.capabilities().dense {
        return Err(DistillError::TeacherCannot {
            what: "whole distributions to compare with",
        });
    }
    for (key, value, least, expected) in [
        ("num_segments", config.num_segments, 1, "at least 1"),
        (
            "batch_segments",
            config.batch_segments as u64,
            2,
            "at least 2, for a control in another shape",
        ),
    ] {
        if value < least {
            return Err(DistillError::Setting {
                key,
                found: value.to_string(),
                expected,
            });
        }
    }
    Ok(())
}

/// Whether the teacher read the tokens that the record stores.
fn teacher_read_it(teacher: &dyn Teacher, record: &TargetRecord) -> bool {
    let (ids, mask) = (&record.token_ids, &record.loss_mask);
    record.key == SegmentKey::of(teacher.fingerprint(), ids, mask)
}

fn check_length(
    teacher: &dyn Teacher,
    index: u64,
    record: &TargetRecord,
) -> Result<(), DistillError> {
    if record.num_tokens() <= teacher.max_sequence_tokens() {
        return Ok(());
    }
    Err(DistillError::SegmentTooLong {
        source_name: format!("segment {index} of the cache"),
        model: "teacher",
        expected: teacher.max_sequence_tokens(),
        found: record.num_tokens(),
    })
}
