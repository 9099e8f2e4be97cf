//! The figures of an evaluation, where they are known beforehand.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use alambic::distill::{Evaluation, evaluate, teacher::Teacher};
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Ending, ExampleTokenizer, OverLength, Segment, SegmentConfig, SegmentStream, Split, TextError,
    Textbook, TextbookConfig,
};
use alambic::transformer::{Decoder, DecoderConfig, DeviceChoice};

/// A mean of f32 values in nats.
const NATS_TOLERANCE: f64 = 1e-5;

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
        max_tokens: 256,
        over_length: OverLength::Error,
    };
    let textbook = Textbook::new(TextbookConfig {
        seed: 9,
        split: Split::Train,
        story_ratio: 0.5,
    })
    .unwrap();
    let documents = textbook.documents(0..24).map(Ok);
    let segments = SegmentStream::new(documents, tokenizer, config).unwrap();
    segments.collect::<Result<_, _>>().unwrap()
}

fn measure(decoder: &Decoder, model: &LanguageModel, batch_segments: usize) -> Evaluation {
    let text = segments(model).into_iter().map(Ok::<_, TextError>);
    let teacher: &dyn Teacher = &model.teacher;
    evaluate(decoder, Some(teacher), text, batch_segments, |_| {}).unwrap()
}

#[test]
fn a_teacher_agrees_with_itself() {
    let model = model();
    let itself = measure(model.teacher.decoder(), &model, 8);
    let labels: usize = segments(&model)
        .iter()
        .map(|s| s.student().num_labels())
        .sum();
    assert_eq!(itself.num_tokens, labels as u64);
    assert!(itself.kl_to_teacher().unwrap().abs() < NATS_TOLERANCE);
    assert_eq!(itself.top1_agreement(), Some(1.0));
    assert!((itself.perplexity() - itself.nll().exp()).abs() < NATS_TOLERANCE);
    // A text of as many bytes as labels has as many bits per byte as per label.
    let bits = itself.nll() / 2f64.ln();
    assert!((itself.bits_per_byte(labels as u64) - bits).abs() < NATS_TOLERANCE);
}

#[test]
fn a_student_of_equal_logits_is_uniform() {
    let model = model();
    let config = DecoderConfig {
        initializer_range: 0.0,
        ..model.teacher.decoder().config().clone()
    };
    let uniform = config.init(&DeviceChoice::Cpu.open().unwrap());
    let evaluation = measure(&uniform, &model, 8);
    let vocab = config.vocab_size as f64;
    assert!((evaluation.nll() - vocab.ln()).abs() < NATS_TOLERANCE);
    // Every confidence is 1 / vocab, so all labels are in the lowest bin.
    let bin = &evaluation.calibration[0];
    assert_eq!(bin.count, evaluation.num_tokens);
    assert!((bin.confidence_sum / bin.count as f64 - 1.0 / vocab).abs() < 1e-6);
}

#[test]
fn figures_do_not_depend_on_the_batch() {
    let model = model();
    let decoder = DecoderConfig {
        num_hidden_layers: 1,
        ..model.teacher.decoder().config().clone()
    }
    .init(&DeviceChoice::Cpu.open().unwrap());
    let (one, many) = (measure(&decoder, &model, 1), measure(&decoder, &model, 24));
    assert!((one.nll() - many.nll()).abs() < NATS_TOLERANCE);
    let kl = |evaluation: &Evaluation| evaluation.kl_to_teacher().unwrap();
    assert!((kl(&one) - kl(&many)).abs() < NATS_TOLERANCE);
    assert!(
        kl(&one) > 0.1,
        "an untrained student is far from its teacher"
    );
}
