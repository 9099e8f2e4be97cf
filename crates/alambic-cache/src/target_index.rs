//! Targets of finished caches by what the teacher read.

use crate::reader::expect_count;
use crate::shard_file::ShardFile;
use crate::{CacheError, CacheReader, CacheSpec, SegmentKey, SegmentReader, TargetRecord};

/// Finds segments in finished caches by their keys, so that no teacher is asked twice.
///
/// Holds about 48 bytes for each segment of the caches.
///
/// ```
/// use alambic_cache::{CacheReader, TargetIndex};
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
/// let mut writer = CacheWriter::open(dir.path(), spec.clone())?;
/// writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
/// writer.finish(1)?;
///
/// let mut index = TargetIndex::open(vec![CacheReader::open(dir.path())?], &spec)?;
/// let found = index.find(&SegmentKey::of("t", &[2], &[]))?;
/// assert_eq!(found, Some(record(vec![2])));
/// assert_eq!(index.find(&SegmentKey::of("t", &[3], &[]))?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TargetIndex {
    caches: Vec<SegmentReader>,
    /// Key, cache, and place in the cache; ascending.
    places: Vec<(SegmentKey, usize, u64)>,
}

impl TargetIndex {
    /// Reads the keys of all caches.
    ///
    /// # Errors
    /// [`CacheError::UnlikeCaches`] for a cache that stores other targets than `spec` says, in anything
    /// but `segments_per_shard`; and the errors of reading a cache.
    ///
    /// ```
    /// # let spec = alambic_cache::CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: alambic_cache::TargetKind::Sampled { draws: 8, seed: 0, method: alambic_cache::DrawMethod::Independent }, temperatures: vec![1.0],
    /// #     segments_per_shard: 2,
    /// # };
    /// let nothing = alambic_cache::TargetIndex::open(vec![], &spec)?;
    /// assert_eq!(nothing.num_segments(), 0);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn open(caches: Vec<CacheReader>, spec: &CacheSpec) -> Result<Self, CacheError> {
        let mut places = Vec::new();
        for (cache, reader) in caches.iter().enumerate() {
            spec.expect_same_targets(&reader.manifest().spec, &reader.storage().root())?;
            let mut at = 0;
            for shard in 0..reader.manifest().shards.len() {
                for key in keys(reader, shard)? {
                    places.push((key, cache, at));
                    at += 1;
                }
            }
        }
        places.sort_unstable();
        // Of equal segments the first one is as good as any.
        places.dedup_by_key(|&mut (key, ..)| key);
        Ok(Self {
            caches: caches.into_iter().map(SegmentReader::new).collect(),
            places,
        })
    }

    /// Different segments that can be found.
    ///
    /// ```
    /// # let spec = alambic_cache::CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: alambic_cache::TargetKind::Sampled { draws: 8, seed: 0, method: alambic_cache::DrawMethod::Independent }, temperatures: vec![1.0],
    /// #     segments_per_shard: 2,
    /// # };
    /// assert_eq!(alambic_cache::TargetIndex::open(vec![], &spec)?.num_segments(), 0);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn num_segments(&self) -> usize {
        self.places.len()
    }

    /// A segment of that key, if a cache holds one.
    ///
    /// # Errors
    /// Those of [`SegmentReader::read`]: every checksum and rule is checked.
    ///
    /// ```
    /// # let spec = alambic_cache::CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: alambic_cache::TargetKind::Sampled { draws: 8, seed: 0, method: alambic_cache::DrawMethod::Independent }, temperatures: vec![1.0],
    /// #     segments_per_shard: 2,
    /// # };
    /// let mut nothing = alambic_cache::TargetIndex::open(vec![], &spec)?;
    /// let key = alambic_cache::SegmentKey::of("t", &[1, 2], &[false, true]);
    /// assert_eq!(nothing.find(&key)?, None);
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn find(&mut self, key: &SegmentKey) -> Result<Option<TargetRecord>, CacheError> {
        match self.places.binary_search_by_key(&key, |(key, ..)| key) {
            Err(_) => Ok(None),
            Ok(place) => {
                let (_, cache, at) = self.places[place];
                let record = self.caches[cache].read(at)?;
                // Keys were read without the checksum that this reading has compared.
                Ok((record.key == *key).then_some(record))
            }
        }
    }
}

/// The keys of one shard, which are compared with its checksum when a segment is read.
fn keys(reader: &CacheReader, shard: usize) -> Result<Vec<SegmentKey>, CacheError> {
    let (entry, path) = reader.shard(shard)?;
    let file = reader.storage().open_file(&entry.file)?;
    let keys = ShardFile::open(file, &reader.manifest().spec, shard, &path)?.keys()?;
    expect_count(&path, "segments", entry.segments, keys.len() as u64)?;
    Ok(keys)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{ValueType, sample};

    #[test]
    fn segments_of_several_caches_are_found_with_their_targets_and_others_are_not() {
        for spec in sample::specs() {
            let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let mut records = Vec::new();
            for (i, dir) in dirs.iter().enumerate() {
                let of_cache = CacheSpec {
                    segments_per_shard: 4 + i,
                    ..spec.clone()
                };
                sample::write_cache(dir.path(), &of_cache);
                let reader = CacheReader::open(dir.path()).unwrap();
                records.extend((0..2).flat_map(|shard| reader.read_shard(shard).unwrap()));
            }
            let readers = dirs
                .iter()
                .map(|dir| CacheReader::open(dir.path()).unwrap());
            let mut index = TargetIndex::open(readers.collect(), &spec).unwrap();
            // Both caches hold the same six segments.
            assert_eq!(index.num_segments(), 6);
            for record in &records {
                assert_eq!(index.find(&record.key).unwrap().as_ref(), Some(record));
            }
            assert_eq!(index.find(&sample::record(&spec, 99).key).unwrap(), None);
        }
    }

    #[test]
    fn a_cache_of_other_targets_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        sample::write_cache(dir.path(), &sample::spec(ValueType::F16, 8));
        let caches = vec![CacheReader::open(dir.path()).unwrap()];
        let other = sample::spec(ValueType::F16, 4);
        let error = TargetIndex::open(caches, &other).unwrap_err();
        assert!(
            matches!(
                error,
                CacheError::UnlikeCaches {
                    field: "targets",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn what_changed_in_a_cache_is_not_taken_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F32, 8);
        sample::write_cache(dir.path(), &spec);
        let caches = vec![CacheReader::open(dir.path()).unwrap()];
        let mut index = TargetIndex::open(caches, &spec).unwrap();
        let path = dir.path().join("shard-00000.parquet");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[200] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let key = sample::record(&spec, 0).key;
        let error = index.find(&key).unwrap_err();
        assert!(matches!(error, CacheError::Checksum { .. }), "{error}");
    }
}
