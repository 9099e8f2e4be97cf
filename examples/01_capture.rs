//! Capture: a teacher reads text once, and its soft labels are kept in a cache.
//!
//! `cargo run --release --example 01_capture` writes `runs/example/cache`, which 02_train reads.

use std::error::Error;
use std::path::Path;

use alambic::cache::{CacheReader, Part, TargetKind, ValueType};
use alambic::distill::{CaptureConfig, CaptureOutcome, StopHandle, capture};
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Ending, ExampleTokenizer, OverLength, SegmentConfig, SegmentStream, Split, Textbook,
    TextbookConfig,
};
use alambic::transformer::DeviceChoice;

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    // A teacher is any local Hugging Face directory of the Llama family.
    let device = DeviceChoice::Auto.open()?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
    let model = LanguageModel::load(&directory, &device)?;

    // Text becomes segments: tokens with a mask that says which of them are labels.
    let textbook = Textbook::new(TextbookConfig {
        seed: 5,
        split: Split::Train,
        story_ratio: 0.2,
    })?;
    let tokenizer = ExampleTokenizer::new(
        model.tokenizer.clone(),
        None,
        Ending::EndOfText(model.eos_token_ids[0]),
    );
    let config = SegmentConfig {
        max_tokens: 256,
        over_length: OverLength::Error,
    };
    let documents = textbook.documents(0..256).map(Ok);
    let segments = SegmentStream::new(documents, tokenizer, config)?;

    // The cache keeps the sixteen most likely tokens of every position, and the mass of the rest.
    let cache = Path::new("runs/example/cache");
    if cache.exists() {
        std::fs::remove_dir_all(cache)?;
    }
    let config = CaptureConfig {
        targets: TargetKind::TopK {
            k: 16,
            values: ValueType::F16,
        },
        temperatures: vec![1.0],
        segments_per_shard: 64,
        batch_segments: 32,
        tokenizer_fingerprint: model.tokenizer.fingerprint().to_owned(),
        reuse: Vec::new(),
        part: Part::whole(),
    };
    let stop = StopHandle::new();
    let outcome = capture(&model.teacher, segments, cache, &config, &stop, |_| {})?;
    let CaptureOutcome::Complete(manifest) = outcome else {
        unreachable!("nobody asked to stop, and there is no other writer")
    };
    println!(
        "{}: {} segments, {} targets",
        cache.display(),
        manifest.num_segments,
        manifest.num_targets
    );

    // Read back: what did the teacher expect at the beginning of the first segment?
    let first = &CacheReader::open(cache)?.read_shard(0)?[0];
    let targets = first.targets.top_k().ok_or("a cache of likely tokens")?;
    for (position, ids) in targets.token_ids.chunks(targets.k).take(5).enumerate() {
        let best = model.tokenizer.id_to_token(ids[0]).unwrap_or_default();
        let probability = targets.log_probs[position * targets.k].exp();
        let entropy = targets.entropy[position];
        println!(
            "label {position}: most likely {best:?} with {probability:.2}, entropy {entropy:.2} nats"
        );
    }
    Ok(())
}
