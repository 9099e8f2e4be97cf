//! Students that learn from a teacher with a tokenizer of its own.

use std::path::Path;
use std::sync::Arc;

use alambic_text::{
    Encoding, Ending, ExampleTokenizer, OverLength, SegmentConfig, SegmentStream, SourcedDocument,
    SpecialTokens, Tokenizer,
};
use alambic_transformer::{AttentionContext, Decoder, DecoderConfig};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::precision::assert_variants_agree;
use super::small_run::{
    REORDERED_SUM_TOLERANCE, config, seeded, settings, student_config, watched, weights,
};
use crate::loss::{
    AlignedDocument, AlignedGroups, AlignedPair, ByteAlignment, CrossEntropy, HybridLogit,
    LabelMask, LogProbs, LossKind, Objective, ObjectiveTerm, PlacedTokens, RampKind,
    SharedVocabulary, TailTreatment, UniversalLogit, WeightRamp,
};
use crate::teacher::{DecoderTeacher, Teacher};
use crate::test_device::test_device;
use crate::trainer::gradients::global_norm;
use crate::trainer::{
    AlignedTeacher, StepMetrics, StopReason, Trainer, TrainerConfig, TrainingOutcome,
};
use crate::windows::Windows;
use crate::{
    DataPosition, DistillError, InMemoryText, Retokenizer, TextTokenizer, TokenizerPair,
    TrainingSource,
};

/// The end of a text, the first token of every tokenizer here.
const END: u32 = 0;

fn texts() -> Vec<String> {
    let animals = ["cat", "dog", "goldfinch", "naïve bird", "猫"];
    let places = ["mat", "roof", "garden wall", "café"];
    let text = |index: usize| {
        let (animal, place) = (animals[index % 5], places[index % 4]);
        format!("The {animal} sat on the {place}.")
    };
    (0..40).map(text).collect()
}

fn tokenizer(texts: &[String], vocab_size: usize) -> TextTokenizer {
    let tokenizer = Tokenizer::train_byte_level_bpe(texts.to_vec(), vocab_size, &["<end>"]);
    TextTokenizer {
        tokenizer: Arc::new(tokenizer.unwrap()),
        end_of_text: Some(END),
    }
}

/// Almost bytes.
fn of_student() -> TextTokenizer {
    tokenizer(&texts(), 270)
}

/// Almost words, learned on other texts.
fn of_teacher() -> TextTokenizer {
    tokenizer(&texts()[3..30], 300)
}

fn sized(tokenizer: &TextTokenizer, hidden_size: usize) -> DecoderConfig {
    DecoderConfig {
        vocab_size: tokenizer.tokenizer.vocab_size(),
        hidden_size,
        max_position_embeddings: 64,
        ..student_config()
    }
}

fn student() -> Decoder {
    seeded(&sized(&of_student(), 16))
}

fn teacher() -> DecoderTeacher {
    let decoder = seeded(&sized(&of_teacher(), 24));
    DecoderTeacher::new(decoder, "the foreign one", &test_device())
}

fn between(student: TextTokenizer, teacher: TextTokenizer) -> Retokenizer {
    Retokenizer::try_new(TokenizerPair { student, teacher }).unwrap()
}

fn aligned(teacher: DecoderTeacher, of_teacher: TextTokenizer) -> AlignedTeacher {
    AlignedTeacher::try_new(teacher, between(of_student(), of_teacher)).unwrap()
}

/// The texts as the student reads them, each with its end.
fn source() -> Arc<InMemoryText> {
    let tokenizer = of_student().tokenizer;
    let vocab = tokenizer.vocab_size();
    let numbered = texts().into_iter().zip(1..);
    let documents = numbered.map(|(text, record)| Ok(SourcedDocument::text("texts", record, text)));
    let segments = SegmentStream::new(
        documents,
        ExampleTokenizer::new(tokenizer, None, Ending::EndOfText(END)),
        SegmentConfig {
            max_tokens: 64,
            over_length: OverLength::Error,
        },
    );
    Arc::new(InMemoryText::try_new(segments.unwrap(), vocab).unwrap())
}

fn objective(terms: &[(LossKind, f64)]) -> Objective {
    let terms = terms.iter();
    let terms = terms.map(|&(kind, weight)| ObjectiveTerm::published(kind, weight));
    Objective::try_new(terms.collect(), TailTreatment::TailBucket).unwrap()
}

fn every_term() -> Objective {
    objective(&[
        (LossKind::UniversalLogit, 0.7),
        (LossKind::CrossEntropy, 0.4),
        (LossKind::HybridLogit, 1.3),
    ])
}

fn learning(total_steps: u64, objective: Objective) -> TrainerConfig {
    let mut config = config(total_steps);
    config.objective = objective;
    config.windows.sequence_tokens = 64;
    config
}

