//! Caches made of other caches, without their teacher.

use crate::shard_filler::ShardFiller;
use crate::{CacheError, CacheLocation, CacheReader, Manifest, TargetRecord};

/// Writes the segments of all `sources`, in order, as one cache.
///
/// The sources agree in everything but `segments_per_shard`, which is that of the first one. A
/// segment that several of them hold is kept as often as it is held, as training on them one after
/// the other would see it.
///
/// The result, as that of [`filter`] and of [`split`], is an ordinary cache: it verifies, has the head
/// that hidden states need, says which teacher it comes from, and holds the targets as they are in its
/// source. A call that was killed is repeated and keeps the shards that are whole. Holds one shard of
/// the source and one of the result.
///
/// # Errors
/// [`CacheError::UnlikeCaches`] naming the first difference, [`CacheError::NoSegments`] without
/// sources, the errors of [`CacheReader::read_shard`] and those of [`CacheWriter`](crate::CacheWriter).
///
/// ```
/// use alambic_cache::{CacheReader, concatenate};
/// # use alambic_cache::{CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 2,
/// # };
/// # let record = |token_ids: Vec<u32>| TargetRecord {
/// #     key: SegmentKey::of("t", &token_ids, &[]), loss_mask: vec![false; token_ids.len()], token_ids,
/// #     targets: TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] }.into(),
/// # };
/// # let (first, second, both) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
/// # for (path, ids) in [(&first, [1, 2]), (&second, [3, 0])] {
/// #     let mut writer = CacheWriter::open(path, spec.clone())?;
/// #     writer.write_shard(0, &ids.map(|id| record(vec![id])))?;
/// #     writer.finish(1)?;
/// # }
/// let sources = [CacheReader::open(&first)?, CacheReader::open(&second)?]; // 2 segments each
/// assert_eq!(concatenate(&sources, &both)?.num_segments, 4);
/// assert_eq!(CacheReader::open(&both)?.read_shard(1)?[1].token_ids, [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn concatenate(
    sources: &[CacheReader],
    out: impl Into<CacheLocation>,
) -> Result<Manifest, CacheError> {
    let out = out.into();
    let Some((first, others)) = sources.split_first() else {
        let path = out.to_path();
        return Err(CacheError::NoSegments { path });
    };
    let spec = &first.manifest().spec;
    for other in others {
        spec.expect_same_targets(&other.manifest().spec, &other.storage().root())?;
    }
    let mut filler = ShardFiller::open_like(first, out)?;
    for source in sources {
        for_each_record(source, |record| filler.push(record))?;
    }
    filler.finish()
}

/// Writes the segments that `keep` chooses, in order, as a cache.
///
/// # Errors
/// [`CacheError::NoSegments`] if it chooses none, the errors of [`CacheReader::read_shard`] and
/// those of [`CacheWriter`](crate::CacheWriter).
///
/// ```
/// use alambic_cache::{CacheReader, filter};
/// # use alambic_cache::{CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 2,
/// # };
/// # let record = |token_ids: Vec<u32>| TargetRecord {
/// #     key: SegmentKey::of("t", &token_ids, &[]), loss_mask: vec![false; token_ids.len()], token_ids,
/// #     targets: TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] }.into(),
/// # };
/// # let (source, out) = (dir.path().join("a"), dir.path().join("b"));
/// # let mut writer = CacheWriter::open(&source, spec)?;
/// # writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
/// # writer.finish(1)?;
/// let source = CacheReader::open(&source)?; // segments of 3 tokens and 1 token
/// let manifest = filter(&source, &out, |record| record.num_tokens() <= 2)?;
/// assert_eq!((manifest.num_segments, manifest.num_tokens), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn filter(
    source: &CacheReader,
    out: impl Into<CacheLocation>,
    mut keep: impl FnMut(&TargetRecord) -> bool,
) -> Result<Manifest, CacheError> {
    let mut filler = ShardFiller::open_like(source, out)?;
    for_each_record(source, |record| match keep(&record) {
        true => filler.push(record),
        false => Ok(()),
    })?;
    filler.finish()
}

