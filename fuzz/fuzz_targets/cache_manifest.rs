//! `manifest.json` of a cache of teacher targets: the input is the file, beside two sound shards.
//!
//! Checks that what opens names files of its directory only, and that reading it in every way gives records or
//! an error with words. Panics of the Parquet library have to be contained.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use alambic_cache::{CacheError, CacheReader, MANIFEST_FILE, SegmentReader, verify};
use alambic_fuzz::{
    Scratch, expect_words, leaves_directory, mutate_json, only_escaping_panics, tiny_caches,
    within_memory,
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| {
    let scratch = Scratch::new();
    let cache = &tiny_caches()[0];
    cache.write(scratch.inside());
    cache.write(&scratch.outside().join("decoy"));
    read(scratch.inside()).expect("what was written");
    scratch
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(data, size, max_size, seed)
});

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let dir = SCRATCH.inside();
    fs::write(dir.join(MANIFEST_FILE), data).expect("a file in memory");
    only_escaping_panics(|| {
        within_memory(data.len(), || {
            for outcome in [read(dir), verify(dir).map(drop)] {
                if let Err(error) = outcome {
                    expect_words(&error);
                }
            }
        });
    });
});

fn read(dir: &Path) -> Result<(), CacheError> {
    let reader = CacheReader::open(dir)?;
    for shard in &reader.manifest().shards {
        assert!(
            !leaves_directory(&shard.file),
            "a name that leaves the directory"
        );
    }
    reader.info();
    reader.teacher_head()?;
    for shard in 0..reader.manifest().shards.len() {
        reader.shard_lengths(shard)?;
        reader.read_shard(shard)?;
    }
    let mut segments = SegmentReader::new(reader);
    segments.read(segments.num_segments() - 1)?;
    Ok(())
}
