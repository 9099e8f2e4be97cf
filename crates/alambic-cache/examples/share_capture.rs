//! One of several writers of a cache, in a directory or in object storage, without a teacher.
//!
//! ```text
//! cargo build -p alambic-cache --features object-store --example share_capture
//! for i in 0 1 2 3; do share_capture s3://bucket/cache $i/4 40 & done; wait
//! share_capture s3://bucket/cache seal
//! ```
//!
//! Any of them may be killed and started again.

use std::error::Error;
use std::thread;
use std::time::Duration;

use alambic_cache::{
    CacheError, CacheLocation, CacheSpec, CacheWriter, DrawMethod, Finished, Part, SampledTargets,
    SegmentKey, TargetKind, TargetRecord, seal, verify,
};

const VOCAB_SIZE: u32 = 1000;
const SEGMENTS_PER_SHARD: usize = 8;
const TOKENS_PER_SEGMENT: u32 = 200;
const DRAWS: u16 = 50;
/// What a teacher would take for a shard.
const SHARD_TIME: Duration = Duration::from_millis(200);

fn spec() -> CacheSpec {
    CacheSpec {
        teacher_fingerprint: "a1".repeat(32),
        tokenizer_fingerprint: "b2".repeat(32),
        vocab_size: VOCAB_SIZE as usize,
        targets: TargetKind::Sampled {
            draws: DRAWS,
            seed: 0,
            method: DrawMethod::Independent,
        },
        temperatures: vec![1.0],
        segments_per_shard: SEGMENTS_PER_SHARD,
    }
}

/// A segment that counts up from its number; the teacher expects it to.
fn record(segment: u32) -> TargetRecord {
    let token_ids: Vec<u32> = (segment..segment + TOKENS_PER_SEGMENT)
        .map(|id| id % VOCAB_SIZE)
        .collect();
    let loss_mask: Vec<bool> = (0..TOKENS_PER_SEGMENT).map(|i| i > 0).collect();
    let mut targets = SampledTargets::empty(DRAWS, 1.0);
    for &label in &token_ids[1..] {
        targets.drawn.push_row([(label, DRAWS)]);
        targets.entropy.push(0.0);
    }
    let key = SegmentKey::of(&spec().teacher_fingerprint, &token_ids, &loss_mask);
    TargetRecord {
        key,
        token_ids,
        loss_mask,
        targets: targets.into(),
    }
}

fn capture(
    location: &CacheLocation,
    part: Part,
    num_shards: usize,
) -> Result<Finished, CacheError> {
    let mut writer = CacheWriter::open_part(location, spec(), part)?;
    for index in (0..num_shards).filter(|&index| part.owns(index)) {
        let first = (index * SEGMENTS_PER_SHARD) as u32;
        let records: Vec<_> = (first..).take(SEGMENTS_PER_SHARD).map(record).collect();
        let keys: Vec<_> = records.iter().map(|record| record.key).collect();
        if !writer.has_shard(index, &keys)? {
            thread::sleep(SHARD_TIME);
            match writer.write_shard(index, &records) {
                // Another writer of this part was faster, with the same segments.
                Err(CacheError::AlreadyExists { .. }) if writer.has_shard(index, &keys)? => {}
                outcome => outcome?,
            }
        }
    }
    writer.finish_part(num_shards)
}

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: share_capture LOCATION I/N NUM_SHARDS, or share_capture LOCATION seal";
    let location: CacheLocation = arguments.first().ok_or(usage)?.parse()?;
    match &arguments[1..] {
        [word] if word == "seal" => {
            seal(&location)?;
            let report = verify(&location)?;
            println!(
                "whole: {} shards, {} segments, {} tokens, {} bytes",
                report.num_shards, report.num_segments, report.num_tokens, report.bytes
            );
        }
        [part, num_shards] => match capture(&location, part.parse()?, num_shards.parse()?)? {
            Finished::Sealed(manifest) => {
                println!("part {part}: sealed {} shards", manifest.shards.len())
            }
            Finished::Waiting(missing) => println!("part {part} is whole; {missing}"),
        },
        _ => return Err(usage.into()),
    }
    Ok(())
}
