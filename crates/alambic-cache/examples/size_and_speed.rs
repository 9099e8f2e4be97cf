//! What a cache of recorded distributions weighs, how exact it is, and how fast it is read.
//!
//! ```text
//! cargo run --release -p alambic-cache --example size_and_speed -- DISTRIBUTIONS.safetensors VOCAB_SIZE
//! ```
//!
//! The file holds, for a number of positions, the most probable tokens in falling order (`ids`, i32
//! `[positions, k]`), their log-probabilities (`log_probs`, f32), the entropy of the whole
//! distribution (`entropy`, f32 `[positions]`) and tokens drawn with replacement (`sampled_ids`,
//! i32 `[positions, draws]`). Positions are put into segments of 512 and written several times
//! over, so that a shard is as large as usual.

use std::error::Error;
use std::time::Instant;

use alambic_cache::{
    CacheReader, CacheSpec, CacheWriter, DrawMethod, SampledTargets, SegmentKey, TargetKind,
    TargetRecord, Targets, TopKTargets, ValueType,
};
use safetensors::SafeTensors;

const SEGMENT_TOKENS: usize = 512;
const SEGMENTS_PER_SHARD: usize = 128;
const SHARDS: usize = 4;

struct Distributions {
    k: usize,
    draws: usize,
    ids: Vec<u32>,
    log_probs: Vec<f32>,
    entropy: Vec<f32>,
    sampled_ids: Vec<u32>,
}

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: size_and_speed DISTRIBUTIONS.safetensors VOCAB_SIZE";
    let path = arguments.next().ok_or(usage)?;
    let vocab_size: usize = arguments.next().ok_or(usage)?.parse()?;
    let given = read(&path)?;
    println!(
        "targets            bytes/token  weighted |d ln p|  KL (nats)  read positions/s  write positions/s"
    );
    let plain_and_levels = [ValueType::F16, ValueType::Fine, ValueType::Coarse];
    for k in [12, 32, 50, 64, 128].into_iter().filter(|&k| k <= given.k) {
        for values in plain_and_levels {
            measure(&given, vocab_size, TargetKind::TopK { k, values })?;
        }
    }
    let draws = given.draws as u16;
    measure(
        &given,
        vocab_size,
        TargetKind::Sampled {
            draws,
            seed: 0,
            method: DrawMethod::Independent,
        },
    )
}

#[allow(clippy::print_stdout)]
fn measure(
    given: &Distributions,
    vocab_size: usize,
    kind: TargetKind,
) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let spec = CacheSpec {
        teacher_fingerprint: "a1".repeat(32),
        tokenizer_fingerprint: "b2".repeat(32),
        vocab_size,
        targets: kind,
        temperatures: vec![1.0],
        segments_per_shard: SEGMENTS_PER_SHARD,
    };
    let mut writer = CacheWriter::open(dir.path(), spec)?;
    let positions = given.entropy.len();
    let mut first = 0;
    let started = Instant::now();
    for shard in 0..SHARDS {
        let records: Vec<TargetRecord> = (0..SEGMENTS_PER_SHARD)
            .map(|_| {
                let record = record(given, kind, first);
                first = (first + SEGMENT_TOKENS) % positions;
                record
            })
            .collect();
        writer.write_shard(shard, &records)?;
    }
    let manifest = writer.finish(SHARDS)?;
    let written = started.elapsed().as_secs_f64();
    let reader = CacheReader::open(dir.path())?;
    let started = Instant::now();
    let shards: Vec<Vec<TargetRecord>> = (0..SHARDS)
        .map(|shard| reader.read_shard(shard))
        .collect::<Result<_, _>>()?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    let tokens = manifest.num_tokens as f64;
    let name = match kind {
        TargetKind::TopK { k, values } => format!("top {k} {values:?}").to_lowercase(),
        other => format!("{other:?}").to_lowercase(),
    };
    let (difference, kl) = errors(given, &shards[0]);
    println!(
        "{name:<20}{:>10.1}  {difference:>17.5}  {kl:>9.5}  {:>16.0}  {:>17.0}",
        bytes as f64 / tokens,
        tokens / seconds,
        tokens / written,
    );
    Ok(())
}

