//! Valid specifications and records for the tests of this crate.

use std::path::Path;

use crate::{
    CacheSpec, CacheWriter, Manifest, SegmentKey, TargetRecord, TopKTargets, Truncation, ValueType,
};

/// A specification over a vocabulary of 50 tokens.
pub(crate) fn spec(values: ValueType, k: usize) -> CacheSpec {
    CacheSpec {
        teacher_fingerprint: "a1".repeat(32),
        tokenizer_fingerprint: "b2".repeat(32),
        vocab_size: 50,
        truncation: Truncation::TopK { k },
        temperatures: vec![1.0],
        values,
        segments_per_shard: 4,
    }
}

/// A record of a few tokens under a pseudo-random teacher; equal seeds give equal records.
pub(crate) fn record(spec: &CacheSpec, seed: u64) -> TargetRecord {
    let mut numbers = Numbers(seed);
    let num_tokens = 1 + numbers.below(12);
    let token_ids: Vec<u32> = (0..num_tokens)
        .map(|_| numbers.below(spec.vocab_size) as u32)
        .collect();
    let loss_mask: Vec<bool> = (0..num_tokens)
        .map(|i| i > 0 && numbers.below(4) > 0)
        .collect();
    let k = spec.truncation.k();
    let empty = vec![];
    let mut targets = TopKTargets {
        k,
        token_ids: vec![],
        log_probs: empty.clone(),
        tail_mass: empty.clone(),
        entropy: empty,
    };
    for _ in loss_mask.iter().filter(|&&counted| counted) {
        push_target(&mut targets, spec.vocab_size, &mut numbers);
    }
    let key = SegmentKey::of(&spec.teacher_fingerprint, &token_ids, &loss_mask);
    TargetRecord {
        key,
        token_ids,
        loss_mask,
        targets,
    }
}

/// `count` records with seeds from `first_seed` on.
pub(crate) fn records(spec: &CacheSpec, first_seed: u64, count: usize) -> Vec<TargetRecord> {
    (first_seed..)
        .take(count)
        .map(|seed| record(spec, seed))
        .collect()
}

/// The keys of records, in order.
pub(crate) fn keys(records: &[TargetRecord]) -> Vec<SegmentKey> {
    records.iter().map(|record| record.key).collect()
}

/// A finished cache of two shards with three segments each.
pub(crate) fn write_cache(dir: &Path, spec: &CacheSpec) -> Manifest {
    let mut writer = CacheWriter::open(dir, spec.clone()).unwrap();
    for index in 0..2 {
        writer
            .write_shard(index, &records(spec, 10 * index as u64, 3))
            .unwrap();
    }
    writer.finish(2).unwrap()
}

fn push_target(targets: &mut TopKTargets, vocab_size: usize, numbers: &mut Numbers) {
    let logits: Vec<f64> = (0..vocab_size)
        .map(|_| numbers.below(1000) as f64 / 100.0)
        .collect();
    let log_partition = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
    let mut entries: Vec<(usize, f64)> = logits
        .iter()
        .map(|logit| logit - log_partition)
        .enumerate()
        .collect();
    entries.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (head, tail) = entries.split_at(targets.k);
    targets
        .token_ids
        .extend(head.iter().map(|&(id, _)| id as u32));
    targets
        .log_probs
        .extend(head.iter().map(|&(_, log_prob)| log_prob as f32));
    // From +0: the sum of no f64 is -0.
    targets.tail_mass.push(
        tail.iter()
            .fold(0.0, |mass, (_, log_prob)| mass + log_prob.exp()) as f32,
    );
    targets
        .entropy
        .push(-entries.iter().map(|(_, lp)| lp.exp() * lp).sum::<f64>() as f32);
}

/// SplitMix64 (Steele, Lea & Flood 2014).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
