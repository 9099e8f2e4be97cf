//! Reading single segments of a finished cache, in any order.

use crate::reader::expect_count;
use crate::shard_content;
use crate::shard_file::ShardFile;
use crate::{CacheError, CacheReader, TargetRecord};

/// Reads any segment by its place in the cache; holds one segment at a time.
///
/// Segments are counted through all shards in order: the first of shard 1 follows the last of
/// shard 0. Together with [`EpochOrder`](crate::EpochOrder) this is a full shuffle of a cache that
/// does not fit into memory. A shard's SHA-256 is compared with the manifest when its first segment
/// is read; later reads touch the segment's row group alone, and check every rule of its record.
///
/// ```
/// use alambic_cache::{CacheReader, EpochOrder, SegmentReader};
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
/// let mut writer = CacheWriter::open(dir.path(), spec)?;
/// writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
/// writer.write_shard(1, &[record(vec![3, 1])])?;
/// writer.finish(2)?;
///
/// let mut segments = SegmentReader::new(CacheReader::open(dir.path())?);
/// assert_eq!(segments.read(2)?.token_ids, [3, 1]);
/// assert_eq!(segments.read(0)?.token_ids, [1, 2, 3]);
/// for index in EpochOrder::new(17, 0, segments.num_segments()) {
///     assert!(segments.read(index)?.num_tokens() <= 3);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SegmentReader {
    reader: CacheReader,
    /// Entry `i` counts the segments before shard `i`; one more entry for all.
    starts: Vec<u64>,
    /// Whether the bytes of each shard have been compared with the manifest.
    is_checked: Vec<bool>,
}