fn train(
    config: TrainerConfig,
    micro_batch_sequences: usize,
    teacher: Option<AlignedTeacher>,
    directory: &Path,
    stop_after: Option<u64>,
) -> Result<(TrainingOutcome, Vec<StepMetrics>), DistillError> {
    let trainer = Trainer::try_new(config, settings(micro_batch_sequences))?;
    let (mut trainer, steps) = watched(trainer, stop_after);
    if let Some(teacher) = teacher {
        trainer = trainer.with_aligned_teacher(teacher);
    }
    let outcome = trainer.train(student(), source(), Some(source()), directory)?;
    let steps = steps.lock().unwrap().clone();
    Ok((outcome, steps))
}

fn row(ids: &[u32], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let shape = [1, ids.len()];
    Tensor::from_data(TensorData::new(ids, shape), device)
}

fn encoded(text: &str, tokenizer: &TextTokenizer) -> Encoding {
    let tokenizer = &tokenizer.tokenizer;
    let mut encoding = tokenizer.encode(text, SpecialTokens::Add).unwrap();
    encoding.ids.push(END);
    encoding.byte_offsets.push((text.len(), text.len()));
    encoding
}

/// The three losses and the norm of the gradient of the first window, computed without the trainer: every text
/// by itself, read by both tokenizers from the text.
fn first_step(config: &TrainerConfig) -> ([f64; 3], f64) {
    let start = DataPosition::default();
    let mut windows = Windows::try_new(source(), config.windows.clone(), start, false).unwrap();
    let window = windows.next_window().unwrap();
    let placed = window.sequences.iter().flat_map(|sequence| {
        let segments = sequence.packed.segments.iter();
        segments.map(|placed| &sequence.packed.token_ids[placed.start..][..placed.tokens])
    });
    let (device, decoder) = (test_device().autodiff(), student().train());
    let [of_student, of_teacher] = [of_student(), of_teacher()];
    let mut bytes = [&of_student, &of_teacher].map(|side| side.tokenizer.token_bytes().unwrap());
    bytes
        .iter_mut()
        .for_each(|side| side[0] = Some(b"no text".to_vec()));
    let shared = SharedVocabulary::try_new(&bytes[0], &bytes[1]).unwrap();
    let hybrid = HybridLogit::try_new(&shared, 0.5, &device).unwrap();
    let mut sums: [Option<Tensor<1>>; 3] = [None, None, None];
    let (mut labels, mut groups) = (0, 0);
    for token_ids in placed {
        let text = texts().into_iter();
        let mut text = text.filter(|text| encoded(text, &of_student).ids == token_ids);
        let text = text.next().unwrap();
        let [own, other] = [&of_student, &of_teacher].map(|side| encoded(&text, side));
        let count = own.ids.len();
        let context = AttentionContext::causal(1, count, &device);
        let said = LogProbs::from_logits(decoder.forward(row(&own.ids, &device), &context));
        let heard = teacher().log_probs(row(&other.ids, &test_device()));
        let alignment = ByteAlignment::try_new(&own.byte_offsets, &other.byte_offsets).unwrap();
        let place = |token_ids| PlacedTokens {
            row: 0,
            start: 0,
            token_ids,
        };
        let document = AlignedDocument {
            alignment: &alignment,
            student: place(&own.ids),
            teacher: place(&other.ids),
            loss_mask: &vec![true; count],
        };
        let found = AlignedGroups::try_new(&[document], said.dims(), heard.dims(), &device);
        let found = found.unwrap();
        let pair = AlignedPair::by_bytes(&heard, &said, &found).unwrap();
        let counted: Vec<bool> = (1..=count).map(|next| next < count).collect();
        let mask = LabelMask::new(&counted, [1, count], &device);
        let next = row(&own.ids, &device).roll(&[-1], &[1]);
        let losses = [
            UniversalLogit.forward(&pair, found.mask()).unwrap(),
            CrossEntropy.forward(&said, &next, &mask).unwrap(),
            hybrid.forward(&pair, found.mask()).unwrap(),
        ];
        groups += losses[0].num_tokens;
        labels += losses[1].num_tokens;
        for (sum, loss) in sums.iter_mut().zip(losses) {
            *sum = Some(match sum.take() {
                Some(sum) => sum + loss.sum,
                None => loss.sum,
            });
        }
    }
    let counts = [groups, labels, groups].map(|count| count as f64);
    let means: Vec<Tensor<1>> = sums
        .into_iter()
        .zip(counts)
        .map(|(sum, count)| sum.unwrap() / count)
        .collect();
    let read = |term: usize| f64::from(means[term].clone().into_scalar::<f32>());
    let found = [0, 1, 2].map(read);
    let total = means[0].clone() * 0.7 + means[1].clone() * 0.4 + means[2].clone() * 1.3;
    let gradients = GradientsParams::from_grads(total.backward(), &decoder);
    (found, global_norm(&decoder, &gradients))
}

