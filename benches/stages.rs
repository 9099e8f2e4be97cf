//! Benchmarks of the stages: packing, cache write and read, capture, training step.
//!
//! `cargo bench --bench stages` — results with dates and machines: benches/README.md.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use alambic::cache::{
    CacheReader, CacheSpec, CacheWriter, Part, TargetKind, TargetRecord, ValueType,
};
use alambic::distill::loss::{HeadPass, Objective};
use alambic::distill::teacher::Teacher;
use alambic::distill::trainer::{AdamWSettings, RunSettings, Schedule, Trainer, TrainerConfig};
use alambic::distill::{CaptureConfig, DistillError, StopHandle, WindowConfig, capture};
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Ending, ExampleTokenizer, OverLength, Packer, Segment, SegmentConfig, SegmentStream, Split,
    Textbook, TextbookConfig,
};
use alambic::transformer::{DecoderConfig, DeviceChoice, Precision};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const ITEMS: u64 = 256;
const SEQUENCE_TOKENS: usize = 192;
const TOP_K: usize = 32;
const SEQUENCES_PER_STEP: usize = 6;

fn model() -> LanguageModel {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
    LanguageModel::load(&directory, &DeviceChoice::Cpu.open().unwrap()).unwrap()
}

fn segments(model: &LanguageModel) -> Vec<Segment> {
    let tokenizer = ExampleTokenizer::new(
        model.tokenizer.clone(),
        None,
        Ending::EndOfText(model.eos_token_ids[0]),
    );
    let config = SegmentConfig {
        max_tokens: SEQUENCE_TOKENS,
        over_length: OverLength::Error,
    };
    let textbook = Textbook::new(TextbookConfig {
        seed: 1,
        split: Split::Train,
        story_ratio: 0.2,
    })
    .unwrap();
    let documents = textbook.documents(0..ITEMS).map(Ok);
    let segments = SegmentStream::new(documents, tokenizer, config).unwrap();
    segments.collect::<Result<_, _>>().unwrap()
}

fn capture_config(model: &LanguageModel) -> CaptureConfig {
    CaptureConfig {
        targets: TargetKind::TopK {
            k: TOP_K,
            values: ValueType::F16,
        },
        temperatures: vec![1.0],
        segments_per_shard: 64,
        batch_segments: 64,
        tokenizer_fingerprint: model.tokenizer.fingerprint().to_owned(),
        reuse: Vec::new(),
        part: Part::whole(),
    }
}

fn capture_into(model: &LanguageModel, segments: &[Segment], directory: &Path) {
    let segments = segments.iter().cloned().map(Ok::<_, DistillError>);
    capture(
        &model.teacher,
        segments,
        directory,
        &capture_config(model),
        &StopHandle::new(),
        |_| {},
    )
    .unwrap();
}

fn bench_packing(criterion: &mut Criterion) {
    let lengths: Vec<usize> = segments(&model())
        .iter()
        .map(|segment| segment.student().token_ids().len())
        .collect();
    let packer = Packer {
        sequence_tokens: SEQUENCE_TOKENS,
        pad_id: 0,
    };
    let mut group = criterion.benchmark_group("packing");
    group.throughput(Throughput::Elements(lengths.iter().sum::<usize>() as u64));
    group.bench_function("plan, best fit decreasing", |bencher| {
        bencher.iter(|| packer.plan(&lengths).unwrap())
    });
    group.finish();
}

