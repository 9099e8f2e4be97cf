//! Capture: a teacher reads text once, and its soft labels are kept in a cache.
//!
//! `cargo run --release --example 01_capture`

use std::error::Error;
use std::path::{Path, PathBuf};

use alambic::cache::{CacheReader, ValueType};
use alambic::distill::{CaptureConfig, CaptureOutcome, DistillError, StopHandle, capture};
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Document, DocumentSource, Ending, ExampleTokenizer, OverLength, SegmentConfig, SegmentCutter,
    SourcedDocument,
};
use alambic::transformer::DeviceChoice;

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    // A teacher is any local Hugging Face directory of the Llama family.
    let device = DeviceChoice::Auto.open()?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher");
    let model = LanguageModel::load(&directory, &device)?;

    // Text becomes segments: tokens with a mask that says which of them are labels.
    let tokenizer = ExampleTokenizer::new(
        model.tokenizer.clone(),
        None,
        Ending::EndOfText(model.eos_token_ids[0]),
    );
    let mut cutter = SegmentCutter::new(SegmentConfig {
        max_tokens: 128,
        over_length: OverLength::Split,
    })?;
    let texts = [
        "Once upon a time Tom found a red ball.",
        "Mia has 3 apples. She buys 4 apples.",
    ];
    let mut segments = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        let document = SourcedDocument {
            document: Document::Text(text.into()),
            source: DocumentSource {
                path: PathBuf::from("example"),
                record: index as u64 + 1,
            },
        };
        segments.extend(cutter.cut(tokenizer.tokenize(&document)?)?);
    }

    // The cache keeps the eight most likely tokens of every position, and the mass of the rest.
    let cache = std::env::temp_dir().join(format!("alambic-example-01-{}", std::process::id()));
    let config = CaptureConfig {
        top_k: 8,
        values: ValueType::F16,
        segments_per_shard: 64,
        batch_segments: 16,
        tokenizer_fingerprint: model.tokenizer.fingerprint().to_owned(),
    };
    let segments = segments.into_iter().map(Ok::<_, DistillError>);
    let outcome = capture(
        &model.teacher,
        segments,
        &cache,
        &config,
        &StopHandle::new(),
        |_| {},
    )?;
    let CaptureOutcome::Complete(manifest) = outcome else {
        unreachable!("nobody asked to stop")
    };
    println!(
        "{} segments, {} targets",
        manifest.num_segments, manifest.num_targets
    );

    // Read back: what did the teacher expect after "Once upon a"?
    let first = &CacheReader::open(&cache)?.read_shard(0)?[0];
    for (position, ids) in first
        .targets
        .token_ids
        .chunks(first.targets.k)
        .enumerate()
        .take(5)
    {
        let best = model.tokenizer.id_to_token(ids[0]).unwrap_or_default();
        let probability = first.targets.log_probs[position * first.targets.k].exp();
        println!(
            "label {position}: most likely {best:?} with {probability:.2}, entropy {:.2} nats",
            first.targets.entropy[position]
        );
    }
    std::fs::remove_dir_all(cache)?;
    Ok(())
}
