//! A shard of a cache of teacher targets: the first byte says of which kind, and the rest is the Parquet file.
//!
//! The manifest is right about its size and SHA-256, as one is that comes with a hostile shard. Checks that
//! reading gives records or an error with words. Panics of the Parquet library have to be contained.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use alambic_cache::{CacheError, CacheReader, MANIFEST_FILE, Manifest, SegmentReader, verify};
use alambic_fuzz::{Scratch, expect_words, only_escaping_panics, tiny_caches, within_memory};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

static CACHES: LazyLock<Vec<(PathBuf, Manifest)>> = LazyLock::new(|| {
    let scratch = Scratch::new();
    let write = |cache: &alambic_fuzz::TinyCache| {
        let dir = scratch.inside().join(cache.name);
        let manifest = cache.write(&dir);
        read(&dir).expect("what was written");
        (dir, manifest)
    };
    tiny_caches().iter().map(write).collect()
});

fuzz_target!(init: { LazyLock::force(&CACHES); }, |data| {
    let Some((&kind, shard)) = data.split_first() else {
        return;
    };
    let (dir, manifest) = &CACHES[usize::from(kind) % CACHES.len()];
    let mut manifest = manifest.clone();
    let entry = &mut manifest.shards[0];
    entry.bytes = shard.len() as u64;
    entry.sha256 = Sha256::digest(shard).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(dir.join(&entry.file), shard).expect("a file in memory");
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is JSON");
    fs::write(dir.join(MANIFEST_FILE), manifest).expect("a file in memory");
    only_escaping_panics(|| {
        within_memory(data.len(), || {
            for outcome in [read(dir), read_one(dir), verify(dir).map(drop)] {
                if let Err(error) = outcome {
                    expect_words(&error);
                }
            }
        });
    });
});

fn read(dir: &Path) -> Result<(), CacheError> {
    let reader = CacheReader::open(dir)?;
    let lengths = reader.shard_lengths(0);
    reader.read_shard(0)?;
    lengths.map(drop)
}

fn read_one(dir: &Path) -> Result<(), CacheError> {
    SegmentReader::new(CacheReader::open(dir)?)
        .read_at(0, 0)
        .map(drop)
}
