//! Writing a cache: shard by shard, resumable, the manifest last.

use std::path::{Path, PathBuf};

use crate::extent::Extent;
use crate::held_storage::HeldStorage;
use crate::invariants::RecordRules;
use crate::layout::{self, MANIFEST_FILE};
use crate::seal::{existing_shards, present_shards, seal_if_whole};
use crate::shard_file::ShardFile;
use crate::storage::Storage;
use crate::stored_file::StoredFile;
use crate::write_once_dir::Hold;
use crate::{
    CacheError, CacheLocation, CacheSpec, Finished, Manifest, MissingShards, Part, SegmentKey,
    TargetRecord, TeacherHead, encode, teacher_head_file,
};

/// Writes a cache or one part of it, or resumes writing it; holds its locks until it is dropped.
///
/// Shards are written once and appear whole or not at all, so a capture that was killed asks
/// [`has_shard`](Self::has_shard) for each shard and computes the missing ones. The same records
/// give the same bytes.
///
/// ```
/// use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let spec = CacheSpec {
///     teacher_fingerprint: "a1".repeat(32),
///     tokenizer_fingerprint: "b2".repeat(32),
///     vocab_size: 4,
///     targets: TargetKind::TopK { k: 2, values: ValueType::F32 },
///     temperatures: vec![1.0],
///     segments_per_shard: 1,
/// };
/// let record = TargetRecord {
///     key: SegmentKey::of(&spec.teacher_fingerprint, &[1, 3], &[false, true]),
///     token_ids: vec![1, 3],
///     loss_mask: vec![false, true],
///     // Probabilities 1/2, 1/4, 1/8, 1/8: two entries and the mass of the rest.
///     targets: TopKTargets {
///         k: 2,
///         token_ids: vec![3, 0],
///         log_probs: vec![0.5f32.ln(), 0.25f32.ln()],
///         tail_mass: vec![0.25],
///         entropy: vec![1.75 * 2f32.ln()],
///         tempered: vec![],
///     }.into(),
/// };
///
/// let mut writer = CacheWriter::open(dir, spec.clone())?;
/// assert!(!writer.has_shard(0, &[record.key])?);
/// writer.write_shard(0, std::slice::from_ref(&record))?;
/// drop(writer); // the capture is interrupted here ...
///
/// let writer = CacheWriter::open(dir, spec)?;
/// assert!(writer.has_shard(0, &[record.key])?); // ... and resumed here
/// let manifest = writer.finish(1)?;
/// assert_eq!(manifest.num_targets, 1);
/// assert_eq!(CacheReader::open(dir)?.read_shard(0)?, [record]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CacheWriter {
    held: HeldStorage,
    spec: CacheSpec,
    part: Part,
}

