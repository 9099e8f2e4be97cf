//! Evaluate: likelihood, distance to the teacher, calibration, on text in memory.
//!
//! `cargo run --release --example 03_evaluate`

use std::error::Error;
use std::path::{Path, PathBuf};

use alambic::distill::{DistillError, evaluate, teacher::Teacher};
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Document, DocumentSource, Ending, ExampleTokenizer, OverLength, Segment, SegmentConfig,
    SegmentCutter, SourcedDocument, Split, TextError, Textbook, TextbookConfig,
};
use alambic::transformer::DeviceChoice;

/// Text that the teacher has not seen: the textbook's test split.
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
        split: Split::Test,
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
    let text = segments(&model, 64)?;

    // A student that has learned nothing yet: the teacher's shape with fresh weights.
    device.seed(1);
    let student = model.teacher.decoder().config().init(&device);

    let of_text = || text.iter().cloned().map(Ok::<_, DistillError>);
    let teacher: &dyn Teacher = &model.teacher;
    let own = evaluate(
        model.teacher.decoder(),
        Some(teacher),
        of_text(),
        16,
        |_| {},
    )?;
    let untrained = evaluate(&student, Some(teacher), of_text(), 16, |_| {})?;
    for (name, evaluation) in [("teacher", &own), ("untrained student", &untrained)] {
        println!(
            "{name}: NLL {:.3} nats, perplexity {:.1}, KL to the teacher {:.3} nats, agreement {:.0} %, calibration error {:.3}",
            evaluation.nll(),
            evaluation.perplexity(),
            evaluation.kl_to_teacher().unwrap_or_default(),
            100.0 * evaluation.top1_agreement().unwrap_or_default(),
            evaluation.expected_calibration_error(),
        );
    }
    Ok(())
}
