//! Valid specifications and records for the tests of this crate.

use std::path::Path;

use crate::{
    CacheSpec, CacheWriter, DrawMethod, HeadOnlyTargets, HeadPlusSampledTail, HiddenTargets,
    Manifest, SampledTargets, SegmentKey, StateType, TargetKind, TargetRecord, Targets,
    TeacherHead, TemperedTail, TopKTargets, ValueType,
};

/// A specification over a vocabulary of 50 tokens.
pub(crate) fn spec(values: ValueType, k: usize) -> CacheSpec {
    CacheSpec {
        teacher_fingerprint: "a1".repeat(32),
        tokenizer_fingerprint: "b2".repeat(32),
        vocab_size: 50,
        targets: TargetKind::TopK { k, values },
        temperatures: vec![1.0],
        segments_per_shard: 4,
    }
}

/// The same with tails at the temperatures 2 and 1/2.
pub(crate) fn tempered(spec: CacheSpec) -> CacheSpec {
    CacheSpec {
        temperatures: vec![1.0, 2.0, 0.5],
        ..spec
    }
}

/// One of every kind of targets, in every way to store them.
pub(crate) fn specs() -> impl Iterator<Item = CacheSpec> {
    use ValueType::{Coarse, F16, F32, Fine};
    let drawn = CacheSpec {
        targets: TargetKind::Sampled {
            draws: 9,
            seed: 1,
            method: DrawMethod::Independent,
        },
        ..spec(F16, 1)
    };
    let both = [F16, F32, Fine, Coarse].map(|values| CacheSpec {
        targets: TargetKind::HeadPlusSampledTail {
            k: 8,
            values,
            draws: 9,
            seed: 1,
            method: DrawMethod::Independent,
        },
        ..spec(values, 1)
    });
    let likely = [F16, F32, Fine, Coarse].map(|values| spec(values, 8));
    let softened = likely.clone().map(tempered);
    let head_only = CacheSpec {
        targets: TargetKind::HeadOnly { k: 8, values: F16 },
        ..spec(F16, 8)
    };
    likely
        .into_iter()
        .chain(softened)
        .chain([drawn, head_only])
        .chain(both)
        .chain(StateType::ALL.map(hidden_spec))
}

/// Numbers of a hidden state: two groups and a part of one.
const WIDTH: usize = 70;

/// A specification of hidden states of [`head`].
pub(crate) fn hidden_spec(values: StateType) -> CacheSpec {
    CacheSpec {
        targets: TargetKind::Hidden {
            width: WIDTH,
            values,
            head: head().fingerprint(),
        },
        ..spec(ValueType::F16, 1)
    }
}

/// A pseudo-random head over the vocabulary of [`spec`].
pub(crate) fn head() -> TeacherHead {
    let mut numbers = Numbers(3);
    let weight = (0..50 * WIDTH).map(|_| small(&mut numbers)).collect();
    let head = TeacherHead::try_new(weight, 50, WIDTH).unwrap();
    head.with_logit_softcap(30.0).unwrap()
}

/// Puts [`head`], if the writer's targets need it.
pub(crate) fn put_head(writer: &CacheWriter) {
    if matches!(writer.spec().targets, TargetKind::Hidden { .. }) {
        writer.put_teacher_head(&head()).unwrap();
    }
}

/// A number from -5 to 5.
fn small(numbers: &mut Numbers) -> f32 {
    numbers.below(10_001) as f32 / 1000.0 - 5.0
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
    let num_targets = loss_mask.iter().filter(|&&counted| counted).count();
    let targets = match spec.targets {
        TargetKind::TopK { k, .. } => top_k_targets(k, num_targets, spec, &mut numbers).into(),
        TargetKind::HeadPlusSampledTail { k, draws, .. } => {
            head_plus_sampled_tail(k, draws, num_targets, spec, &mut numbers)
        }
        TargetKind::HeadOnly { k, .. } => {
            let targets = top_k_targets(k, num_targets, spec, &mut numbers);
            Targets::HeadOnly(HeadOnlyTargets {
                k,
                token_ids: targets.token_ids,
                log_probs: targets.log_probs,
            })
        }
        TargetKind::Sampled { draws, .. } => {
            sampled_targets(draws, num_targets, spec.vocab_size, &mut numbers)
        }
        TargetKind::Hidden { width, .. } => HiddenTargets {
            width,
            states: (0..num_targets * width)
                .map(|_| small(&mut numbers))
                .collect(),
        }
        .into(),
    };
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
    put_head(&writer);
    for index in 0..2 {
        writer
            .write_shard(index, &records(spec, 10 * index as u64, 3))
            .unwrap();
    }
    writer.finish(2).unwrap()
}