/// A segment of positions from `first` on; every token but one is a label.
fn record(given: &Distributions, kind: TargetKind, first: usize) -> TargetRecord {
    let positions = given.entropy.len();
    let rows: Vec<usize> = (0..SEGMENT_TOKENS - 1)
        .map(|i| (first + i) % positions)
        .collect();
    // The label of a position is a token drawn from its distribution.
    let labels = rows.iter().map(|&row| given.sampled_ids[row * given.draws]);
    let token_ids: Vec<u32> = std::iter::once(0).chain(labels).collect();
    let mut loss_mask = vec![true; SEGMENT_TOKENS];
    loss_mask[0] = false;
    let targets: Targets = match kind {
        TargetKind::TopK { k, .. } => top_k(given, k, &rows).into(),
        _ => sampled(given, &rows).into(),
    };
    TargetRecord {
        key: SegmentKey::of("teacher", &token_ids, &loss_mask),
        token_ids,
        loss_mask,
        targets,
    }
}

fn top_k(given: &Distributions, k: usize, rows: &[usize]) -> TopKTargets {
    let mut targets = TopKTargets {
        k,
        token_ids: vec![],
        log_probs: vec![],
        tail_mass: vec![],
        entropy: vec![],
        tempered: vec![],
    };
    for &row in rows {
        let range = row * given.k..row * given.k + k;
        let head: f64 = given.log_probs[range.clone()]
            .iter()
            .map(|&lp| f64::from(lp).exp())
            .sum();
        targets.token_ids.extend(&given.ids[range.clone()]);
        targets.log_probs.extend(&given.log_probs[range]);
        targets.tail_mass.push((1.0 - head).max(0.0) as f32);
        targets.entropy.push(given.entropy[row]);
    }
    targets
}

fn sampled(given: &Distributions, rows: &[usize]) -> SampledTargets {
    let mut targets = SampledTargets::empty(given.draws as u16, 1.0);
    for &row in rows {
        let mut ids = given.sampled_ids[row * given.draws..(row + 1) * given.draws].to_vec();
        ids.sort_unstable();
        let runs: Vec<&[u32]> = ids.chunk_by(|a, b| a == b).collect();
        let runs = runs.iter().map(|run| (run[0], run.len() as u16));
        targets.drawn.push_row(runs);
        targets.entropy.push(given.entropy[row]);
    }
    targets
}

/// Mean `Σ p |Δ ln p|` over the stored entries, and mean KL of head and tail, given to stored.
fn errors(given: &Distributions, records: &[TargetRecord]) -> (f64, f64) {
    let (mut difference, mut kl, mut count) = (0.0, 0.0, 0usize);
    let positions = given.entropy.len();
    for (index, record) in records.iter().enumerate() {
        let Targets::TopK(targets) = &record.targets else {
            return (f64::NAN, f64::NAN);
        };
        let k = targets.k;
        for row in 0..targets.num_rows() {
            let at = (index * SEGMENT_TOKENS + row) % positions;
            let before: std::collections::HashMap<u32, f64> = (0..k)
                .map(|i| {
                    (
                        given.ids[at * given.k + i],
                        f64::from(given.log_probs[at * given.k + i]),
                    )
                })
                .collect();
            let head: f64 = before.values().map(|lp| lp.exp()).sum();
            for i in row * k..(row + 1) * k {
                let exact = before[&targets.token_ids[i]];
                let stored = f64::from(targets.log_probs[i]);
                difference += exact.exp() * (exact - stored).abs();
                kl += exact.exp() * (exact - stored);
            }
            let (tail, stored) = (1.0 - head, f64::from(targets.tail_mass[row]));
            if tail > 0.0 {
                kl += tail * (tail / stored).ln();
            }
            count += 1;
        }
    }
    (difference / count as f64, kl / count as f64)
}

fn read(path: &str) -> Result<Distributions, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let words = |name: &str| -> Result<Vec<u32>, Box<dyn Error>> {
        let (words, _) = tensors.tensor(name)?.data().as_chunks();
        Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
    };
    let floats = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
        Ok(words(name)?.into_iter().map(f32::from_bits).collect())
    };
    Ok(Distributions {
        k: tensors.tensor("ids")?.shape()[1],
        draws: tensors.tensor("sampled_ids")?.shape()[1],
        ids: words("ids")?,
        log_probs: floats("log_probs")?,
        entropy: floats("entropy")?,
        sampled_ids: words("sampled_ids")?,
    })
}