impl CacheWriter {
    /// Creates the directory, or resumes one whose shards belong to this specification; the only
    /// writer.
    ///
    /// Files that a killed writer left half written are removed.
    ///
    /// # Errors
    /// [`CacheError::AlreadyComplete`] if there is a manifest, [`CacheError::Locked`] if another
    /// writer holds the directory, [`CacheError::SpecMismatch`] if a shard was captured under
    /// another specification, [`CacheError::InvalidSpec`], [`CacheError::Io`]; for objects
    /// [`CacheError::ObjectStore`] and [`CacheError::NoObjectStorage`].
    ///
    /// ```
    /// use alambic_cache::{CacheError, CacheSpec, CacheWriter, TargetKind, ValueType};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path();
    /// let spec = CacheSpec {
    ///     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32),
    ///     vocab_size: 4, targets: TargetKind::TopK { k: 2, values: ValueType::F16 }, temperatures: vec![1.0], segments_per_shard: 8,
    /// };
    /// let writer = CacheWriter::open(dir, spec.clone())?;
    /// assert!(matches!(CacheWriter::open(dir, spec), Err(CacheError::Locked { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(location: impl Into<CacheLocation>, spec: CacheSpec) -> Result<Self, CacheError> {
        Self::open_part(location, spec, Part::whole())
    }

    /// [`open`](Self::open) for one of several writers, in this process or others, here or on
    /// other machines.
    ///
    /// Writers of different parts work at the same time. On one machine two of the same part
    /// refuse each other, and so do a writer of a part and one of the whole. Should two meet
    /// nevertheless, over a network file system without locks or in object storage, which has none,
    /// the first to complete a shard wins and the other gets [`CacheError::AlreadyExists`]: nothing
    /// is lost or doubled. What a killed writer left half written is removed by the next one of the
    /// same part; an object is never half written.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    ///
    /// ```
    /// use alambic_cache::{CacheError, CacheSpec, CacheWriter, Part, TargetKind, ValueType};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path();
    /// # let spec = CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32),
    /// #     vocab_size: 4, targets: TargetKind::TopK { k: 2, values: ValueType::F16 }, temperatures: vec![1.0], segments_per_shard: 8,
    /// # };
    /// let first = CacheWriter::open_part(dir, spec.clone(), "0/2".parse()?)?;
    /// let second = CacheWriter::open_part(dir, spec.clone(), "1/2".parse()?)?;
    /// let again = CacheWriter::open_part(dir, spec, "1/2".parse()?);
    /// assert!(matches!(again, Err(CacheError::Locked { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_part(
        location: impl Into<CacheLocation>,
        spec: CacheSpec,
        part: Part,
    ) -> Result<Self, CacheError> {
        spec.validate()?;
        let storage = Storage::open(location)?;
        // Before the lock, so that a finished cache on a read-only disk says what it is.
        refuse_complete(&storage)?;
        let hold = match part.is_whole() {
            true => Hold::Alone,
            false => Hold::Beside(part.file_label()),
        };
        let held = storage.hold(hold)?;
        refuse_complete(&storage)?;
        let writer = Self { held, spec, part };
        for index in existing_shards(&storage)? {
            writer.open_shard(index, &writer.shard_path(index))?;
        }
        Ok(writer)
    }

    /// Whether shard `index` exists and holds exactly these segments, in this order.
    ///
    /// # Errors
    /// An existing shard that is damaged, belongs to another specification or holds other
    /// segments is an error that names it: [`CacheError::SpecMismatch`],
    /// [`CacheError::SegmentCount`], [`CacheError::KeyMismatch`], [`CacheError::Parquet`] ...
    ///
    /// ```
    /// # use alambic_cache::{CacheSpec, CacheWriter, SegmentKey, TargetKind, ValueType};
    /// # let dir = tempfile::tempdir()?;
    /// # let spec = CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: TargetKind::TopK { k: 2, values: ValueType::F16 }, temperatures: vec![1.0],
    /// #     segments_per_shard: 8,
    /// # };
    /// let writer = CacheWriter::open(dir.path(), spec)?;
    /// let key = SegmentKey::of("teacher", &[1, 3], &[false, true]);
    /// assert!(!writer.has_shard(0, &[key])?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_shard(&self, index: usize, keys: &[SegmentKey]) -> Result<bool, CacheError> {
        let path = self.shard_path(index);
        if !self.storage().has(&layout::shard_file_name(index))? {
            return Ok(false);
        }
        let found = self.open_shard(index, &path)?.keys()?;
        if found.len() != keys.len() {
            return Err(CacheError::SegmentCount {
                path,
                expected: keys.len().to_string(),
                found: found.len(),
            });
        }
        match (0..keys.len()).find(|&row| keys[row] != found[row]) {
            None => Ok(true),
            Some(row) => Err(CacheError::KeyMismatch {
                path,
                row,
                expected: keys[row],
                found: found[row],
            }),
        }
    }

    /// Writes shard `index` if it is absent.
    ///
    /// When this returns, the shard is on the disk; after any error nothing of it is.
    ///
    /// # Errors
    /// [`CacheError::InvalidRecord`] if a record breaks a rule (see the crate's documentation),
    /// [`CacheError::SegmentCount`] for none or more than `segments_per_shard` records,
    /// [`CacheError::ForeignShard`] for a shard of another part, [`CacheError::AlreadyExists`], [`CacheError::Io`] or [`CacheError::Parquet`] when the disk
    /// refuses.
    ///
    /// ```
    /// # use alambic_cache::{CacheError, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
    /// # let dir = tempfile::tempdir()?;
    /// # let spec = CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: TargetKind::TopK { k: 1, values: ValueType::F16 }, temperatures: vec![1.0],
    /// #     segments_per_shard: 8,
    /// # };
    /// # let record = TargetRecord {
    /// #     key: SegmentKey::of("t", &[1, 3], &[false, true]), token_ids: vec![1, 3], loss_mask: vec![false, true],
    /// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623], tempered: vec![] }.into(),
    /// # };
    /// let mut writer = CacheWriter::open(dir.path(), spec)?;
    /// writer.write_shard(0, std::slice::from_ref(&record))?;
    /// let again = writer.write_shard(0, &[record]);
    /// assert!(matches!(again, Err(CacheError::AlreadyExists { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_shard(
        &mut self,
        index: usize,
        records: &[TargetRecord],
    ) -> Result<(), CacheError> {
        let path = self.shard_path(index);
        if !self.part.owns(index) {
            let part = self.part;
            return Err(CacheError::ForeignShard { path, part });
        }
        let most = self.spec.segments_per_shard;
        if !(1..=most).contains(&records.len()) {
            let expected = format!("1..={most}");
            return Err(CacheError::SegmentCount {
                path,
                expected,
                found: records.len(),
            });
        }
        let mut rules = RecordRules::new(&self.spec);
        for (row, record) in records.iter().enumerate() {
            rules.check(record, row, &path)?;
            encode::check_storable(record, &self.spec, row, &path)?;
        }
        self.held
            .put_if_absent(&layout::shard_file_name(index), |sink| {
                encode::encode_shard(sink, &self.spec, index, records, &path)
            })
    }

    /// Puts the teacher's head beside the shards, which hidden states need; a head that is there
    /// already must be the same.
    ///
    /// Every writer of a part may put it, in any order with the shards: the bytes are the same, and a
    /// cache is not complete without.
    ///
    /// # Errors
    /// [`CacheError::TeacherHeadMismatch`] for another head than that of the specification or a file
    /// that was damaged, [`CacheError::InvalidSpec`] for targets without a head, [`CacheError::Io`].
    ///
    /// ```
    /// use alambic_cache::{
    ///     CacheReader, CacheSpec, CacheWriter, HiddenTargets, SegmentKey, StateType, TargetKind,
    ///     TargetRecord, TeacherHead,
    /// };
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path();
    /// let head = TeacherHead::try_new(vec![1.0, 0.0, 2.0, 0.0, -1.0, 0.5], 2, 3)?;
    /// let spec = CacheSpec {
    ///     teacher_fingerprint: "a1".repeat(32),
    ///     tokenizer_fingerprint: "b2".repeat(32),
    ///     vocab_size: 2,
    ///     targets: TargetKind::Hidden { width: 3, values: StateType::Int8, head: head.fingerprint() },
    ///     temperatures: vec![1.0],
    ///     segments_per_shard: 8,
    /// };
    /// let record = TargetRecord {
    ///     key: SegmentKey::of(&spec.teacher_fingerprint, &[1, 0], &[false, true]),
    ///     token_ids: vec![1, 0],
    ///     loss_mask: vec![false, true],
    ///     targets: HiddenTargets { width: 3, states: vec![0.5, 1.27, -0.2] }.into(),
    /// };
    /// let mut writer = CacheWriter::open(dir, spec)?;
    /// writer.put_teacher_head(&head)?;
    /// writer.write_shard(0, &[record])?;
    /// writer.finish(1)?;
    /// assert_eq!(CacheReader::open(dir)?.teacher_head()?, Some(head));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_teacher_head(&self, head: &TeacherHead) -> Result<(), CacheError> {
        teacher_head_file::put(&self.held, &self.spec, head)
    }

    /// Reads every shard back, then writes the manifest: from here on the cache is complete.
    ///
    /// # Errors
    /// [`CacheError::MissingShards`] if some of `0..num_shards` are absent,
    /// [`CacheError::UnexpectedShard`] if there are others, [`CacheError::ExtentMismatch`] if
    /// another writer counted differently, [`CacheError::TeacherHeadAbsent`] for hidden states whose head
    /// nobody has put, any error of reading a damaged shard.
    ///
    /// ```
    /// # use alambic_cache::{CacheError, CacheSpec, CacheWriter, TargetKind, ValueType};
    /// # let dir = tempfile::tempdir()?;
    /// # let spec = CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: TargetKind::TopK { k: 2, values: ValueType::F16 }, temperatures: vec![1.0],
    /// #     segments_per_shard: 8,
    /// # };
    /// let writer = CacheWriter::open(dir.path(), spec)?;
    /// let outcome = writer.finish(3); // nothing was written
    /// assert!(matches!(outcome, Err(CacheError::MissingShards { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(self, num_shards: usize) -> Result<Manifest, CacheError> {
        let path = self.storage().root();
        match self.finish_part(num_shards)? {
            Finished::Sealed(manifest) => Ok(manifest),
            Finished::Waiting(missing) => Err(CacheError::MissingShards { path, missing }),
        }
    }

    /// Ends this writer's part; the writer that finds every shard there seals the cache.
    ///
    /// `num_shards` is that of the whole cache. Whichever order the writers of all parts end in,
    /// one of them at least sees the last shard, since each looks after its own is on the disk; if
    /// several do, all find the same manifest.
    ///
    /// # Errors
    /// [`CacheError::MissingShards`] if shards of this part are absent, otherwise those of
    /// [`finish`](Self::finish).
    ///
    /// ```
    /// # use alambic_cache::{CacheSpec, CacheWriter, Finished, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path();
    /// # let spec = CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: TargetKind::TopK { k: 1, values: ValueType::F16 }, temperatures: vec![1.0],
    /// #     segments_per_shard: 8,
    /// # };
    /// # let record = TargetRecord {
    /// #     key: SegmentKey::of("t", &[1, 3], &[false, true]), token_ids: vec![1, 3], loss_mask: vec![false, true],
    /// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623], tempered: vec![] }.into(),
    /// # };
    /// let mut first = CacheWriter::open_part(dir, spec.clone(), "0/2".parse()?)?;
    /// let mut second = CacheWriter::open_part(dir, spec, "1/2".parse()?)?;
    /// second.write_shard(1, std::slice::from_ref(&record))?;
    /// let Finished::Waiting(missing) = second.finish_part(2)? else { unreachable!() };
    /// assert_eq!(missing.shards, [0]);
    /// first.write_shard(0, &[record])?;
    /// assert!(matches!(first.finish_part(2)?, Finished::Sealed(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish_part(self, num_shards: usize) -> Result<Finished, CacheError> {
        let present = present_shards(self.storage(), num_shards)?;
        let mut own = self.part.shards(num_shards);
        let num_parts = Some(self.part.count());
        if num_shards == 0 || own.any(|index| present.binary_search(&index).is_err()) {
            let path = self.storage().root();
            let missing = MissingShards::find(&present, num_shards, num_parts)
                .expect("a shard of this part is missing");
            return Err(CacheError::MissingShards { path, missing });
        }
        Extent::of(&self.spec, num_shards).put(&self.held)?;
        seal_if_whole(&self.held, &self.spec, num_shards, num_parts)
    }

    #[cfg(test)]
    pub(crate) fn spec(&self) -> &CacheSpec {
        &self.spec
    }

    #[cfg(test)]
    pub(crate) fn dir_mut(&mut self) -> &mut crate::write_once_dir::WriteOnceDir {
        self.held.dir_mut()
    }

    pub(crate) fn storage(&self) -> &Storage {
        self.held.storage()
    }

    fn shard_path(&self, index: usize) -> PathBuf {
        self.storage().path_of(&layout::shard_file_name(index))
    }

    fn open_shard<'a>(
        &'a self,
        index: usize,
        path: &'a Path,
    ) -> Result<ShardFile<'a, StoredFile>, CacheError> {
        let file = self.storage().open_file(&layout::shard_file_name(index))?;
        ShardFile::open(file, &self.spec, index, path)
    }
}