/// The most probable tokens of a record that stores them.
pub(crate) fn top_k(record: &mut TargetRecord) -> &mut TopKTargets {
    match &mut record.targets {
        Targets::TopK(targets) => targets,
        other => panic!("{other:?}"),
    }
}

fn top_k_targets(k: usize, rows: usize, spec: &CacheSpec, numbers: &mut Numbers) -> TopKTargets {
    let mut targets = TopKTargets {
        k,
        token_ids: vec![],
        log_probs: vec![],
        tail_mass: vec![],
        entropy: vec![],
        tempered: TemperedTail::empty(spec.further_temperatures()),
    };
    for _ in 0..rows {
        let mut entries = log_probs(spec.vocab_size, numbers);
        entries.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let (head, tail) = entries.split_at(k);
        targets.token_ids.extend(head.iter().map(|&(id, _)| id));
        let values = head.iter().map(|&(_, log_prob)| log_prob as f32);
        targets.log_probs.extend(values);
        // From +0: the sum of no f64 is -0.
        let mass = tail.iter().fold(0.0, |mass, (_, lp)| mass + lp.exp());
        targets.tail_mass.push(mass as f32);
        targets.entropy.push(entropy(&entries));
        for tail in &mut targets.tempered {
            let softened = softened(&entries, f64::from(tail.temperature));
            let others = softened[k..].iter();
            let mass = others.fold(0.0, |mass, (_, log_prob)| mass + log_prob.exp());
            tail.tail_mass.push(mass as f32);
            tail.entropy.push(entropy(&softened));
        }
    }
    targets
}

fn head_plus_sampled_tail(
    k: usize,
    draws: u16,
    rows: usize,
    spec: &CacheSpec,
    numbers: &mut Numbers,
) -> Targets {
    let head = top_k_targets(k, rows, spec, numbers);
    let mut targets = HeadPlusSampledTail::new(head, draws, 1.0);
    for row in 0..rows {
        let of_head = &targets.head.token_ids[row * k..(row + 1) * k];
        let others: Vec<u32> = (0..spec.vocab_size as u32)
            .filter(|id| !of_head.contains(id))
            .collect();
        let mut drawn = std::collections::BTreeMap::new();
        let has_tail = targets.head.tail_mass[row] > 0.0;
        for _ in 0..if has_tail { draws } else { 0 } {
            *drawn
                .entry(others[numbers.below(others.len())])
                .or_insert(0) += 1;
        }
        targets.tail.push_row(drawn);
    }
    targets.into()
}

/// A distribution at a temperature.
fn softened(entries: &[(u32, f64)], temperature: f64) -> Vec<(u32, f64)> {
    let divided = entries
        .iter()
        .map(|&(id, log_prob)| (id, log_prob / temperature));
    let log_partition = divided.clone().map(|(_, lp)| lp.exp()).sum::<f64>().ln();
    divided
        .map(|(id, log_prob)| (id, log_prob - log_partition))
        .collect()
}

fn sampled_targets(draws: u16, rows: usize, vocab_size: usize, numbers: &mut Numbers) -> Targets {
    let mut targets = SampledTargets::empty(draws, 1.0);
    for _ in 0..rows {
        let entries = log_probs(vocab_size, numbers);
        let mut counts = vec![0; vocab_size];
        for _ in 0..draws {
            let mut left = numbers.below(1 << 30) as f64 / f64::from(1 << 30);
            let id = entries.iter().position(|(_, lp)| {
                left -= lp.exp();
                left < 0.0
            });
            counts[id.unwrap_or(vocab_size - 1)] += 1;
        }
        let drawn = (0..vocab_size).filter(|&id| counts[id] > 0);
        targets
            .drawn
            .push_row(drawn.map(|id| (id as u32, counts[id])));
        targets.entropy.push(entropy(&entries));
    }
    targets.into()
}

/// A pseudo-random distribution: ids in order with their log-probabilities.
fn log_probs(vocab_size: usize, numbers: &mut Numbers) -> Vec<(u32, f64)> {
    let logits: Vec<f64> = (0..vocab_size)
        .map(|_| numbers.below(1000) as f64 / 100.0)
        .collect();
    let log_partition = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
    let normalised = logits.iter().map(|logit| logit - log_partition);
    (0..).zip(normalised).collect()
}

fn entropy(entries: &[(u32, f64)]) -> f32 {
    -entries.iter().map(|(_, lp)| lp.exp() * lp).sum::<f64>() as f32
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
