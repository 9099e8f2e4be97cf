//! Reading a finished cache, one shard at a time.

use std::path::{Path, PathBuf};

use crate::info::CacheInfo;
use crate::layout::MANIFEST_FILE;
use crate::shard_content::ShardContent;
use crate::shard_file::ShardFile;
use crate::storage::Storage;
use crate::{
    CacheError, CacheLocation, Manifest, ShardEntry, TargetRecord, TeacherHead, teacher_head_file,
};

/// Reads a finished cache; holds the manifest, and one shard only while a call lasts.
///
/// ```
/// use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// # let spec = CacheSpec {
/// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
/// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
/// #     segments_per_shard: 8,
/// # };
/// # let record = TargetRecord {
/// #     key: SegmentKey::of("t", &[1, 3, 3], &[false, false, true]), token_ids: vec![1, 3, 3], loss_mask: vec![false, false, true],
/// #     targets: TopKTargets { k: 1, token_ids: vec![3], log_probs: vec![0.75f32.ln()], tail_mass: vec![0.25], entropy: vec![0.5623], tempered: vec![] }.into(),
/// # };
/// # let mut writer = CacheWriter::open(dir, spec)?;
/// # writer.write_shard(0, &[record])?;
/// # writer.finish(1)?;
/// let reader = CacheReader::open(dir)?;
/// assert_eq!(reader.manifest().num_tokens, 3);
/// assert_eq!(reader.shard_lengths(0)?, [3]); // reads one column
/// let records = reader.read_shard(0)?;
/// assert_eq!(records[0].targets.top_k().unwrap().tail_mass, [0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CacheReader {
    storage: Storage,
    manifest: Manifest,
}

