//! The bytes of one shard in memory: their digest and the records in them.

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::shard_file::ShardFile;
use crate::write_once_dir::io_error;
use crate::{CacheError, CacheSpec, ShardEntry, TargetRecord, layout};

/// A whole shard file; what is decoded is what was hashed, whatever happens to the file meanwhile.
pub(crate) struct ShardContent {
    bytes: Bytes,
    sha256: String,
}

impl ShardContent {
    pub(crate) fn read(path: &Path) -> Result<Self, CacheError> {
        let bytes = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CacheError::ShardAbsent {
                path: path.to_owned(),
            },
            _ => io_error(path, "read")(source),
        })?;
        let digest = Sha256::digest(&bytes);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            bytes: bytes.into(),
            sha256,
        })
    }

    /// Refuses bytes other than those the manifest was written for.
    pub(crate) fn expect(&self, entry: &ShardEntry, path: &Path) -> Result<(), CacheError> {
        let found = self.bytes.len() as u64;
        if found != entry.bytes {
            return Err(CacheError::ShardSize {
                path: path.to_owned(),
                expected: entry.bytes,
                found,
            });
        }
        if self.sha256 != entry.sha256 {
            return Err(CacheError::Checksum {
                path: path.to_owned(),
                expected: entry.sha256.clone(),
                found: self.sha256.clone(),
            });
        }
        Ok(())
    }

    /// Decodes and checks every record.
    pub(crate) fn records(
        &self,
        spec: &CacheSpec,
        index: usize,
        path: &Path,
    ) -> Result<Vec<TargetRecord>, CacheError> {
        ShardFile::open(self.bytes.clone(), spec, index, path)?.records()
    }

    /// The manifest's entry for this shard.
    pub(crate) fn entry(&self, index: usize, records: &[TargetRecord]) -> ShardEntry {
        ShardEntry {
            file: layout::shard_file_name(index),
            segments: records.len() as u64,
            tokens: records
                .iter()
                .map(|record| record.num_tokens() as u64)
                .sum(),
            targets: records
                .iter()
                .map(|record| record.num_targets() as u64)
                .sum(),
            bytes: self.bytes.len() as u64,
            sha256: self.sha256.clone(),
        }
    }
}
