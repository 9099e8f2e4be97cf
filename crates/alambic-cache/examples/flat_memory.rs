//! Peak memory of writing, sealing, verifying and reading caches of growing size.
//!
//! `cargo run --release -p alambic-cache --example flat_memory -- DIRECTORY POSITIONS [POSITIONS ...]`
//! writes made-up targets (the 4 most likely of 4,096 tokens, f16) for so many positions into
//! `DIRECTORY`, which is emptied between sizes. Needs Linux, whose kernel counts the peak.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use alambic_cache::{
    CacheReader, CacheSpec, CacheWriter, EpochOrder, SegmentKey, SegmentReader, TargetKind,
    TargetRecord, TopKTargets, ValueType, verify,
};

const VOCAB_SIZE: u64 = 4096;
const K: usize = 4;
const SEGMENT_TOKENS: usize = 513;
const SEGMENTS_PER_SHARD: usize = 128;
/// Segments that are read at random.
const RANDOM_READS: usize = 200;

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: flat_memory DIRECTORY POSITIONS [POSITIONS ...]";
    let dir = PathBuf::from(arguments.next().ok_or(usage)?);
    let sizes: Vec<usize> = arguments.map(|n| n.parse()).collect::<Result<_, _>>()?;
    if sizes.is_empty() {
        return Err(usage.into());
    }
    println!("positions    stage               seconds  peak MiB");
    for positions in sizes {
        let report = |stage: &str, started: Instant| -> Result<(), Box<dyn Error>> {
            let (seconds, peak) = (started.elapsed().as_secs_f64(), peak_mib()?);
            println!("{positions:<12} {stage:<18} {seconds:>8.1}  {peak:>8.1}");
            reset_peak()
        };
        reset_peak()?;
        let started = Instant::now();
        write(&dir, positions)?;
        report("write and seal", started)?;
        let started = Instant::now();
        verify(&dir)?;
        report("verify", started)?;
        let started = Instant::now();
        let reader = CacheReader::open(&dir)?;
        for shard in 0..reader.manifest().shards.len() {
            reader.read_shard(shard)?;
        }
        report("read in order", started)?;
        let started = Instant::now();
        let mut segments = SegmentReader::new(reader);
        for index in EpochOrder::new(1, 0, segments.num_segments()).take(RANDOM_READS) {
            segments.read(index)?;
        }
        report("read at random", started)?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn write(dir: &Path, positions: usize) -> Result<(), Box<dyn Error>> {
    let spec = CacheSpec {
        teacher_fingerprint: "a1".repeat(32),
        tokenizer_fingerprint: "b2".repeat(32),
        vocab_size: VOCAB_SIZE as usize,
        targets: TargetKind::TopK {
            k: K,
            values: ValueType::F16,
        },
        temperatures: vec![1.0],
        segments_per_shard: SEGMENTS_PER_SHARD,
    };
    let mut writer = CacheWriter::open(dir, spec)?;
    let num_segments = positions.div_ceil(SEGMENT_TOKENS - 1);
    let num_shards = num_segments.div_ceil(SEGMENTS_PER_SHARD);
    for shard in 0..num_shards {
        let first = shard * SEGMENTS_PER_SHARD;
        let last = (first + SEGMENTS_PER_SHARD).min(num_segments);
        let records: Vec<TargetRecord> = (first..last).map(|index| record(index as u64)).collect();
        writer.write_shard(shard, &records)?;
    }
    writer.finish(num_shards)?;
    Ok(())
}

/// Segment `index`: different from all others, and the same at every run.
fn record(index: u64) -> TargetRecord {
    let mut state = index;
    let mut next = |bound: u64| {
        // SplitMix64 (Steele, Lea & Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    };
    let token_ids: Vec<u32> = (0..SEGMENT_TOKENS)
        .map(|_| next(VOCAB_SIZE) as u32)
        .collect();
    let mut loss_mask = vec![true; SEGMENT_TOKENS];
    loss_mask[0] = false;
    let rows = SEGMENT_TOKENS - 1;
    let mut targets = TopKTargets {
        k: K,
        token_ids: Vec::with_capacity(rows * K),
        log_probs: Vec::with_capacity(rows * K),
        tail_mass: vec![0.0625; rows],
        entropy: vec![2.0; rows],
        tempered: vec![],
    };
    for _ in 0..rows {
        let first = next(VOCAB_SIZE / K as u64) * K as u64;
        targets
            .token_ids
            .extend((0..K as u64).map(|i| (first + i) as u32));
        targets
            .log_probs
            .extend([0.5f32, 0.25, 0.125, 0.0625].map(f32::ln));
    }
    TargetRecord {
        key: SegmentKey::of("teacher", &token_ids, &loss_mask),
        token_ids,
        loss_mask,
        targets: targets.into(),
    }
}

/// The most memory that the process has held since the last reset.
fn peak_mib() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.ok_or("no VmHWM")?.parse::<f64>()? / 1024.0)
}

fn reset_peak() -> Result<(), Box<dyn Error>> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}
