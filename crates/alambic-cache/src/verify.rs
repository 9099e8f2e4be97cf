//! Proving that a cache is what was captured.

use serde::Serialize;

use crate::layout::{self, MANIFEST_FILE};
use crate::storage::Storage;
use crate::{CacheError, CacheLocation, CacheReader, teacher_head_file};

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
/// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623], tempered: vec![] }.into(),
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
    /// Bytes hashed, those of the teacher's head included.
    pub bytes: u64,
}

/// Reads a whole cache: checksums, every record, counts against the manifest, stray shards, head.
///
/// Finds every changed bit: those of a shard and of the teacher's head by their SHA-256, and those
/// of the manifest by the shards, which know their cache's specification and are hashed and counted
/// again, or by the manifest's spelling, of which there is one. Holds one shard at a time. Stops at
/// the first error.
///
/// # Errors
/// Those of [`CacheReader::open`], [`CacheReader::read_shard`] and [`CacheReader::teacher_head`];
/// [`CacheError::UnexpectedShard`] for a shard that the manifest does not list,
/// [`CacheError::ManifestSpelling`] for a manifest in other bytes than those it was written with.
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
/// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623], tempered: vec![] }.into(),
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
pub fn verify(location: impl Into<CacheLocation>) -> Result<VerifyReport, CacheError> {
    verify_in(Storage::open(location)?).map(|(report, _)| report)
}

/// The report, and the reader of what was verified.
pub(crate) fn verify_in(storage: Storage) -> Result<(VerifyReport, CacheReader), CacheError> {
    let reader = CacheReader::open_in(storage)?;
    check_spelling(&reader)?;
    let num_shards = reader.manifest().shards.len();
    for name in reader.storage().file_names()? {
        if name.starts_with("shard-") && layout::shard_index(&name).is_none_or(|i| i >= num_shards)
        {
            return Err(CacheError::UnexpectedShard {
                path: reader.storage().path_of(&name),
                num_shards,
            });
        }
    }
    for index in 0..num_shards {
        // Compared with the entry's counts; the manifest's totals are the sums of its entries.
        reader.read_shard(index)?;
    }
    reader.teacher_head()?;
    let head_bytes = teacher_head_file::size(reader.storage(), &reader.manifest().spec)?;
    let info = reader.info();
    let report = VerifyReport {
        num_shards,
        num_segments: info.num_segments,
        num_tokens: info.num_tokens,
        num_targets: info.num_targets,
        bytes: info.bytes + head_bytes,
    };
    Ok((report, reader))
}