fn bench_cache(criterion: &mut Criterion) {
    let model = model();
    let directory = tempfile::tempdir().unwrap();
    let whole = directory.path().join("whole");
    capture_into(&model, &segments(&model), &whole);
    let reader = CacheReader::open(&whole).unwrap();
    let records: Vec<TargetRecord> = reader.read_shard(0).unwrap();
    let tokens: usize = records.iter().map(|record| record.token_ids.len()).sum();
    let spec = CacheSpec {
        teacher_fingerprint: model.teacher.fingerprint().to_owned(),
        tokenizer_fingerprint: model.tokenizer.fingerprint().to_owned(),
        vocab_size: model.teacher.vocab_size(),
        targets: TargetKind::TopK {
            k: TOP_K,
            values: ValueType::F16,
        },
        temperatures: vec![1.0],
        segments_per_shard: 64,
    };
    let mut group = criterion.benchmark_group("cache");
    group.throughput(Throughput::Elements(tokens as u64));
    group.bench_function("read one shard, verified", |bencher| {
        bencher.iter(|| reader.read_shard(0).unwrap())
    });
    let fresh = || {
        let directory = tempfile::tempdir().unwrap();
        let writer = CacheWriter::open(directory.path(), spec.clone()).unwrap();
        (directory, writer)
    };
    group.bench_function("write one shard, synced", |bencher| {
        bencher.iter_batched(
            fresh,
            |(_directory, mut writer)| writer.write_shard(0, &records).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn bench_capture(criterion: &mut Criterion) {
    let model = model();
    let segments = segments(&model);
    let tokens: usize = segments
        .iter()
        .map(|segment| segment.teacher().token_ids().len())
        .sum();
    let mut group = criterion.benchmark_group("capture");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(tokens as u64));
    group.bench_function("embedded teacher, top 32", |bencher| {
        bencher.iter_batched(
            || tempfile::tempdir().unwrap(),
            |directory| capture_into(&model, &segments, &directory.path().join("cache")),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn bench_training(criterion: &mut Criterion) {
    const STEPS: u64 = 4;
    let model = model();
    let directory = tempfile::tempdir().unwrap();
    capture_into(&model, &segments(&model), &directory.path().join("cache"));
    let cache = Arc::new(CacheReader::open(&directory.path().join("cache")).unwrap());
    let device = DeviceChoice::Cpu.open().unwrap();
    let student = DecoderConfig {
        hidden_size: 64,
        intermediate_size: 176,
        num_hidden_layers: 3,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 32,
        ..model.teacher.decoder().config().clone()
    };
    let config = TrainerConfig {
        objective: Objective::soft_labels(),
        optimizer: AdamWSettings {
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay: 0.1,
        },
        schedule: Schedule::Cosine {
            peak: 1e-3,
            warmup_steps: 1,
            min_ratio: 0.1,
        },
        windows: WindowConfig {
            seed: 1,
            sequences_per_step: SEQUENCES_PER_STEP,
            sequence_tokens: SEQUENCE_TOKENS,
            shuffle_shards: 4,
            pad_id: 0,
        },
        max_gradient_norm: Some(1.0),
        total_steps: STEPS,
        precision: Precision::F32,
        early_stopping_patience: None,
    };
    let settings = |head_pass| RunSettings {
        micro_batch_sequences: SEQUENCES_PER_STEP,
        head_pass,
        recompute_layers: false,
        checkpoint_every_steps: 1000,
        keep_checkpoints: 1,
        evaluate_every_steps: 1000,
        dashboard: false,
    };
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10).throughput(Throughput::Elements(
        STEPS * (SEQUENCES_PER_STEP * SEQUENCE_TOKENS) as u64,
    ));
    for (name, head_pass) in [
        ("whole logits", HeadPass::Whole),
        ("chunked", HeadPass::default()),
    ] {
        group.bench_function(
            format!("four steps of the quickstart's student, {name}"),
            |bencher| {
                bencher.iter_batched(
                    || (tempfile::tempdir().unwrap(), student.init(&device)),
                    |(run, student)| {
                        let settings = settings(head_pass);
                        let trainer = Trainer::try_new(config.clone(), settings).unwrap();
                        trainer
                            .train(student, cache.clone(), None, run.path())
                            .unwrap()
                    },
                    BatchSize::PerIteration,
                );
            },
        );
    }
    group.finish();
}

criterion_group!(
    benches,
    bench_packing,
    bench_cache,
    bench_capture,
    bench_training
);
criterion_main!(benches);
