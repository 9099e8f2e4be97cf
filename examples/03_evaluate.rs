//! Evaluate: likelihood, distance to the teacher, calibration, on text in memory.
//!
//! `cargo run --release --example 03_evaluate`

use std::error::Error;
use std::path::Path;

use alambic::distill::{DistillError, evaluate, teacher::Teacher};
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Ending, ExampleTokenizer, OverLength, Segment, SegmentConfig, SegmentStream, Split, Textbook,
    TextbookConfig,
};
use alambic::transformer::DeviceChoice;

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceChoice::Auto.open()?;
    let model = LanguageModel::load(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher"),
        &device,
    )?;
    // Text that the teacher has not seen: the textbook's test split.
    let tokenizer = ExampleTokenizer::new(
        model.tokenizer.clone(),
        None,
        Ending::EndOfText(model.eos_token_ids[0]),
    );
    let config = SegmentConfig {
        max_tokens: 256,
        over_length: OverLength::Error,
    };
    let textbook = Textbook::new(TextbookConfig {
        seed: 5,
        split: Split::Test,
        story_ratio: 0.2,
    })?;
    let documents = textbook.documents(0..64).map(Ok);
    let text: Vec<Segment> =
        SegmentStream::new(documents, tokenizer, config)?.collect::<Result<_, _>>()?;

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