#[test]
fn a_step_has_the_losses_and_gradients_of_its_texts_whatever_the_micro_batches() {
    const NORM_TOLERANCE: f64 = 1e-4;
    let dir = tempfile::tempdir().unwrap();
    let config = learning(3, every_term());
    let ([universal, cross_entropy, hybrid], norm) = first_step(&config);
    for micro in [8, 4, 2, 1] {
        let run = dir.path().join(format!("run-{micro}"));
        let teacher = aligned(teacher(), of_teacher());
        let (_, steps) = train(config.clone(), micro, Some(teacher), &run, None).unwrap();
        let first = &steps[0];
        for (name, expected) in [
            ("universal_logit", universal),
            ("cross_entropy", cross_entropy),
            ("hybrid_logit", hybrid),
        ] {
            let found = first.terms[name];
            assert!(found > 1e-3, "{name}: {found}");
            let error = (found - expected).abs();
            assert!(
                error < REORDERED_SUM_TOLERANCE,
                "{name}: {found}, not {expected}"
            );
        }
        let total = 0.7 * universal + 0.4 * cross_entropy + 1.3 * hybrid;
        assert!((first.loss - total).abs() < 3.0 * REORDERED_SUM_TOLERANCE);
        let found = first.gradient_norm;
        assert!(
            (found / norm - 1.0).abs() < NORM_TOLERANCE,
            "{found}, not {norm}"
        );
    }
}

#[test]
fn a_twin_with_the_same_tokenizer_has_nothing_to_teach() {
    let dir = tempfile::tempdir().unwrap();
    let twin = DecoderTeacher::new(student(), "the twin", &test_device());
    let twin = aligned(twin, of_student());
    let (_, alone) = train(
        learning(2, objective(&[(LossKind::CrossEntropy, 0.4)])),
        8,
        None,
        &dir.path().join("alone"),
        None,
    )
    .unwrap();
    let (_, beside) = train(
        learning(2, every_term()),
        8,
        Some(twin),
        &dir.path().join("twin"),
        None,
    )
    .unwrap();
    for name in ["universal_logit", "hybrid_logit"] {
        let found = beside[0].terms[name];
        assert!(found.abs() < REORDERED_SUM_TOLERANCE, "{name}: {found}");
    }
    let (found, expected) = (
        beside[0].terms["cross_entropy"],
        alone[0].terms["cross_entropy"],
    );
    assert!((found - expected).abs() < REORDERED_SUM_TOLERANCE);
}

#[test]
fn an_interrupted_run_continues_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let ramp = WeightRamp {
        kind: RampKind::Linear,
        to: 0.0,
        first_step: 1,
        last_step: 9,
    };
    let terms = vec![
        ObjectiveTerm::new(LossKind::CrossEntropy, 0.4),
        ObjectiveTerm::published(LossKind::HybridLogit, 1.3).with_ramp(ramp),
    ];
    let run = |name: &str, stop_after| {
        let objective = Objective::try_new(terms.clone(), TailTreatment::TailBucket).unwrap();
        let config = learning(8, objective);
        let teacher = Some(aligned(teacher(), of_teacher()));
        train(config, 4, teacher, &dir.path().join(name), stop_after).unwrap()
    };
    let (straight, all) = run("a", None);
    let (first, mut parts) = run("b", Some(5));
    assert_eq!(first.reason, StopReason::Interrupted);
    let (second, rest) = run("b", None);
    parts.extend(rest);
    assert_eq!(weights(&straight.student), weights(&second.student));
    for (whole, part) in all.iter().zip(&parts) {
        assert_eq!(
            (&whole.terms, &whole.weights, whole.loss),
            (&part.terms, &part.weights, part.loss)
        );
    }
    assert_eq!((all.len(), parts.len()), (8, 8));
    assert_eq!(all[4].weights["hybrid_logit"], 1.3 * 0.5);
}

#[test]
fn a_student_comes_closer_to_the_teacher_by_each_loss_alone() {
    const STEPS: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    for kind in LossKind::OF_VOCABULARIES {
        let run = |name: &str, terms: &[(LossKind, f64)]| {
            let config = learning(STEPS, objective(terms));
            let teacher = Some(aligned(sharp_teacher(), of_teacher()));
            let directory = dir.path().join(format!("{}-{name}", kind.name()));
            let (_, steps) = train(config, 8, teacher, &directory, None).unwrap();
            [&steps[0], steps.last().unwrap()].map(|step| step.terms[kind.name()])
        };
        // Without cross-entropy: the objective is this loss and nothing else.
        let [start, end] = run("alone", &[(kind, 1.0)]);
        assert!(end < 0.8 * start, "{kind:?}: {end} after {start}");
    }
}