impl CacheReader {
    /// Opens a cache: reads its manifest, finds every file with the size listed there.
    ///
    /// # Errors
    /// [`CacheError::Incomplete`] without a manifest, [`CacheError::UnknownVersion`],
    /// [`CacheError::ManifestJson`] and [`CacheError::InvalidManifest`] for a manifest that is
    /// damaged, contradicts itself or names other files than `shard-00000.parquet` and so on,
    /// [`CacheError::ShardAbsent`], [`CacheError::ShardSize`], [`CacheError::TeacherHeadAbsent`];
    /// [`CacheError::Io`], or [`CacheError::ObjectStore`] and [`CacheError::NoObjectStorage`] for
    /// objects.
    ///
    /// ```
    /// use alambic_cache::{CacheError, CacheReader};
    /// # let dir = tempfile::tempdir()?;
    /// let outcome = CacheReader::open(dir.path()); // an empty directory
    /// assert!(matches!(outcome, Err(CacheError::Incomplete { .. })));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(location: impl Into<CacheLocation>) -> Result<Self, CacheError> {
        Self::open_in(Storage::open(location)?)
    }

    pub(crate) fn open_in(storage: Storage) -> Result<Self, CacheError> {
        let path = storage.path_of(MANIFEST_FILE);
        let json = storage
            .read(MANIFEST_FILE)?
            .ok_or_else(|| CacheError::Incomplete { path: path.clone() })?;
        let manifest = Manifest::parse(&json, &path)?;
        let names = manifest.shards.iter().map(|entry| entry.file.as_str());
        for (entry, found) in manifest.shards.iter().zip(storage.sizes(names)?) {
            check_size(entry, found, || storage.path_of(&entry.file))?;
        }
        teacher_head_file::size(&storage, &manifest.spec)?;
        Ok(Self { storage, manifest })
    }

    /// The manifest.
    ///
    /// ```
    /// # use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
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
    /// let reader = CacheReader::open(dir.path())?;
    /// assert_eq!(reader.manifest().spec.vocab_size, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What `alambic cache info` shows: specification, counts and sizes.
    ///
    /// ```
    /// # use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
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
    /// let info = CacheReader::open(dir.path())?.info();
    /// assert_eq!((info.num_shards, info.num_tokens), (1, 2));
    /// assert_eq!(info.bytes_per_token, info.bytes as f64 / 2.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn info(&self) -> CacheInfo {
        CacheInfo::of(&self.manifest)
    }

    /// The head that makes distributions of the hidden states; `None` for other targets.
    ///
    /// Its SHA-256 is compared with the specification.
    ///
    /// # Errors
    /// [`CacheError::TeacherHeadMismatch`] for a file that changed, [`CacheError::TeacherHeadFile`] for
    /// one that was never a head.
    ///
    /// ```
    /// # use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
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
    /// assert_eq!(CacheReader::open(dir.path())?.teacher_head()?, None); // the most likely tokens
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn teacher_head(&self) -> Result<Option<TeacherHead>, CacheError> {
        teacher_head_file::read(&self.storage, &self.manifest.spec)
    }

    /// All records of one shard, each checked against the rules of the format.
    ///
    /// The file's SHA-256 is compared with the manifest first, so that what is returned is what
    /// was captured. Holds the file's bytes and the records.
    ///
    /// # Errors
    /// [`CacheError::NoSuchShard`]; [`CacheError::ShardSize`] and [`CacheError::Checksum`] for a
    /// file that changed; [`CacheError::InvalidRecord`], naming the row, and the other errors of
    /// a shard that was never valid.
    ///
    /// ```
    /// # use alambic_cache::{CacheError, CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
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
    /// # let mut writer = CacheWriter::open(dir.path(), spec)?;
    /// # writer.write_shard(0, &[record])?;
    /// # writer.finish(1)?;
    /// let reader = CacheReader::open(dir.path())?;
    /// let stored = reader.read_shard(0)?[0].targets.top_k().unwrap().log_probs[0]; // ln 0.75, stored as f16
    /// assert!((stored / 0.75f32.ln() - 1.0).abs() <= alambic_cache::F16_RELATIVE_ERROR);
    /// assert!(matches!(reader.read_shard(1), Err(CacheError::NoSuchShard { num_shards: 1, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_shard(&self, index: usize) -> Result<Vec<TargetRecord>, CacheError> {
        let (entry, path) = self.shard(index)?;
        let content = ShardContent::read(&self.storage, &entry.file)?;
        content.expect(entry, &path)?;
        let records = content.records(&self.manifest.spec, index, &path)?;
        let found = content.entry(index, &records);
        expect_count(&path, "segments", entry.segments, found.segments)?;
        expect_count(&path, "tokens", entry.tokens, found.tokens)?;
        expect_count(&path, "targets", entry.targets, found.targets)?;
        Ok(records)
    }

    /// Token counts of the segments of one shard, reading only the column that holds them.
    ///
    /// Compared with the manifest's counts, not with its checksum: that needs the whole file.
    ///
    /// # Errors
    /// [`CacheError::NoSuchShard`], [`CacheError::CountMismatch`], and the errors of a shard that
    /// is damaged.
    ///
    /// ```
    /// # use alambic_cache::{CacheReader, CacheSpec, CacheWriter, SegmentKey, TargetRecord, TopKTargets, TargetKind, ValueType};
    /// # let dir = tempfile::tempdir()?;
    /// # let spec = CacheSpec {
    /// #     teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32), vocab_size: 4,
    /// #     targets: TargetKind::TopK { k: 1, values: ValueType::F32 }, temperatures: vec![1.0],
    /// #     segments_per_shard: 8,
    /// # };
    /// # let record = |token_ids: Vec<u32>| TargetRecord {
    /// #     key: SegmentKey::of("t", &token_ids, &[]), loss_mask: vec![false; token_ids.len()], token_ids,
    /// #     targets: TopKTargets { k: 1, token_ids: vec![], log_probs: vec![], tail_mass: vec![], entropy: vec![], tempered: vec![] }.into(),
    /// # };
    /// # let mut writer = CacheWriter::open(dir.path(), spec)?;
    /// writer.write_shard(0, &[record(vec![1, 2, 3]), record(vec![2])])?;
    /// writer.finish(1)?;
    /// assert_eq!(CacheReader::open(dir.path())?.shard_lengths(0)?, [3, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shard_lengths(&self, index: usize) -> Result<Vec<usize>, CacheError> {
        let (entry, path) = self.shard(index)?;
        let file = self.storage.open_file(&entry.file)?;
        let lengths = ShardFile::open(file, &self.manifest.spec, index, &path)?.lengths()?;
        let tokens = lengths.iter().map(|&tokens| tokens as u64).sum();
        expect_count(&path, "segments", entry.segments, lengths.len() as u64)?;
        expect_count(&path, "tokens", entry.tokens, tokens)?;
        Ok(lengths)
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn shard(&self, index: usize) -> Result<(&ShardEntry, PathBuf), CacheError> {
        let shards = &self.manifest.shards;
        match shards.get(index) {
            Some(entry) => Ok((entry, self.storage.path_of(&entry.file))),
            None => Err(CacheError::NoSuchShard {
                path: self.storage.root(),
                index,
                num_shards: shards.len(),
            }),
        }
    }
}

fn check_size(
    entry: &ShardEntry,
    found: Option<u64>,
    path: impl FnOnce() -> PathBuf,
) -> Result<(), CacheError> {
    match found {
        None => Err(CacheError::ShardAbsent { path: path() }),
        Some(found) if found != entry.bytes => Err(CacheError::ShardSize {
            path: path(),
            expected: entry.bytes,
            found,
        }),
        Some(_) => Ok(()),
    }
}

pub(crate) fn expect_count(
    path: &Path,
    what: &'static str,
    expected: u64,
    found: u64,
) -> Result<(), CacheError> {
    if expected == found {
        return Ok(());
    }
    Err(CacheError::CountMismatch {
        path: path.to_owned(),
        what,
        expected,
        found,
    })
}