/// Writes the segments that `choose` chooses as one cache and all others as another.
///
/// [`SegmentKey::draw`](crate::SegmentKey::draw) makes a random choice that gives equal segments
/// the same side.
///
/// The sides are completed one after the other. If it is killed between the two, the first one is a
/// complete cache, which takes no writer: delete it before the split is repeated.
///
/// # Errors
/// [`CacheError::NoSegments`] if a side is empty, the errors of [`CacheReader::read_shard`] and
/// those of [`CacheWriter`](crate::CacheWriter).
///
/// ```
/// use alambic_cache::{CacheReader, split};
/// # use alambic_cache::{CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 2,
/// # };
/// # let record = |token_ids: Vec<u32>| TargetRecord {
/// #     key: SegmentKey::of("t", &token_ids, &[]), loss_mask: vec![false; token_ids.len()], token_ids,
/// #     targets: TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] }.into(),
/// # };
/// # let (source, chosen, rest) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
/// # let mut writer = CacheWriter::open(&source, spec)?;
/// # writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
/// # writer.finish(1)?;
/// let source = CacheReader::open(&source)?; // 2 segments
/// let half = |record: &TargetRecord| record.key.draw(11) < 0.5;
/// let manifests = split(&source, &chosen, &rest, half)?;
/// assert_eq!(manifests.map(|manifest| manifest.num_segments), [1, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn split(
    source: &CacheReader,
    chosen: impl Into<CacheLocation>,
    rest: impl Into<CacheLocation>,
    mut choose: impl FnMut(&TargetRecord) -> bool,
) -> Result<[Manifest; 2], CacheError> {
    let mut chosen = ShardFiller::open_like(source, chosen)?;
    let mut rest = ShardFiller::open_like(source, rest)?;
    for_each_record(source, |record| match choose(&record) {
        true => chosen.push(record),
        false => rest.push(record),
    })?;
    // Neither side is complete before both have segments.
    chosen.expect_some()?;
    rest.expect_some()?;
    Ok([chosen.finish()?, rest.finish()?])
}

