//! Captures from a teacher that is a table, and counts what it is asked.

use std::cell::Cell;
use std::path::Path;

use alambic_cache::{DrawMethod, ValueType};
use alambic_text::{DocumentSource, StudentTokens, TeacherTokens};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::*;
use crate::loss::LogProbs;
use crate::teacher::TeacherCapabilities;
use crate::test_device::test_device;

const VOCAB: usize = 30;

/// The next token depends on the last one alone.
struct Table {
    device: Device,
    asked: Cell<usize>,
}

impl Table {
    fn new() -> Self {
        Self {
            device: test_device(),
            asked: Cell::new(0),
        }
    }

    /// Sequences that were read since the last time.
    fn asked(&self) -> usize {
        self.asked.replace(0)
    }
}

impl Teacher for Table {
    fn fingerprint(&self) -> &'static str {
        "abababababababababababababababababababababababababababababababab"
    }

    fn num_parameters(&self) -> usize {
        VOCAB * VOCAB
    }

    fn vocab_size(&self) -> usize {
        VOCAB
    }

    fn max_sequence_tokens(&self) -> usize {
        64
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn capabilities(&self) -> TeacherCapabilities {
        TeacherCapabilities::dense()
    }

    fn log_probs(&self, token_ids: Tensor<2, Int>) -> LogProbs {
        let [batch, seq] = token_ids.dims();
        self.asked.set(self.asked.get() + batch);
        let logits = (0..VOCAB * VOCAB).map(|i| 4.0 * ((i * i + 3 * i) as f32).sin());
        let table = TensorData::new(logits.collect(), [VOCAB, VOCAB]);
        let table = Tensor::<2>::from_data(table, &self.device);
        let rows = table.select(0, token_ids.reshape([batch * seq]));
        LogProbs::from_logits(rows.reshape([batch, seq, VOCAB]))
    }
}

fn segment(index: u64) -> Segment {
    let length = 4 + index as usize % 5;
    let ids: Vec<u32> = (0..length as u64)
        .map(|i| ((index * 7 + i * (index + 3)) % VOCAB as u64) as u32)
        .collect();
    let mask: Vec<bool> = (0..length).map(|i| i > 0).collect();
    let source = DocumentSource {
        path: "table.txt".into(),
        record: index,
    };
    Segment::try_new(
        TeacherTokens::try_new(ids.clone(), mask.clone()).unwrap(),
        StudentTokens::try_new(ids, mask).unwrap(),
        source,
    )
    .unwrap()
}

fn config(targets: TargetKind, reuse: &[&Path]) -> CaptureConfig {
    CaptureConfig {
        targets,
        temperatures: vec![1.0],
        segments_per_shard: 4,
        batch_segments: 3,
        tokenizer_fingerprint: "cd".repeat(32),
        reuse: reuse.iter().map(|&path| path.into()).collect(),
        part: Part::whole(),
    }
}

/// Captures these segments; how far it came.
fn captured(
    teacher: &Table,
    indices: impl IntoIterator<Item = u64>,
    dir: &Path,
    config: &CaptureConfig,
) -> Result<CaptureProgress, DistillError> {
    let segments = indices
        .into_iter()
        .map(|index| Ok::<_, DistillError>(segment(index)));
    let mut last = CaptureProgress::default();
    let stop = StopHandle::new();
    capture(teacher, segments, dir, config, &stop, |done| last = done)?;
    Ok(last)
}

fn records(dir: &Path) -> Vec<TargetRecord> {
    let cache = CacheReader::open(dir).unwrap();
    let shards = 0..cache.manifest().shards.len();
    shards
        .flat_map(|shard| cache.read_shard(shard).unwrap())
        .collect()
}

const KINDS: [TargetKind; 3] = [
    TargetKind::TopK {
        k: 5,
        values: ValueType::F32,
    },
    TargetKind::Sampled {
        draws: 20,
        seed: 3,
        method: DrawMethod::Independent,
    },
    TargetKind::HeadPlusSampledTail {
        k: 5,
        values: ValueType::Coarse,
        draws: 20,
        seed: 3,
        method: DrawMethod::Systematic,
    },
];

#[test]
fn what_another_cache_holds_is_taken_from_there_and_the_rest_is_captured() {
    let teacher = Table::new();
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let [first, more, straight] =
            ["first", "more", "straight"].map(|name| dir.path().join(name));
        captured(&teacher, 0..6, &first, &config(kind, &[])).unwrap();
        assert_eq!(teacher.asked(), 6);
        let progress = captured(&teacher, (0..10).rev(), &more, &config(kind, &[&first])).unwrap();
        assert_eq!((teacher.asked(), progress.reused), (4, 6));
        captured(&teacher, (0..10).rev(), &straight, &config(kind, &[])).unwrap();
        assert_eq!(teacher.asked(), 10);
        assert_eq!(records(&more), records(&straight), "{kind:?}");
    }
}

#[test]
fn equal_segments_of_a_shard_are_asked_about_once() {
    let teacher = Table::new();
    let dir = tempfile::tempdir().unwrap();
    let progress = captured(
        &teacher,
        [1, 2, 1, 1, 1],
        dir.path(),
        &config(KINDS[0], &[]),
    )
    .unwrap();
    // The last one is in a shard of its own.
    assert_eq!((teacher.asked(), progress.reused), (3, 2));
    let records = records(dir.path());
    assert_eq!(records.len(), 5);
    assert_eq!(records[0], records[4]);
    assert_eq!(records[0], records[2]);
}

#[test]
fn a_cache_of_other_targets_is_not_reused_and_nothing_is_written() {
    let teacher = Table::new();
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    captured(&teacher, 0..3, &first, &config(KINDS[0], &[])).unwrap();
    let outcome = captured(&teacher, 0..3, &second, &config(KINDS[1], &[&first]));
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("do not fit: its targets"), "{message}");
    assert!(!second.exists());
}

#[test]
fn a_head_is_the_one_that_is_stored_alone_and_its_tail_makes_a_distribution() {
    let teacher = Table::new();
    let dir = tempfile::tempdir().unwrap();
    let [alone, both] = ["alone", "both"].map(|name| dir.path().join(name));
    let head = TargetKind::TopK {
        k: 5,
        values: ValueType::Coarse,
    };
    captured(&teacher, 0..6, &alone, &config(head, &[])).unwrap();
    captured(&teacher, 0..6, &both, &config(KINDS[2], &[])).unwrap();
    for (alone, both) in records(&alone).iter().zip(records(&both)) {
        assert_eq!(alone.targets.top_k(), both.targets.top_k());
        let Targets::HeadPlusSampledTail(targets) = both.targets else {
            panic!("heads and tails");
        };
        for row in targets.probabilities() {
            let total: f32 = row.iter().map(|&(_, probability)| probability).sum();
            assert!((total - 1.0).abs() < 1e-5, "{total}");
        }
    }
}
