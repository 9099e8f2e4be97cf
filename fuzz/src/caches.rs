//! A tiny cache of every kind of targets.

use std::path::Path;

use alambic_cache::{
    CacheSpec, CacheWriter, DrawMethod, HeadOnlyTargets, HeadPlusSampledTail, HiddenTargets,
    Manifest, SampledTargets, SegmentKey, StateType, TargetKind, TargetRecord, Targets,
    TeacherHead, TemperedTail, TopKTargets, ValueType,
};

/// The teacher's distribution over the four tokens, at every label.
const PROBABILITIES: [(u32, f64); 4] = [(3, 0.5), (0, 0.25), (1, 0.125), (2, 0.125)];
/// How many of the most probable tokens are stored.
const K: usize = 2;
const DRAWS: u16 = 4;
const SEED: u64 = 1;
const METHOD: DrawMethod = DrawMethod::Independent;
const SOFTER: f32 = 2.0;
/// Numbers of a hidden state.
const WIDTH: usize = 5;

/// A specification and what to call it.
#[derive(Clone, Debug)]
pub struct TinyCache {
    /// The kind of targets and how they are stored.
    pub name: &'static str,
    /// What is stored, and how.
    pub spec: CacheSpec,
}

/// One cache of every kind.
pub fn tiny_caches() -> Vec<TinyCache> {
    let cache = |name, targets, temperatures: &[f32]| TinyCache {
        name,
        spec: CacheSpec {
            teacher_fingerprint: "a1".repeat(32),
            tokenizer_fingerprint: "b2".repeat(32),
            vocab_size: PROBABILITIES.len(),
            targets,
            temperatures: temperatures.to_vec(),
            segments_per_shard: 4,
        },
    };
    let top_k = |values| TargetKind::TopK { k: K, values };
    let both = |values| TargetKind::HeadPlusSampledTail {
        k: K,
        values,
        draws: DRAWS,
        seed: SEED,
        method: METHOD,
    };
    let drawn = TargetKind::Sampled {
        draws: DRAWS,
        seed: SEED,
        method: METHOD,
    };
    let hidden = |values| TargetKind::Hidden {
        width: WIDTH,
        values,
        head: head().fingerprint(),
    };
    let head_only = TargetKind::HeadOnly {
        k: K,
        values: ValueType::F16,
    };
    vec![
        cache("top_k-f32", top_k(ValueType::F32), &[1.0]),
        cache("top_k-f16-tempered", top_k(ValueType::F16), &[1.0, SOFTER]),
        cache(
            "top_k-fine-tempered",
            top_k(ValueType::Fine),
            &[1.0, SOFTER],
        ),
        cache("sampled", drawn, &[1.0]),
        cache("head_plus_sampled_tail-f16", both(ValueType::F16), &[1.0]),
        cache(
            "head_plus_sampled_tail-coarse",
            both(ValueType::Coarse),
            &[1.0],
        ),
        cache("head_only", head_only, &[1.0]),
        cache("hidden-int6", hidden(StateType::Int6), &[1.0]),
        cache("hidden-f16", hidden(StateType::F16), &[1.0]),
    ]
}

impl TinyCache {
    /// Writes a cache of two shards of two segments and one.
    pub fn write(&self, dir: &Path) -> Manifest {
        let mut writer = CacheWriter::open(dir, self.spec.clone()).expect("an empty directory");
        if let TargetKind::Hidden { .. } = self.spec.targets {
            writer
                .put_teacher_head(&head())
                .expect("the head of the specification");
        }
        writer
            .write_shard(0, &[self.record(&[1, 3, 0]), self.record(&[2])])
            .expect("valid records");
        writer
            .write_shard(1, &[self.record(&[0, 1, 2, 3])])
            .expect("valid records");
        writer.finish(2).expect("two shards")
    }

    /// A segment of which every token but the first is a label.
    fn record(&self, token_ids: &[u32]) -> TargetRecord {
        let loss_mask: Vec<bool> = (0..token_ids.len()).map(|i| i > 0).collect();
        TargetRecord {
            key: SegmentKey::of(&self.spec.teacher_fingerprint, token_ids, &loss_mask),
            token_ids: token_ids.to_vec(),
            targets: self.targets(token_ids.len() - 1),
            loss_mask,
        }
    }

    fn targets(&self, rows: usize) -> Targets {
        match self.spec.targets {
            TargetKind::Sampled { draws, .. } => {
                let mut targets = SampledTargets::empty(draws, 1.0);
                for _ in 0..rows {
                    targets.drawn.push_row([(0, 1), (1, 1), (3, 2)]);
                    targets.entropy.push(entropy(1.0) as f32);
                }
                targets.into()
            }
            TargetKind::HeadPlusSampledTail { draws, .. } => {
                let mut targets = HeadPlusSampledTail::new(self.top_k(rows), draws, 1.0);
                for _ in 0..rows {
                    targets.tail.push_row([(1, 3), (2, 1)]);
                }
                targets.into()
            }
            TargetKind::Hidden { width, .. } => {
                let states = (0..rows * width).map(|i| i as f32 / 3.0 - 1.0);
                HiddenTargets {
                    width,
                    states: states.collect(),
                }
                .into()
            }
            TargetKind::HeadOnly { k, .. } => {
                let TopKTargets {
                    token_ids,
                    log_probs,
                    ..
                } = self.top_k(rows);
                HeadOnlyTargets {
                    k,
                    token_ids,
                    log_probs,
                }
                .into()
            }
            _ => self.top_k(rows).into(),
        }
    }

    fn top_k(&self, rows: usize) -> TopKTargets {
        let head = PROBABILITIES[..K].iter().copied();
        let repeated = |values: Vec<f32>| values.repeat(rows);
        let further = self
            .spec
            .temperatures
            .iter()
            .filter(|temperature| **temperature != 1.0);
        let tempered = |&temperature: &f32| TemperedTail {
            temperature,
            tail_mass: repeated(vec![tail_mass(temperature) as f32]),
            entropy: repeated(vec![entropy(temperature) as f32]),
        };
        TopKTargets {
            k: K,
            token_ids: head
                .clone()
                .map(|(id, _)| id)
                .collect::<Vec<_>>()
                .repeat(rows),
            log_probs: repeated(head.map(|(_, p)| p.ln() as f32).collect()),
            tail_mass: repeated(vec![tail_mass(1.0) as f32]),
            entropy: repeated(vec![entropy(1.0) as f32]),
            tempered: further.map(tempered).collect(),
        }
    }
}

/// The probabilities at a temperature.
fn softened(temperature: f32) -> [f64; 4] {
    let powers = PROBABILITIES.map(|(_, p)| p.powf(1.0 / f64::from(temperature)));
    let sum: f64 = powers.iter().sum();
    powers.map(|power| power / sum)
}

fn tail_mass(temperature: f32) -> f64 {
    softened(temperature)[K..].iter().sum()
}

fn entropy(temperature: f32) -> f64 {
    softened(temperature).iter().map(|p| -p * p.ln()).sum()
}

fn head() -> TeacherHead {
    let weight = (0..PROBABILITIES.len() * WIDTH)
        .map(|i| i as f32 / 7.0 - 1.0)
        .collect();
    let head = TeacherHead::try_new(weight, PROBABILITIES.len(), WIDTH)
        .expect("as many numbers as it has");
    head.with_logit_softcap(30.0).expect("a positive number")
}
