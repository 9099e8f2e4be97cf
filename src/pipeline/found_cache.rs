//! Whether a cache that is found on disk is the one that a recipe would make.

use alambic_cache::{CacheLocation, CacheReader, CacheSpec, TargetRecord};
use alambic_distill::teacher::Teacher;
use alambic_text::{Segment, Split};

use super::text_source::TextSource;
use super::{LanguageModel, PipelineError};

/// Refuses a cache of another teacher, tokenizer, setting or text.
///
/// The text is compared by the segments of the first shard.
pub(crate) fn check_found_cache(
    cache: &CacheLocation,
    expected: &CacheSpec,
    teacher: &LanguageModel,
    text: &TextSource,
    split: Split,
) -> Result<(), PipelineError> {
    let reader = CacheReader::open(cache)?;
    let differs = |what: &str, expected: String, found: String| PipelineError::Input {
        what: format!("{what} of the cache {cache}"),
        expected,
        found,
        advice: "capture into another directory, or give back the recipe of that cache".into(),
    };
    let found = &reader.manifest().spec;
    if let Some((what, expected, found)) = first_difference(expected, found) {
        return Err(differs(what, expected, found));
    }
    let records = reader.read_shard(0)?;
    let mut segments = text.segments(split)?;
    for (row, record) in records.iter().enumerate() {
        let segment = segments.next().transpose()?;
        if !segment.is_some_and(|segment| belongs(record, &segment, teacher)) {
            return Err(differs(
                "the text",
                "the segments of this recipe's data".into(),
                format!("another segment at row {row} of the first shard"),
            ));
        }
    }
    Ok(())
}

fn belongs(record: &TargetRecord, segment: &Segment, teacher: &LanguageModel) -> bool {
    let (seen, learned) = (segment.teacher(), segment.student());
    let fingerprint = teacher.teacher.fingerprint();
    record.key == alambic_cache::SegmentKey::of(fingerprint, seen.token_ids(), seen.loss_mask())
        && record.token_ids == learned.token_ids()
        && record.loss_mask == learned.loss_mask()
}

/// What differs, what was expected, and what was found.
fn first_difference(
    expected: &CacheSpec,
    found: &CacheSpec,
) -> Option<(&'static str, String, String)> {
    let short = |fingerprint: &str| fingerprint.chars().take(12).collect::<String>();
    let facts = |spec: &CacheSpec| {
        [
            ("the teacher", short(&spec.teacher_fingerprint)),
            ("the tokenizer", short(&spec.tokenizer_fingerprint)),
            ("the vocabulary", format!("{} tokens", spec.vocab_size)),
            ("the targets", format!("{:?}", spec.targets)),
            (
                "cache.segments_per_shard",
                spec.segments_per_shard.to_string(),
            ),
            ("the temperatures", format!("{:?}", spec.temperatures)),
        ]
    };
    facts(expected)
        .into_iter()
        .zip(facts(found))
        .find(|((_, expected), (_, found))| expected != found)
        .map(|((what, expected), (_, found))| (what, expected, found))
}