fn refuse_complete(storage: &Storage) -> Result<(), CacheError> {
    match storage.has(MANIFEST_FILE)? {
        true => Err(CacheError::AlreadyComplete {
            path: storage.path_of(MANIFEST_FILE),
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::{CacheReader, F16_RELATIVE_ERROR, ValueType, sample};

    /// Half the distance between f16 subnormals.
    const F16_SUBNORMAL_ERROR: f32 = 1.0 / (1u32 << 25) as f32;

    fn error<T: std::fmt::Debug>(outcome: Result<T, CacheError>) -> String {
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn f32_records_come_back_equal() {
        for k in [1, 8, 50] {
            let dir = tempfile::tempdir().unwrap();
            let spec = sample::spec(ValueType::F32, k);
            sample::write_cache(dir.path(), &spec);
            let reader = CacheReader::open(dir.path()).unwrap();
            assert_eq!(reader.read_shard(0).unwrap(), sample::records(&spec, 0, 3));
            assert_eq!(reader.read_shard(1).unwrap(), sample::records(&spec, 10, 3));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn f16_records_come_back_within_the_rounding_error(seed in 0u64..1_000_000, k in 1usize..=50) {
            let dir = tempfile::tempdir().unwrap();
            let spec = sample::spec(ValueType::F16, k);
            let written = sample::records(&spec, seed, 4);
            let mut writer = CacheWriter::open(dir.path(), spec).unwrap();
            writer.write_shard(0, &written).unwrap();
            writer.finish(1).unwrap();
            let mut read = CacheReader::open(dir.path()).unwrap().read_shard(0).unwrap();
            for (written, read) in written.iter().zip(&mut read) {
                for (x, y) in written.targets.top_k().unwrap().log_probs.iter().zip(&read.targets.top_k().unwrap().log_probs) {
                    let bound = (x.abs() * F16_RELATIVE_ERROR).max(F16_SUBNORMAL_ERROR);
                    prop_assert!((x - y).abs() <= bound, "{x} came back as {y}");
                }
                // Everything else is exact.
                let exact = &written.targets.top_k().unwrap().log_probs;
                sample::top_k(read).log_probs.clone_from(exact);
            }
            prop_assert_eq!(read, written);
        }
    }

    #[test]
    fn the_same_records_give_the_same_bytes() {
        let spec = sample::spec(ValueType::F16, 8);
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        sample::write_cache(first.path(), &spec);
        // The second capture is interrupted after each shard and writes them in another order.
        for index in [1, 0] {
            let mut writer = CacheWriter::open(second.path(), spec.clone()).unwrap();
            writer
                .write_shard(index, &sample::records(&spec, 10 * index as u64, 3))
                .unwrap();
        }
        CacheWriter::open(second.path(), spec)
            .unwrap()
            .finish(2)
            .unwrap();
        for file in ["shard-00000.parquet", "shard-00001.parquet", MANIFEST_FILE] {
            let bytes = |dir: &tempfile::TempDir| fs::read(dir.path().join(file)).unwrap();
            assert_eq!(bytes(&first), bytes(&second), "{file}");
        }
    }

    #[test]
    fn a_resumed_writer_knows_which_shards_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let (first, second) = (sample::records(&spec, 0, 3), sample::records(&spec, 10, 3));
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        writer.write_shard(0, &first).unwrap();
        drop(writer);
        // What a kill in the middle of the second shard leaves behind.
        let leftover = dir.path().join(".tmp-shard-00001.parquet");
        fs::write(&leftover, b"PAR1 and then nothing").unwrap();

        let mut writer = CacheWriter::open(dir.path(), spec).unwrap();
        assert!(!leftover.exists());
        assert!(writer.has_shard(0, &sample::keys(&first)).unwrap());
        assert!(!writer.has_shard(1, &sample::keys(&second)).unwrap());
        writer.write_shard(1, &second).unwrap();
        assert_eq!(writer.finish(2).unwrap().num_segments, 6);
    }

    #[test]
    fn a_shard_of_another_specification_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        writer
            .write_shard(0, &sample::records(&spec, 0, 3))
            .unwrap();
        drop(writer);
        type Change = fn(&mut CacheSpec);
        let changes: [(&str, Change); 5] = [
            ("teacher_fingerprint", |spec| {
                spec.teacher_fingerprint = "c3".repeat(32)
            }),
            ("tokenizer_fingerprint", |spec| {
                spec.tokenizer_fingerprint = "c3".repeat(32)
            }),
            ("vocab_size", |spec| spec.vocab_size = 51),
            ("targets", |spec| {
                let values = ValueType::F32;
                spec.targets = crate::TargetKind::TopK { k: 8, values };
            }),
            ("segments_per_shard", |spec| spec.segments_per_shard = 5),
        ];
        for (changed, change) in changes {
            let mut other = spec.clone();
            change(&mut other);
            match CacheWriter::open(dir.path(), other) {
                Err(CacheError::SpecMismatch { path, field, .. }) => {
                    assert_eq!(field, changed);
                    assert!(path.ends_with("shard-00000.parquet"));
                }
                outcome => panic!("{changed}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn a_shard_of_other_segments_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        let records = sample::records(&spec, 0, 3);
        writer.write_shard(0, &records).unwrap();
        let mut keys = sample::keys(&records);
        let outcome = writer.has_shard(0, &keys[..2]);
        assert!(
            matches!(outcome, Err(CacheError::SegmentCount { found: 3, .. })),
            "{outcome:?}"
        );
        keys.swap(1, 2);
        match writer.has_shard(0, &keys) {
            Err(CacheError::KeyMismatch { path, row: 1, .. }) => {
                assert!(path.ends_with("shard-00000.parquet"));
            }
            outcome => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn a_renamed_shard_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        writer
            .write_shard(0, &sample::records(&spec, 0, 3))
            .unwrap();
        drop(writer);
        let rename = |from: &str, to: &str| fs::rename(dir.path().join(from), dir.path().join(to));
        rename("shard-00000.parquet", "shard-00001.parquet").unwrap();
        let outcome = CacheWriter::open(dir.path(), spec.clone());
        assert!(matches!(
            outcome,
            Err(CacheError::ShardIndexMismatch { expected: 1, .. })
        ));
        rename("shard-00001.parquet", "shard-1.parquet").unwrap();
        let outcome = CacheWriter::open(dir.path(), spec);
        assert!(matches!(outcome, Err(CacheError::ShardName { .. })));
    }

    #[test]
    fn an_existing_shard_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        writer
            .write_shard(0, &sample::records(&spec, 0, 3))
            .unwrap();
        let before = fs::read(dir.path().join("shard-00000.parquet")).unwrap();
        let outcome = writer.write_shard(0, &sample::records(&spec, 50, 2));
        assert!(
            matches!(outcome, Err(CacheError::AlreadyExists { .. })),
            "{outcome:?}"
        );
        assert_eq!(
            fs::read(dir.path().join("shard-00000.parquet")).unwrap(),
            before
        );
        writer.finish(1).unwrap();
    }

    #[test]
    fn a_second_writer_is_refused_while_the_first_lives() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        let outcome = CacheWriter::open(dir.path(), spec.clone());
        assert!(
            matches!(outcome, Err(CacheError::Locked { .. })),
            "{outcome:?}"
        );
        drop(writer);
        CacheWriter::open(dir.path(), spec).unwrap();
    }

    #[test]
    fn a_complete_cache_takes_no_writer() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        sample::write_cache(dir.path(), &spec);
        let outcome = CacheWriter::open(dir.path(), spec);
        assert!(
            matches!(outcome, Err(CacheError::AlreadyComplete { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn finishing_needs_every_shard_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let open = || CacheWriter::open(dir.path(), spec.clone()).unwrap();
        assert!(matches!(
            open().finish(0),
            Err(CacheError::MissingShards { .. })
        ));
        for index in [0, 2] {
            open()
                .write_shard(index, &sample::records(&spec, 0, 1))
                .unwrap();
        }
        for num_shards in [3, 4, usize::MAX] {
            let message = error(open().finish(num_shards));
            assert!(message.contains(" 1"), "{message}");
            assert!(
                message.contains("missing: run the capture again"),
                "{message}"
            );
        }
        for num_shards in [1, 2] {
            let message = error(open().finish(num_shards));
            let expected = format!("shard-00002.parquet is not one of the {num_shards} shards");
            assert!(message.contains(&expected), "{message}");
        }
        // Nothing says how many shards there are as long as this writer's own are not whole.
        let storage = Storage::open(dir.path()).unwrap();
        assert_eq!(Extent::read(&storage).unwrap(), None);
        assert!(!dir.path().join(MANIFEST_FILE).exists());
    }

    #[test]
    fn finishing_refuses_a_damaged_shard() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F32, 8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        let records = sample::records(&spec, 0, 3);
        writer.write_shard(0, &records).unwrap();
        let path = dir.path().join("shard-00000.parquet");
        let mut bytes = fs::read(&path).unwrap();
        // A log-probability becomes NaN in place.
        let stored = records[1].targets.top_k().unwrap().log_probs[0].to_le_bytes();
        let position = bytes
            .windows(4)
            .position(|window| window == stored)
            .unwrap();
        bytes[position..position + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        let message = error(writer.finish(1));
        assert!(
            message.contains("shard-00000.parquet, row 1: targets.log_probs[0][0]"),
            "{message}"
        );
        assert!(!dir.path().join(MANIFEST_FILE).exists());
    }

    #[test]
    fn a_shard_holds_between_one_and_its_maximum_of_segments() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        for count in [0, 5] {
            let outcome = writer.write_shard(0, &sample::records(&spec, 0, count));
            assert!(error(outcome).contains(&format!("should hold 1..=4 segments, found {count}")));
        }
        writer
            .write_shard(0, &sample::records(&spec, 0, 4))
            .unwrap();
    }

    #[test]
    fn a_broken_record_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let mut writer = CacheWriter::open(dir.path(), spec.clone()).unwrap();
        let mut records = sample::records(&spec, 0, 3);
        records[2] = sample::record(&sample::spec(ValueType::F16, 7), 2);
        let message = error(writer.write_shard(0, &records));
        let expected = "row 2: targets.k should be 8, the same for every row of the cache, found 7";
        assert!(message.contains(expected), "{message}");
        assert_eq!(writer.storage().file_names().unwrap(), ["lock"]);
    }
}
