//! Proving that a cache is what was captured.

use std::path::Path;

use serde::Serialize;

use crate::write_once_dir::file_names;
use crate::{CacheError, CacheReader, layout};

/// What [`verify`] read and found in order.
///
/// ```
/// # use alambic_cache::{CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 8,
/// # };
/// # let record = TargetRecord {
/// #     key: SegmentKey::of("t", &[1, 3], &[false, true]), token_ids: vec![1, 3], loss_mask: vec![false, true],
/// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623] }.into(),
/// # };
/// # let mut writer = CacheWriter::open(dir.path(), spec)?;
/// # writer.write_shard(0, &[record])?;
/// # writer.finish(1)?;
/// let report = alambic_cache::verify(dir.path())?;
/// assert_eq!((report.num_shards, report.num_segments, report.num_tokens, report.num_targets), (1, 1, 2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Shards read.
    pub num_shards: usize,
    /// Records decoded and checked.
    pub num_segments: u64,
    /// Tokens of the student's view.
    pub num_tokens: u64,
    /// Targets checked.
    pub num_targets: u64,
    /// Bytes hashed.
    pub bytes: u64,
}

/// Reads a whole cache: checksums, every record, counts against the manifest, stray shards.
///
/// Holds one shard at a time. Stops at the first error.
///
/// # Errors
/// Those of [`CacheReader::open`] and [`CacheReader::read_shard`];
/// [`CacheError::UnexpectedShard`] for a shard that the manifest does not list.
///
/// ```
/// use alambic_cache::{CacheError, verify};
/// # use alambic_cache::{CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 8,
/// # };
/// # let record = TargetRecord {
/// #     key: SegmentKey::of("t", &[1, 3], &[false, true]), token_ids: vec![1, 3], loss_mask: vec![false, true],
/// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623] }.into(),
/// # };
/// # let mut writer = CacheWriter::open(dir, spec)?;
/// # writer.write_shard(0, &[record])?;
/// # writer.finish(1)?;
/// assert_eq!(verify(dir)?.num_targets, 1);
///
/// let shard = dir.join("shard-00000.parquet");
/// let mut bytes = std::fs::read(&shard)?;
/// bytes[100] ^= 1; // one bit
/// std::fs::write(&shard, bytes)?;
/// assert!(matches!(verify(dir), Err(CacheError::Checksum { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(dir: &Path) -> Result<VerifyReport, CacheError> {
    let reader = CacheReader::open(dir)?;
    let num_shards = reader.manifest().shards.len();
    for name in file_names(dir)? {
        if name.starts_with("shard-") && layout::shard_index(&name).is_none_or(|i| i >= num_shards)
        {
            return Err(CacheError::UnexpectedShard {
                path: reader.dir().join(name),
                num_shards,
            });
        }
    }
    for index in 0..num_shards {
        // Compared with the entry's counts; the manifest's totals are the sums of its entries.
        reader.read_shard(index)?;
    }
    let info = reader.info();
    Ok(VerifyReport {
        num_shards,
        num_segments: info.num_segments,
        num_tokens: info.num_tokens,
        num_targets: info.num_targets,
        bytes: info.bytes,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::layout::MANIFEST_FILE;
    use crate::{ValueType, sample};

    #[test]
    fn a_whole_cache_is_verified_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let report = verify(dir.path()).unwrap();
        assert_eq!((report.num_shards, report.num_segments), (2, 6));
        assert_eq!(report.num_tokens, manifest.num_tokens);
        assert_eq!(report.num_targets, manifest.num_targets);
        assert_eq!(
            report.bytes,
            manifest.shards.iter().map(|shard| shard.bytes).sum::<u64>()
        );
    }

    #[test]
    fn every_flipped_byte_of_a_shard_is_found() {
        let dir = tempfile::tempdir().unwrap();
        sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let shard = dir.path().join("shard-00001.parquet");
        let whole = fs::read(&shard).unwrap();
        let flips = (any::<Index>(), 1..=u8::MAX);
        let mut runner = TestRunner::new(ProptestConfig::with_cases(512));
        let outcome = runner.run(&flips, |(position, flip)| {
            let mut bytes = whole.clone();
            bytes[position.index(whole.len())] ^= flip;
            fs::write(&shard, bytes).unwrap();
            let outcome = verify(dir.path());
            prop_assert!(
                matches!(outcome, Err(CacheError::Checksum { .. })),
                "{:?}",
                outcome
            );
            Ok(())
        });
        outcome.unwrap();
        fs::write(&shard, whole).unwrap();
        verify(dir.path()).unwrap();
    }

    #[test]
    fn a_flipped_byte_of_the_manifest_is_found_or_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let path = dir.path().join(MANIFEST_FILE);
        let whole = fs::read(&path).unwrap();
        let flips = (any::<Index>(), 1..=u8::MAX);
        let outcome = TestRunner::default().run(&flips, |(position, flip)| {
            let mut bytes = whole.clone();
            bytes[position.index(whole.len())] ^= flip;
            fs::write(&path, bytes).unwrap();
            if verify(dir.path()).is_ok() {
                // White space or the notation of a number.
                let read = CacheReader::open(dir.path()).unwrap();
                prop_assert_eq!(read.manifest(), &manifest);
            }
            Ok(())
        });
        outcome.unwrap();
    }

    #[test]
    fn a_stray_shard_is_found() {
        for stray in ["shard-00002.parquet", "shard-1.parquet"] {
            let dir = tempfile::tempdir().unwrap();
            sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
            fs::write(dir.path().join(stray), "").unwrap();
            let outcome = verify(dir.path());
            assert!(
                matches!(outcome, Err(CacheError::UnexpectedShard { .. })),
                "{outcome:?}"
            );
        }
    }
}
