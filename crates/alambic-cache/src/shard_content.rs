//! The bytes of one shard in memory: their digest and the records in them.

use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::shard_file::ShardFile;
use crate::storage::Storage;
use crate::{CacheError, CacheSpec, ShardEntry, TargetRecord, layout};

/// How much of a file is hashed at a time.
const PIECE_BYTES: usize = 1 << 16;

/// A whole shard file; what is decoded is what was hashed, whatever happens to the file meanwhile.
pub(crate) struct ShardContent {
    bytes: Bytes,
    sha256: String,
}

impl ShardContent {
    pub(crate) fn read(storage: &Storage, name: &str) -> Result<Self, CacheError> {
        let bytes = storage.read(name)?.ok_or_else(|| CacheError::ShardAbsent {
            path: storage.path_of(name),
        })?;
        let sha256 = to_hex(&Sha256::digest(&bytes));
        Ok(Self { bytes, sha256 })
    }

    /// Refuses bytes other than those the manifest was written for.
    pub(crate) fn expect(&self, entry: &ShardEntry, path: &Path) -> Result<(), CacheError> {
        expect_same(self.bytes.len() as u64, &self.sha256, entry, path)
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

/// Hashes a shard piece by piece; refuses bytes other than those the manifest was written for.
pub(crate) fn check_file(storage: &Storage, entry: &ShardEntry) -> Result<(), CacheError> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    storage.for_each_piece(&entry.file, PIECE_BYTES, |piece| {
        hash.update(piece);
        bytes += piece.len() as u64;
    })?;
    let path = storage.path_of(&entry.file);
    expect_same(bytes, &to_hex(&hash.finalize()), entry, &path)
}

fn expect_same(
    bytes: u64,
    sha256: &str,
    entry: &ShardEntry,
    path: &Path,
) -> Result<(), CacheError> {
    if bytes != entry.bytes {
        return Err(CacheError::ShardSize {
            path: path.to_owned(),
            expected: entry.bytes,
            found: bytes,
        });
    }
    if sha256 != entry.sha256 {
        return Err(CacheError::Checksum {
            path: path.to_owned(),
            expected: entry.sha256.clone(),
            found: sha256.to_owned(),
        });
    }
    Ok(())
}

fn to_hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
