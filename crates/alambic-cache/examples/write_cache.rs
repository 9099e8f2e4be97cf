//! Writes a small cache, so that other tools can be tried on it.
//!
//! ```text
//! cargo run -p alambic-cache --example write_cache -- target/cache-coarse coarse
//! cargo run -p alambic-cache --example write_cache -- target/cache-softened coarse 2 0.5
//! python tools/read_cache.py target/cache-coarse
//! ```

use std::error::Error;
use std::path::PathBuf;

use alambic_cache::{
    CacheReader, CacheSpec, CacheWriter, DrawMethod, HeadPlusSampledTail, HiddenTargets,
    SampledTargets, SegmentKey, StateType, TargetKind, TargetRecord, TeacherHead, TemperedTail,
    TopKTargets, ValueType,
};

const VOCAB_SIZE: u32 = 100;
const K: usize = 8;

/// Probabilities at a temperature that fall as 1/rank² at 1, in the order of ranks from 1.
fn probabilities(temperature: f32) -> Vec<f64> {
    let weight = |rank: u32| f64::from(rank).powf(-2.0 / f64::from(temperature));
    let partition: f64 = (1..=VOCAB_SIZE).map(weight).sum();
    let ranks = 1..=VOCAB_SIZE;
    ranks.map(|rank| weight(rank) / partition).collect()
}

/// Mass of all but the most probable tokens, and entropy.
fn tail_and_entropy(probabilities: &[f64]) -> (f32, f32) {
    let tail: f64 = probabilities[K..].iter().sum();
    let entropy: f64 = probabilities.iter().map(|p| -p * p.ln()).sum();
    (tail as f32, entropy as f32)
}

/// One target of a teacher whose favourite is `favourite`.
fn push_target(targets: &mut TopKTargets, favourite: u32) {
    let likely = probabilities(1.0);
    let (tail, entropy) = tail_and_entropy(&likely);
    let head = K as u32;
    targets
        .token_ids
        .extend((0..head).map(|rank| (favourite + rank) % VOCAB_SIZE));
    targets
        .log_probs
        .extend(likely[..K].iter().map(|p| p.ln() as f32));
    targets.tail_mass.push(tail);
    targets.entropy.push(entropy);
    for tempered in &mut targets.tempered {
        let (tail, entropy) = tail_and_entropy(&probabilities(tempered.temperature));
        tempered.tail_mass.push(tail);
        tempered.entropy.push(entropy);
    }
}

/// A segment that counts up from `start`; the teacher expects it to.
fn record(teacher: &str, start: u32, num_tokens: u32, temperatures: &[f32]) -> TargetRecord {
    let token_ids: Vec<u32> = (0..num_tokens).map(|i| (start + i) % VOCAB_SIZE).collect();
    let loss_mask: Vec<bool> = (0..num_tokens).map(|i| i > 1).collect();
    let mut targets = TopKTargets {
        k: K,
        token_ids: Vec::new(),
        log_probs: Vec::new(),
        tail_mass: Vec::new(),
        entropy: Vec::new(),
        tempered: TemperedTail::empty(temperatures),
    };
    let labels = token_ids
        .iter()
        .zip(&loss_mask)
        .filter(|(_, counted)| **counted);
    labels.for_each(|(&label, _)| push_target(&mut targets, label));
    let key = SegmentKey::of(teacher, &token_ids, &loss_mask);
    TargetRecord {
        key,
        token_ids,
        loss_mask,
        targets: targets.into(),
    }
}

/// The same segment with draws from among the tokens that are not the most likely ones.
fn as_head_and_tail(record: TargetRecord, draws: u16) -> TargetRecord {
    let Some(likely) = record.targets.top_k() else {
        return record;
    };
    let mut targets = HeadPlusSampledTail::new(likely.clone(), draws, 1.0);
    for ids in likely.token_ids.chunks(K) {
        // The next two after the head, one more often than the other, and no other at all.
        let [next, last] = [K as u32, K as u32 + 1].map(|rank| (ids[0] + rank) % VOCAB_SIZE);
        let mut drawn = [(next, draws - draws / 3), (last, draws / 3)];
        drawn.sort_unstable();
        targets.tail.push_row(drawn);
    }
    TargetRecord {
        targets: targets.into(),
        ..record
    }
}