impl SegmentReader {
    /// Random access to the segments of `reader`.
    ///
    /// ```
    /// use alambic_cache::{CacheReader, SegmentReader};
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
    /// # let mut writer = CacheWriter::open(dir.path(), spec)?;
    /// # writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
    /// # writer.finish(1)?;
    /// let segments = SegmentReader::new(CacheReader::open(dir.path())?);
    /// assert_eq!(segments.num_segments(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(reader: CacheReader) -> Self {
        let mut starts = vec![0];
        for (i, shard) in reader.manifest().shards.iter().enumerate() {
            starts.push(starts[i] + shard.segments);
        }
        let is_checked = vec![false; reader.manifest().shards.len()];
        Self {
            reader,
            starts,
            is_checked,
        }
    }

    /// Segments in all shards.
    ///
    /// ```
    /// use alambic_cache::{CacheReader, SegmentReader};
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
    /// # let mut writer = CacheWriter::open(dir.path(), spec)?;
    /// # writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
    /// # writer.finish(1)?;
    /// let reader = CacheReader::open(dir.path())?;
    /// let expected = reader.manifest().num_segments;
    /// assert_eq!(SegmentReader::new(reader).num_segments(), expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn num_segments(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }

    /// The segment at `index`, counted through all shards.
    ///
    /// # Errors
    /// [`CacheError::NoSuchSegment`], and those of [`read_at`](Self::read_at).
    ///
    /// ```
    /// use alambic_cache::{CacheError, CacheReader, SegmentReader};
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
    /// # let mut writer = CacheWriter::open(dir.path(), spec)?;
    /// # writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
    /// # writer.finish(1)?;
    /// let mut segments = SegmentReader::new(CacheReader::open(dir.path())?);
    /// assert_eq!(segments.read(1)?.token_ids, [2]);
    /// assert!(matches!(segments.read(2), Err(CacheError::NoSuchSegment { num_segments: 2, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&mut self, index: u64) -> Result<TargetRecord, CacheError> {
        if index >= self.num_segments() {
            return Err(CacheError::NoSuchSegment {
                path: self.reader.storage().root(),
                index,
                num_segments: self.num_segments(),
            });
        }
        // The last shard that starts at or before it: no shard is empty.
        let shard = self.starts.partition_point(|&start| start <= index) - 1;
        self.read_at(shard, index - self.starts[shard])
    }

    /// The segment at `row` of a shard.
    ///
    /// # Errors
    /// [`CacheError::NoSuchShard`], [`CacheError::NoSuchSegment`]; [`CacheError::ShardSize`] and
    /// [`CacheError::Checksum`] for a file that changed; [`CacheError::InvalidRecord`], naming the
    /// row, and the other errors of a shard that was never valid.
    ///
    /// ```
    /// use alambic_cache::{CacheReader, SegmentReader};
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
    /// # let mut writer = CacheWriter::open(dir.path(), spec)?;
    /// # writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
    /// # writer.finish(1)?;
    /// let mut segments = SegmentReader::new(CacheReader::open(dir.path())?);
    /// assert_eq!(segments.read_at(0, 1)?, segments.read(1)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_at(&mut self, shard: usize, row: u64) -> Result<TargetRecord, CacheError> {
        let (entry, path) = self.reader.shard(shard)?;
        if row >= entry.segments {
            return Err(CacheError::NoSuchSegment {
                path,
                index: row,
                num_segments: entry.segments,
            });
        }
        let storage = self.reader.storage();
        if !self.is_checked[shard] {
            shard_content::check_file(storage, entry)?;
        }
        let spec = &self.reader.manifest().spec;
        let file = ShardFile::open(storage.open_file(&entry.file)?, spec, shard, &path)?;
        expect_count(&path, "segments", entry.segments, file.num_rows() as u64)?;
        let record = file.record(row as usize)?;
        self.is_checked[shard] = true;
        Ok(record)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{CacheWriter, EpochOrder, ValueType, sample};

    /// Shards of 3, 1 and 4 segments.
    fn write_uneven(dir: &std::path::Path) -> Vec<TargetRecord> {
        let spec = sample::spec(ValueType::F32, 8);
        let mut writer = CacheWriter::open(dir, spec.clone()).unwrap();
        let mut all = Vec::new();
        for (index, count) in [3, 1, 4].into_iter().enumerate() {
            let records = sample::records(&spec, 10 * index as u64, count);
            writer.write_shard(index, &records).unwrap();
            all.extend(records);
        }
        writer.finish(3).unwrap();
        all
    }

    #[test]
    fn every_segment_is_found_by_index_and_by_shard_and_row() {
        let dir = tempfile::tempdir().unwrap();
        let expected = write_uneven(dir.path());
        let mut segments = SegmentReader::new(CacheReader::open(dir.path()).unwrap());
        for index in [7, 0, 3, 4, 2, 6, 1, 5] {
            assert_eq!(segments.read(index).unwrap(), expected[index as usize]);
        }
        assert_eq!(segments.read_at(1, 0).unwrap(), expected[3]);
        assert_eq!(segments.read_at(2, 3).unwrap(), expected[7]);
        for outcome in [
            segments.read(8),
            segments.read(u64::MAX),
            segments.read_at(1, 1),
        ] {
            assert!(
                matches!(outcome, Err(CacheError::NoSuchSegment { .. })),
                "{outcome:?}"
            );
        }
        let outcome = segments.read_at(3, 0);
        assert!(
            matches!(outcome, Err(CacheError::NoSuchShard { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn an_epoch_reads_every_segment_once() {
        let dir = tempfile::tempdir().unwrap();
        let expected = write_uneven(dir.path());
        let mut segments = SegmentReader::new(CacheReader::open(dir.path()).unwrap());
        let order = EpochOrder::new(1, 2, segments.num_segments());
        let mut read: Vec<_> = order
            .map(|index| segments.read(index).unwrap().key)
            .collect();
        assert_ne!(read, sample::keys(&expected));
        read.sort_unstable();
        let mut keys = sample::keys(&expected);
        keys.sort_unstable();
        assert_eq!(read, keys);
    }

    #[test]
    fn a_damaged_shard_is_found_at_its_first_segment_and_others_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let expected = write_uneven(dir.path());
        let path = dir.path().join("shard-00002.parquet");
        let mut bytes = fs::read(&path).unwrap();
        bytes[200] ^= 1;
        fs::write(&path, bytes).unwrap();
        let mut segments = SegmentReader::new(CacheReader::open(dir.path()).unwrap());
        for _ in 0..2 {
            let outcome = segments.read(4);
            assert!(
                matches!(outcome, Err(CacheError::Checksum { .. })),
                "{outcome:?}"
            );
        }
        assert_eq!(segments.read(3).unwrap(), expected[3]);
    }
}