/// Refuses white space, escapes and notations of numbers that
/// [`Manifest::to_json`](crate::Manifest::to_json) does not use.
fn check_spelling(reader: &CacheReader) -> Result<(), CacheError> {
    let storage = reader.storage();
    let path = || storage.path_of(MANIFEST_FILE);
    let found = storage
        .read(MANIFEST_FILE)?
        .ok_or_else(|| CacheError::Incomplete { path: path() })?;
    let expected = reader.manifest().to_json().into_bytes();
    if found == expected {
        return Ok(());
    }
    let common = found.iter().zip(&expected).take_while(|(a, b)| a == b);
    Err(CacheError::ManifestSpelling {
        path: path(),
        byte: common.count(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::layout::TEACHER_HEAD_FILE;
    use crate::manifest::manifest_path;
    use crate::{StateType, TargetKind, ValueType, sample};

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
    fn every_flipped_byte_of_the_manifest_is_found() {
        let dir = tempfile::tempdir().unwrap();
        sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let path = dir.path().join(MANIFEST_FILE);
        let whole = fs::read(&path).unwrap();
        let flips = (any::<Index>(), 1..=u8::MAX);
        let outcome = TestRunner::default().run(&flips, |(position, flip)| {
            let mut bytes = whole.clone();
            bytes[position.index(whole.len())] ^= flip;
            fs::write(&path, bytes).unwrap();
            prop_assert!(verify(dir.path()).is_err());
            Ok(())
        });
        outcome.unwrap();
    }

    #[test]
    fn a_manifest_that_says_the_same_in_other_bytes_is_refused_by_verify_alone() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let path = manifest_path(dir.path());
        for (json, byte) in [
            (serde_json::to_string(&manifest).unwrap(), 1),
            (manifest.to_json().replacen("1.0", "1.00", 1), 0),
            (manifest.to_json() + "\n", manifest.to_json().len()),
        ] {
            fs::write(&path, json).unwrap();
            assert_eq!(*CacheReader::open(dir.path()).unwrap().manifest(), manifest);
            match verify(dir.path()) {
                Err(CacheError::ManifestSpelling { byte: found, .. }) => {
                    assert!(byte == 0 || byte == found, "{found}");
                }
                outcome => panic!("{outcome:?}"),
            }
        }
    }

    /// Seed of the flips below; any other does as well.
    const FLIPS_SEED: u64 = 20;
    /// How many bits are flipped, one at a time.
    const NUM_FLIPS: usize = 1000;

    /// The check that found a flipped bit.
    fn check(error: &CacheError) -> &'static str {
        match error {
            CacheError::Checksum { .. } => "checksum of a shard",
            CacheError::ShardSize { .. } => "size of a shard",
            CacheError::CountMismatch { .. } => "count of a shard",
            CacheError::SpecMismatch { .. } => "specification in a shard",
            CacheError::ManifestJson { .. } => "syntax of the manifest",
            CacheError::InvalidManifest { .. } => "names and totals of the manifest",
            CacheError::InvalidSpec { .. } => "specification in the manifest",
            CacheError::UnknownVersion { .. } => "format version of the manifest",
            CacheError::ManifestSpelling { .. } => "spelling of the manifest",
            CacheError::TeacherHeadMismatch { .. } => "checksum of the head",
            CacheError::TeacherHeadFile { .. } => "size of the head",
            other => panic!("found by no check that is meant to find it: {other}"),
        }
    }

    #[test]
    fn a_thousand_flipped_bits_of_shards_and_manifest_are_each_found() {
        // A thousand for plain columns, a thousand for bits, and a thousand for states and their head.
        for spec in [ValueType::F16, ValueType::Coarse].map(|values| sample::spec(values, 8)) {
            find_flipped_bits(&spec);
        }
        find_flipped_bits(&sample::hidden_spec(StateType::Int8));
    }

    fn find_flipped_bits(spec: &crate::CacheSpec) {
        let dir = tempfile::tempdir().unwrap();
        sample::write_cache(dir.path(), spec);
        let shards = ["shard-00000.parquet", "shard-00001.parquet", MANIFEST_FILE];
        let has_head = matches!(spec.targets, TargetKind::Hidden { .. });
        let files: Vec<_> = shards
            .into_iter()
            .chain(has_head.then_some(TEACHER_HEAD_FILE))
            .map(|name| (name, fs::read(dir.path().join(name)).unwrap()))
            .collect();
        let mut numbers = sample::Numbers(FLIPS_SEED);
        let mut found: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for _ in 0..NUM_FLIPS {
            // The file first, so that a small one is not spared.
            let (name, whole) = &files[numbers.below(files.len())];
            let (position, bit) = (numbers.below(whole.len()), numbers.below(8));
            let path = dir.path().join(name);
            let mut bytes = whole.clone();
            bytes[position] ^= 1 << bit;
            fs::write(&path, bytes).unwrap();
            let Err(error) = verify(dir.path()) else {
                panic!("bit {bit} of byte {position} of {name} went unnoticed");
            };
            *found.entry((*name, check(&error))).or_default() += 1;
            fs::write(&path, whole).unwrap();
        }
        verify(dir.path()).unwrap();
        assert_eq!(found.values().sum::<usize>(), NUM_FLIPS);
        // A shard has one check that finds everything, the manifest has several.
        let checks_of = |file| {
            let of_file = found.keys().filter(move |(name, _)| *name == file);
            of_file.map(|(_, check)| *check).collect::<Vec<_>>()
        };
        assert_eq!(checks_of("shard-00000.parquet"), ["checksum of a shard"]);
        assert_eq!(checks_of("shard-00001.parquet"), ["checksum of a shard"]);
        if has_head {
            assert_eq!(checks_of(TEACHER_HEAD_FILE), ["checksum of the head"]);
        }
        let of_manifest = checks_of(MANIFEST_FILE);
        for expected in [
            "checksum of a shard",
            "names and totals of the manifest",
            "specification in a shard",
            "specification in the manifest",
            "syntax of the manifest",
        ] {
            assert!(of_manifest.contains(&expected), "{expected}: {found:#?}");
        }
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