/// A teacher that is sure of something, unlike one whose weights were just drawn.
fn sharp_teacher() -> DecoderTeacher {
    let config = DecoderConfig {
        initializer_range: 0.5,
        ..sized(&of_teacher(), 24)
    };
    DecoderTeacher::new(seeded(&config), "the sure one", &test_device())
}

#[test]
fn what_cannot_be_learned_from_is_refused_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let message = |teacher, source: Arc<dyn TrainingSource>, student: Decoder| {
        let run = dir.path().join("refused");
        let trainer = Trainer::try_new(learning(2, every_term()), settings(8)).unwrap();
        let trainer = match teacher {
            Some(teacher) => trainer.with_aligned_teacher(teacher),
            None => trainer,
        };
        let error = trainer.train(student, source, None, &run);
        let message = error.map(|_| ()).unwrap_err().to_string();
        assert!(!run.join("metrics.jsonl").exists(), "{message}");
        message
    };
    let found = message(None, source(), student());
    assert!(
        found.contains("universal_logit, without a teacher"),
        "{found}"
    );
    // A teacher for students of another tokenizer.
    let other = AlignedTeacher::try_new(teacher(), between(of_teacher(), of_teacher())).unwrap();
    let found = message(Some(other), source(), student());
    assert!(
        found.contains("270, with a tokenizer of 300 tokens"),
        "{found}"
    );
    // A tokenizer that is not the teacher's.
    let error =
        AlignedTeacher::try_new(teacher(), between(of_teacher(), of_student())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("300 tokens, with a tokenizer of 270"),
        "{error}"
    );
}

#[test]
fn a_segment_that_the_teacher_cannot_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let short = DecoderConfig {
        max_position_embeddings: 4,
        ..sized(&of_teacher(), 24)
    };
    let short = DecoderTeacher::new(seeded(&short), "short", &test_device());
    let teacher = Some(aligned(short, of_teacher()));
    let error = train(learning(2, every_term()), 8, teacher, dir.path(), None);
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("segment ") && error.contains("at most 4"),
        "{error}"
    );
}

#[test]
fn a_batch_of_parts_of_one_character_has_nothing_to_compare() {
    // Bytes of characters that no token of the teacher is made of: the segments spell no text.
    let bytes = tokenizer(&texts(), 257);
    let cat = bytes
        .tokenizer
        .encode("猫", SpecialTokens::Add)
        .unwrap()
        .ids;
    let segment = |ids: &[u32]| {
        let mask = vec![false, true];
        let (teacher, student) = (ids.to_vec(), ids.to_vec());
        let teacher = alambic_text::TeacherTokens::try_new(teacher, mask.clone()).unwrap();
        let student = alambic_text::StudentTokens::try_new(student, mask).unwrap();
        let place = SourcedDocument::text("cats", 1, "").source;
        alambic_text::Segment::try_new(teacher, student, place)
    };
    let segments = (0..20).map(|_| segment(&cat[1..]));
    let source = Arc::new(InMemoryText::try_new(segments, 257).unwrap());
    let student = seeded(&sized(&bytes, 16));
    let objective = objective(&[
        (LossKind::UniversalLogit, 1.0),
        (LossKind::CrossEntropy, 1.0),
    ]);
    let config = learning(2, objective);
    let teacher = AlignedTeacher::try_new(teacher(), between(bytes, of_teacher())).unwrap();
    let trainer = Trainer::try_new(config, settings(1)).unwrap();
    let (trainer, steps) = watched(trainer.with_aligned_teacher(teacher), None);
    let dir = tempfile::tempdir().unwrap();
    trainer.train(student, source, None, dir.path()).unwrap();
    let steps = steps.lock().unwrap();
    assert_eq!(steps[0].terms["universal_logit"], 0.0);
    assert!(steps[1].terms["cross_entropy"] > 0.0);
}

#[test]
fn a_checkpoint_beside_another_tokenizer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let go = |of_teacher: TextTokenizer, stop_after| {
        let teacher = Some(aligned(teacher(), of_teacher));
        train(
            learning(6, every_term()),
            8,
            teacher,
            dir.path(),
            stop_after,
        )
    };
    go(of_teacher(), Some(3)).unwrap();
    let other = tokenizer(&texts()[..8], 300);
    let error = go(other, None).map(|_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            DistillError::CheckpointMismatch {
                field: "teacher",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_student_learns_in_rounded_products_and_with_layers_that_are_computed_again() {
    assert_variants_agree(&learning(3, every_term()), |trainer, directory| {
        let trainer = trainer.with_aligned_teacher(aligned(teacher(), of_teacher()));
        trainer.train(student(), source(), None, directory)
    });
}
