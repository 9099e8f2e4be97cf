//! Train: a small student from the cache that 01_capture wrote, in twenty steps.
//!
//! `cargo run --release --example 02_train`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use alambic::cache::CacheReader;
use alambic::distill::WindowConfig;
use alambic::distill::loss::{HeadPass, Objective};
use alambic::distill::trainer::{
    AdamWSettings, Metrics, RunSettings, Schedule, Trainer, TrainerConfig,
};
use alambic::transformer::{Architecture, DecoderConfig, DeviceChoice, Precision};

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceChoice::Auto.open()?;
    let cache = CacheReader::open(Path::new("runs/example/cache"))
        .map_err(|error| format!("run the example 01_capture first: {error}"))?;

    device.seed(17);
    let student = DecoderConfig {
        vocab_size: cache.manifest().spec.vocab_size,
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
        architecture: Architecture::default(),
    }
    .init(&device);

    // Everything that decides the result.
    let config = TrainerConfig {
        objective: Objective::soft_labels(),
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
        precision: Precision::F32,
        early_stopping_patience: None,
    };
    // What costs or saves memory, time or disk.
    let settings = RunSettings {
        micro_batch_sequences: 8,
        head_pass: HeadPass::default(),
        recompute_layers: false,
        checkpoint_every_steps: 10,
        keep_checkpoints: 1,
        evaluate_every_steps: 10,
        dashboard: false,
    };
    let directory = Path::new("runs/example/training");
    if directory.exists() {
        std::fs::remove_dir_all(directory)?; // or leave it, and the run would be found finished
    }
    let outcome = Trainer::try_new(config, settings)?
        .with_sink(|metrics: &Metrics| {
            if let Metrics::Step(step) = metrics {
                let (step, loss) = (step.step, step.loss);
                println!("step {step:2}: {loss:.4} nats per token to the teacher");
            }
        })
        .train(student, Arc::new(cache), None, directory)?;
    println!("{} labels in {:.1} s", outcome.tokens, outcome.seconds);
    Ok(())
}