/// The same segment with tokens drawn in the proportion of their probabilities.
fn as_drawn(record: TargetRecord, draws: u16) -> TargetRecord {
    let Some(likely) = record.targets.top_k() else {
        return record;
    };
    let mut targets = SampledTargets::empty(draws, 1.0);
    let rows = likely.token_ids.chunks(K).zip(likely.log_probs.chunks(K));
    for ((ids, log_probs), &entropy) in rows.zip(&likely.entropy) {
        let mut counts: Vec<(u32, u16)> = ids
            .iter()
            .zip(log_probs)
            .map(|(&id, log_prob)| (id, (f32::from(draws) * log_prob.exp()) as u16))
            .collect();
        // The favourite takes what the others leave.
        counts[0].1 = draws - counts[1..].iter().map(|&(_, count)| count).sum::<u16>();
        counts.retain(|&(_, count)| count > 0);
        counts.sort_unstable();
        targets.entropy.push(entropy);
        targets.drawn.push_row(counts);
    }
    TargetRecord {
        targets: targets.into(),
        ..record
    }
}

/// Numbers of a hidden state: a whole group and a part of one.
const WIDTH: usize = 40;

/// A head whose weight is no particular one.
fn head() -> Result<TeacherHead, Box<dyn Error>> {
    let numbers = 0..VOCAB_SIZE as usize * WIDTH;
    let weight = numbers.map(|i| (0.7 * i as f32).sin()).collect();
    Ok(TeacherHead::try_new(weight, VOCAB_SIZE as usize, WIDTH)?.with_logit_softcap(30.0)?)
}

/// The same segment with hidden states that are no particular ones.
fn as_states(record: TargetRecord) -> TargetRecord {
    let numbers = 0..record.num_targets() * WIDTH;
    let targets = HiddenTargets {
        width: WIDTH,
        states: numbers.map(|i| (1.3 * i as f32).cos()).collect(),
    };
    TargetRecord {
        targets: targets.into(),
        ..record
    }
}

const DRAWS: u16 = 50;

fn kind(name: &str) -> Result<TargetKind, Box<dyn Error>> {
    if name == "draws" {
        return Ok(TargetKind::Sampled {
            draws: DRAWS,
            seed: 0,
            method: DrawMethod::Independent,
        });
    }
    if let Some(values) = name.strip_prefix("both-") {
        return Ok(TargetKind::HeadPlusSampledTail {
            k: K,
            values: serde_json::from_value(values.into())?,
            draws: DRAWS,
            seed: 0,
            method: DrawMethod::Independent,
        });
    }
    if let Some(values) = name.strip_prefix("states-") {
        let values: StateType = serde_json::from_value(values.into())?;
        return Ok(TargetKind::Hidden {
            width: WIDTH,
            values,
            head: head()?.fingerprint(),
        });
    }
    let values: ValueType = serde_json::from_value(name.into())?;
    Ok(TargetKind::TopK { k: K, values })
}

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: write_cache DIRECTORY f16|f32|fine|coarse|draws|both-(f16|f32|fine|coarse)|states-(f32|f16|int8|int6|int4) [TEMPERATURE ...]";
    let dir = PathBuf::from(arguments.next().ok_or(usage)?);
    let targets = kind(&arguments.next().ok_or(usage)?)?;
    let further: Vec<f32> = arguments
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let teacher_fingerprint = "a1".repeat(32);
    let mut writer = CacheWriter::open(
        &dir,
        CacheSpec {
            teacher_fingerprint: teacher_fingerprint.clone(),
            tokenizer_fingerprint: "b2".repeat(32),
            vocab_size: VOCAB_SIZE as usize,
            targets,
            temperatures: [&[1.0], &further[..]].concat(),
            segments_per_shard: 3,
        },
    )?;
    let records: Vec<_> = (0..5)
        .map(|i| record(&teacher_fingerprint, 20 * i, 4 + i, &further))
        .map(|record| match targets {
            TargetKind::Sampled { draws, .. } => as_drawn(record, draws),
            TargetKind::HeadPlusSampledTail { draws, .. } => as_head_and_tail(record, draws),
            TargetKind::Hidden { .. } => as_states(record),
            _ => record,
        })
        .collect();
    if let TargetKind::Hidden { .. } = targets {
        writer.put_teacher_head(&head()?)?;
    }
    for (index, shard) in records.chunks(3).enumerate() {
        writer.write_shard(index, shard)?;
    }
    writer.finish(2)?;
    let reader = CacheReader::open(&dir)?;
    println!("{}", serde_json::to_string_pretty(&reader.info())?);
    println!("first segment: {:?}", reader.read_shard(0)?[0].targets);
    Ok(())
}
