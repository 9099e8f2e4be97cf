//! Train: a small student from a cache, in twenty steps.
//!
//! `cargo run --release --example 02_train`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic::cache::{CacheReader, ValueType};
use alambic::distill::loss::{LossKind, Objective, ObjectiveTerm};
use alambic::distill::trainer::{
    AdamWSettings, Metrics, RunSettings, Schedule, Trainer, TrainerConfig,
};
use alambic::distill::{CaptureConfig, DistillError, StopHandle, WindowConfig, capture};
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Document, DocumentSource, Ending, ExampleTokenizer, OverLength, Segment, SegmentConfig,
    SegmentCutter, SourcedDocument, Split, TextError, Textbook, TextbookConfig,
};
use alambic::transformer::{DecoderConfig, DeviceChoice};

/// The first items of the project's textbook, as segments.
fn segments(model: &LanguageModel, items: u64) -> Result<Vec<Segment>, TextError> {
    let tokenizer = ExampleTokenizer::new(
        model.tokenizer.clone(),
        None,
        Ending::EndOfText(model.eos_token_ids[0]),
    );
    let mut cutter = SegmentCutter::new(SegmentConfig {
        max_tokens: 256,
        over_length: OverLength::Error,
    })?;
    let textbook = Textbook::new(TextbookConfig {
        seed: 5,
        split: Split::Train,
        story_ratio: 0.2,
    })?;
    let mut segments = Vec::new();
    for (index, item) in textbook.items(0..items).enumerate() {
        let source = DocumentSource {
            path: PathBuf::from("textbook"),
            record: index as u64 + 1,
        };
        let document = SourcedDocument {
            document: Document::Text(item.text()),
            source,
        };
        segments.extend(cutter.cut(tokenizer.tokenize(&document)?)?);
    }
    Ok(segments)
}

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceChoice::Auto.open()?;
    let model = LanguageModel::load(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher"),
        &device,
    )?;
    let directory = std::env::temp_dir().join(format!("alambic-example-02-{}", std::process::id()));

    let config = CaptureConfig {
        top_k: 16,
        values: ValueType::F16,
        segments_per_shard: 64,
        batch_segments: 32,
        tokenizer_fingerprint: model.tokenizer.fingerprint().to_owned(),
    };
    let text = segments(&model, 256)?
        .into_iter()
        .map(Ok::<_, DistillError>);
    capture(
        &model.teacher,
        text,
        &directory.join("cache"),
        &config,
        &StopHandle::new(),
        |_| {},
    )?;

    device.seed(17);
    let student = DecoderConfig {
        vocab_size: model.tokenizer.vocab_size(),
        hidden_size: 32,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        max_position_embeddings: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.02,
    }
    .init(&device);
    let trainer = TrainerConfig {
        objective: Objective::try_new(vec![ObjectiveTerm {
            kind: LossKind::ForwardKl,
            weight: 1.0,
        }])?,
        optimizer: AdamWSettings {
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay: 0.1,
        },
        schedule: Schedule::Cosine {
            peak: 1e-2,
            warmup_steps: 2,
            min_ratio: 0.1,
        },
        windows: WindowConfig {
            seed: 17,
            sequences_per_step: 8,
            sequence_tokens: 256,
            shuffle_shards: 4,
            pad_id: 0,
        },
        max_gradient_norm: Some(1.0),
        total_steps: 20,
        early_stopping_patience: None,
    };
    let settings = RunSettings {
        micro_batch_sequences: 8,
        checkpoint_every_steps: 10,
        keep_checkpoints: 1,
        evaluate_every_steps: 10,
        dashboard: false,
    };
    let cache = Arc::new(CacheReader::open(&directory.join("cache"))?);
    let outcome = Trainer::try_new(trainer, settings)?
        .with_sink(|metrics: &Metrics| {
            if let Metrics::Step(step) = metrics {
                println!(
                    "step {:2}: {:.4} nats per token to the teacher",
                    step.step, step.loss
                );
            }
        })
        .train(student, cache, None, &directory.join("run"))?;
    println!("{} labels in {:.1} s", outcome.tokens, outcome.seconds);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