fn for_each_record(
    source: &CacheReader,
    mut visit: impl FnMut(TargetRecord) -> Result<(), CacheError>,
) -> Result<(), CacheError> {
    for index in 0..source.manifest().shards.len() {
        source
            .read_shard(index)?
            .into_iter()
            .try_for_each(&mut visit)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{CacheSpec, CacheWriter, StateType, TargetKind, ValueType, sample, verify};

    fn open(dir: &Path) -> CacheReader {
        CacheReader::open(dir).unwrap()
    }

    fn records(dir: &Path) -> Vec<TargetRecord> {
        let mut all = Vec::new();
        for_each_record(&open(dir), |record| {
            all.push(record);
            Ok(())
        })
        .unwrap();
        all
    }

    /// A cache of that many segments with seeds from `first_seed` on, and its path.
    fn write(dir: &Path, name: &str, spec: &CacheSpec, first_seed: u64, count: usize) -> PathBuf {
        let path = dir.join(name);
        let mut writer = CacheWriter::open(&path, spec.clone()).unwrap();
        sample::put_head(&writer);
        let records = sample::records(spec, first_seed, count);
        let shards = records.chunks(spec.segments_per_shard);
        let num_shards = shards.len();
        for (index, shard) in shards.enumerate() {
            writer.write_shard(index, shard).unwrap();
        }
        writer.finish(num_shards).unwrap();
        path
    }

    fn assert_same_files(first: &Path, second: &Path) {
        let names = crate::write_once_dir::file_names(first).unwrap();
        assert_eq!(names, crate::write_once_dir::file_names(second).unwrap());
        for name in names {
            let bytes = |dir: &Path| fs::read(dir.join(&name)).unwrap();
            assert_eq!(bytes(first), bytes(second), "{name}");
        }
    }

    #[test]
    fn a_filter_that_keeps_everything_gives_the_same_bytes() {
        for spec in sample::specs() {
            let dir = tempfile::tempdir().unwrap();
            let source = write(dir.path(), "source", &spec, 0, 10);
            let out = dir.path().join("out");
            filter(&open(&source), &out, |_| true).unwrap();
            assert_same_files(&source, &out);
        }
    }

    #[test]
    fn a_filter_keeps_what_it_chooses_in_order_and_repacks_the_shards() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let source = write(dir.path(), "source", &spec, 0, 23);
        let out = dir.path().join("out");
        let short = |record: &TargetRecord| record.num_tokens() <= 6;
        let manifest = filter(&open(&source), &out, short).unwrap();
        let mut expected = records(&source);
        expected.retain(short);
        assert_eq!(records(&out), expected);
        assert_eq!(manifest.shards.len(), expected.len().div_ceil(4));
        assert_eq!(verify(&out).unwrap().num_segments, expected.len() as u64);
    }

    #[test]
    fn split_sides_add_up_to_the_source_and_concatenate_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let source = write(dir.path(), "source", &spec, 0, 40);
        let path = |name| dir.path().join(name);
        let mut row = 0;
        let first_fifteen = |_: &TargetRecord| {
            row += 1;
            row <= 15
        };
        let manifests = split(&open(&source), &path("a"), &path("b"), first_fifteen).unwrap();
        assert_eq!(manifests.map(|manifest| manifest.num_segments), [15, 25]);
        verify(&path("a")).unwrap();
        verify(&path("b")).unwrap();
        concatenate(&[open(&path("a")), open(&path("b"))], &path("whole")).unwrap();
        assert_same_files(&source, &path("whole"));
    }

    #[test]
    fn a_split_by_key_puts_equal_segments_on_one_side() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let once = write(dir.path(), "once", &spec, 0, 200);
        let path = |name| dir.path().join(name);
        concatenate(&[open(&once), open(&once)], &path("twice")).unwrap();
        let quarter = |record: &TargetRecord| record.key.draw(3) < 0.25;
        let [a, b] = split(&open(&path("twice")), &path("a"), &path("b"), quarter).unwrap();
        assert_eq!(a.num_segments + b.num_segments, 400);
        // 50 of 200 are expected, with a standard deviation of 6.1.
        assert!((60..=140).contains(&a.num_segments), "{}", a.num_segments);
        let keys = |name| {
            records(&path(name))
                .iter()
                .map(|r| r.key)
                .collect::<Vec<_>>()
        };
        let chosen = keys("a");
        assert!(keys("b").iter().all(|key| !chosen.contains(key)));
    }

    #[test]
    fn caches_of_different_shard_sizes_are_joined_and_of_different_teachers_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let first = write(dir.path(), "first", &spec, 0, 6);
        let larger = CacheSpec {
            segments_per_shard: 100,
            ..spec.clone()
        };
        let second = write(dir.path(), "second", &larger, 6, 5);
        let out = dir.path().join("out");
        let manifest = concatenate(&[open(&first), open(&second)], &out).unwrap();
        let segments: Vec<u64> = manifest.shards.iter().map(|shard| shard.segments).collect();
        assert_eq!(segments, [4, 4, 3]);

        let other = CacheSpec {
            teacher_fingerprint: "c3".repeat(32),
            ..spec
        };
        let other = write(dir.path(), "other", &other, 0, 2);
        let out = dir.path().join("refused");
        let message = concatenate(&[open(&first), open(&other)], &out)
            .unwrap_err()
            .to_string();
        assert!(message.contains("other do not fit"), "{message}");
        assert!(message.contains("its teacher_fingerprint is"), "{message}");
        assert!(!out.exists());
    }

    #[test]
    fn the_teachers_head_is_carried_over_and_caches_of_other_heads_are_not_joined() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::hidden_spec(StateType::Int8);
        let path = |name| dir.path().join(name);
        let source = open(&write(dir.path(), "source", &spec, 0, 10));
        let mut row = 0;
        let first_half = |_: &TargetRecord| {
            row += 1;
            row <= 5
        };
        split(&source, &path("a"), &path("b"), first_half).unwrap();
        filter(&source, &path("c"), |record| record.num_tokens() > 1).unwrap();
        concatenate(&[open(&path("a")), open(&path("b"))], &path("whole")).unwrap();
        assert_same_files(&path("source"), &path("whole"));
        for name in ["a", "b", "c", "whole"] {
            verify(&path(name)).unwrap();
            let head = open(&path(name)).teacher_head().unwrap();
            assert_eq!(head, Some(sample::head()), "{name}");
        }

        let other = sample::head().with_logit_scale(0.5).unwrap();
        let TargetKind::Hidden { width, values, .. } = spec.targets else {
            panic!("hidden states");
        };
        let head = other.fingerprint();
        let targets = TargetKind::Hidden {
            width,
            values,
            head,
        };
        let mut writer = CacheWriter::open(&path("other"), CacheSpec { targets, ..spec }).unwrap();
        writer.put_teacher_head(&other).unwrap();
        writer.write_shard(0, &records(&path("a"))[..3]).unwrap();
        writer.finish(1).unwrap();
        let outcome = concatenate(&[source, open(&path("other"))], &path("refused"));
        assert!(
            matches!(
                outcome,
                Err(CacheError::UnlikeCaches {
                    field: "targets",
                    ..
                })
            ),
            "{outcome:?}"
        );
    }

    #[test]
    fn an_empty_side_is_an_error_and_completes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let source = write(dir.path(), "source", &sample::spec(ValueType::F16, 8), 0, 6);
        let path = |name| dir.path().join(name);
        let source = open(&source);
        let outcomes = [
            filter(&source, &path("a"), |_| false).map(drop),
            split(&source, &path("b"), &path("c"), |_| true).map(drop),
            concatenate(&[], &path("d")).map(drop),
        ];
        for outcome in outcomes {
            assert!(
                matches!(outcome, Err(CacheError::NoSegments { .. })),
                "{outcome:?}"
            );
        }
        assert!(
            ["a", "b", "c", "d"]
                .iter()
                .all(|name| CacheReader::open(&path(name)).is_err())
        );
    }

    #[test]
    fn a_derivation_that_was_killed_is_repeated_and_one_of_another_kind_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let source = write(dir.path(), "source", &spec, 0, 10);
        let out = dir.path().join("out");
        let mut writer = CacheWriter::open(&out, spec.clone()).unwrap();
        writer.write_shard(0, &records(&source)[..4]).unwrap();
        drop(writer);
        let first = records(&source)[0].key;
        let outcome = filter(&open(&source), &out, |record| record.key != first);
        assert!(
            matches!(outcome, Err(CacheError::KeyMismatch { row: 0, .. })),
            "{outcome:?}"
        );
        filter(&open(&source), &out, |_| true).unwrap();
        assert_same_files(&source, &out);
    }
}
