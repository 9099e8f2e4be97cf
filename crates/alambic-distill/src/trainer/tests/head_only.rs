//! Targets without a tail, as other formats give them: what trains, and what is refused before.

use std::path::Path;
use std::sync::Arc;

use alambic_cache::{
    CacheReader, CacheSpec, CacheWriter, HeadOnlyTargets, TargetKind, TargetRecord, Targets,
    ValueType,
};

use super::small_run::{VOCAB, cache, config, record, settings, train};
use crate::DistillError;
use crate::loss::{LossKind, Objective, ObjectiveTerm, TailTreatment};
use crate::trainer::TrainerConfig;

/// The records of the small run without what other formats lack.
fn without_tail(record: TargetRecord) -> TargetRecord {
    let Targets::TopK(targets) = record.targets else {
        panic!("the most likely tokens");
    };
    let targets = HeadOnlyTargets {
        k: targets.k,
        token_ids: targets.token_ids,
        log_probs: targets.log_probs,
    };
    TargetRecord {
        targets: targets.into(),
        ..record
    }
}

fn head_only_cache(directory: &Path) -> Arc<CacheReader> {
    let spec = CacheSpec {
        teacher_fingerprint: "ab".repeat(32),
        tokenizer_fingerprint: "cd".repeat(32),
        vocab_size: VOCAB,
        targets: TargetKind::HeadOnly {
            k: 4,
            values: ValueType::F32,
        },
        temperatures: vec![1.0],
        segments_per_shard: 16,
    };
    let mut writer = CacheWriter::open(directory, spec).unwrap();
    for shard in 0..4 {
        let records = (shard * 16..shard * 16 + 16).map(|index| without_tail(record(index)));
        let records: Vec<TargetRecord> = records.collect();
        writer.write_shard(shard as usize, &records).unwrap();
    }
    writer.finish(4).unwrap();
    Arc::new(CacheReader::open(directory).unwrap())
}

fn treated(tail: TailTreatment) -> TrainerConfig {
    let terms = vec![ObjectiveTerm::new(LossKind::ForwardKl, 1.0)];
    TrainerConfig {
        objective: Objective::try_new(terms, tail).unwrap(),
        ..config(3)
    }
}

#[test]
fn a_head_alone_trains_as_the_same_head_does_where_no_tail_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let whole = cache(&path.join("whole"));
    let head = head_only_cache(&path.join("head"));
    for tail in [
        TailTreatment::ZeroFill,
        TailTreatment::RenormaliseTeacher,
        TailTreatment::RenormaliseBoth,
    ] {
        let losses = |cache: &Arc<CacheReader>, name: &str| -> Vec<f64> {
            let run = path.join(format!("{name} {}", tail.name()));
            let (_, steps) = train(treated(tail), settings(8), cache, &run, None).unwrap();
            steps.iter().map(|step| step.loss).collect()
        };
        assert_eq!(losses(&head, "head"), losses(&whole, "whole"), "{tail:?}");
    }
}

#[test]
fn the_tail_bucket_is_refused_before_the_first_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let head = head_only_cache(&path.join("head"));
    let bucket = treated(TailTreatment::TailBucket);
    let error = train(bucket, settings(8), &head, &path.join("run"), None).unwrap_err();
    assert!(
        matches!(
            error,
            DistillError::Setting {
                key: "objective.tail",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("renormalise_teacher"), "{error}");
}
