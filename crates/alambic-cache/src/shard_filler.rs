//! Records in a row to shards of a cache.

use crate::{
    CacheError, CacheLocation, CacheReader, CacheSpec, CacheWriter, Manifest, TargetRecord,
};

/// Turns records that come one by one into full shards.
pub(crate) struct ShardFiller {
    writer: CacheWriter,
    segments_per_shard: usize,
    pending: Vec<TargetRecord>,
    num_shards: usize,
}

impl ShardFiller {
    /// Starts or resumes the cache at `location`, with the specification and the head of another one.
    pub(crate) fn open_like(
        source: &CacheReader,
        location: impl Into<CacheLocation>,
    ) -> Result<Self, CacheError> {
        let head = source.teacher_head()?;
        let filler = Self::open(location, source.manifest().spec.clone())?;
        head.map_or(Ok(()), |head| filler.writer.put_teacher_head(&head))?;
        Ok(filler)
    }

    /// Starts or resumes the cache at `location`, of targets that need no head.
    pub(crate) fn open(
        location: impl Into<CacheLocation>,
        spec: CacheSpec,
    ) -> Result<Self, CacheError> {
        let segments_per_shard = spec.segments_per_shard;
        Ok(Self {
            writer: CacheWriter::open(location, spec)?,
            segments_per_shard,
            pending: Vec::new(),
            num_shards: 0,
        })
    }

    /// Takes the next record.
    pub(crate) fn push(&mut self, record: TargetRecord) -> Result<(), CacheError> {
        self.pending.push(record);
        match self.pending.len() < self.segments_per_shard {
            true => Ok(()),
            false => self.write_pending(),
        }
    }

    /// Writes a shard, unless a call that was killed has left it.
    fn write_pending(&mut self) -> Result<(), CacheError> {
        let keys: Vec<_> = self.pending.iter().map(|record| record.key).collect();
        if !self.writer.has_shard(self.num_shards, &keys)? {
            self.writer.write_shard(self.num_shards, &self.pending)?;
        }
        self.num_shards += 1;
        self.pending.clear();
        Ok(())
    }

    /// Refuses a cache without any record.
    pub(crate) fn expect_some(&self) -> Result<(), CacheError> {
        if self.num_shards > 0 || !self.pending.is_empty() {
            return Ok(());
        }
        let path = self.writer.storage().root();
        Err(CacheError::NoSegments { path })
    }

    /// Writes what remains, and the manifest.
    pub(crate) fn finish(mut self) -> Result<Manifest, CacheError> {
        self.expect_some()?;
        if !self.pending.is_empty() {
            self.write_pending()?;
        }
        self.writer.finish(self.num_shards)
    }
}
