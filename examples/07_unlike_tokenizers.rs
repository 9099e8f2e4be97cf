//! A teacher with another tokenizer: the student learns from it by the bytes that tokens of both stand for.
//!
//! `cargo run --release --example 07_unlike_tokenizers -- 600 17` trains three students of one shape for 600
//! steps from the seed 17, on the text alone and with two losses that need no common vocabulary, and measures
//! them on text that none has read. Without arguments it takes a few steps.

use std::error::Error;
use std::path::Path;

use alambic::distill::loss::{
    AlignedDocument, AlignedGroups, AlignedPair, ByteAlignment, CrossEntropy, HybridLogit,
    LabelMask, LogProbs, LossError, PlacedTokens, SharedVocabulary, TokenLoss, UniversalLogit,
};
use alambic::distill::teacher::Teacher;
use alambic::pipeline::LanguageModel;
use alambic::text::{
    Encoding, SpecialTokens, Split, TextError, Textbook, TextbookConfig, Tokenizer,
};
use alambic::transformer::{AttentionContext, Decoder, DecoderConfig, DeviceChoice};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};

const DOCUMENTS_PER_STEP: u64 = 8;
const LEARNING_RATE: f64 = 3e-3;
/// Of the teacher's term, beside 1 for the text.
const WEIGHT: f64 = 1.5;

/// What compares distributions over two vocabularies.
type UnlikeLoss = Box<dyn Fn(&AlignedPair, &LabelMask) -> Result<TokenLoss, LossError>>;

/// One row for each document.
struct Batch {
    encodings: Vec<Encoding>,
    ids: Tensor<2, Int>,
    dims: [usize; 2],
}

impl Batch {
    fn new(texts: &[String], tokenizer: &Tokenizer, device: &Device) -> Result<Self, TextError> {
        let encode = |text: &String| tokenizer.encode(text, SpecialTokens::Add);
        let encodings: Vec<_> = texts.iter().map(encode).collect::<Result<_, _>>()?;
        let longest = encodings.iter().map(|encoding| encoding.ids.len()).max();
        let dims = [texts.len(), longest.unwrap_or_default()];
        let mut ids = vec![0; dims[0] * dims[1]];
        for (row, encoding) in ids.chunks_mut(dims[1]).zip(&encodings) {
            let tokens = encoding.ids.iter().map(|&id| id as i32);
            row.iter_mut()
                .zip(tokens)
                .for_each(|(place, id)| *place = id);
        }
        let ids = Tensor::from_data(TensorData::new(ids, dims), device);
        Ok(Self {
            encodings,
            ids,
            dims,
        })
    }

    fn log_probs(&self, model: &Decoder) -> LogProbs {
        let [rows, tokens] = self.dims;
        let context = AttentionContext::causal(rows, tokens, &self.ids.device());
        LogProbs::from_logits(model.forward(self.ids.clone(), &context))
    }

    /// Cross-entropy of every token from the second of its document on.
    fn cross_entropy(&self, log_probs: &LogProbs) -> Result<TokenLoss, LossError> {
        let [rows, tokens] = self.dims;
        let lengths = self.encodings.iter().map(|encoding| encoding.ids.len());
        let counted: Vec<bool> = lengths
            .flat_map(|length| (1..=tokens).map(move |next| next < length))
            .collect();
        let mask = LabelMask::new(&counted, [rows, tokens], &self.ids.device());
        // The last column is never counted, whatever comes round to it.
        let labels = self.ids.clone().roll(&[-1], &[1]);
        CrossEntropy.forward(log_probs, &labels, &mask)
    }
}

/// The groups of tokens that stand for the same bytes to both.
fn aligned(
    student: (&Batch, usize),
    teacher: (&Batch, usize),
    device: &Device,
) -> Result<AlignedGroups, Box<dyn Error>> {
    let pairs = || student.0.encodings.iter().zip(&teacher.0.encodings);
    let alignments: Vec<_> = pairs()
        .map(|(of_student, of_teacher)| {
            ByteAlignment::try_new(&of_student.byte_offsets, &of_teacher.byte_offsets)
        })
        .collect::<Result<_, _>>()?;
    let masks: Vec<_> = pairs().map(|(own, _)| vec![true; own.ids.len()]).collect();
    let documents = pairs()
        .enumerate()
        .map(|(row, (own, other))| AlignedDocument {
            alignment: &alignments[row],
            student: PlacedTokens {
                row,
                start: 0,
                token_ids: &own.ids,
            },
            teacher: PlacedTokens {
                row,
                start: 0,
                token_ids: &other.ids,
            },
            loss_mask: &masks[row],
        });
    let documents: Vec<_> = documents.collect();
    let dims = |(batch, vocab): (&Batch, usize)| [batch.dims[0], batch.dims[1], vocab];
    Ok(AlignedGroups::try_new(
        &documents,
        dims(student),
        dims(teacher),
        device,
    )?)
}

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let steps = arguments.next().transpose()?.unwrap_or(5);
    let seed = arguments.next().transpose()?.unwrap_or(17);
    let device = DeviceChoice::Auto.open()?;
    let autodiff = device.clone().autodiff();

    let teacher = LanguageModel::load(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher"),
        &device,
    )?;
    let textbook = Textbook::new(TextbookConfig {
        seed,
        split: Split::Train,
        story_ratio: 0.5,
    })?;
    let texts = |items| {
        textbook
            .items(items)
            .map(|item| item.text())
            .collect::<Vec<_>>()
    };
    let tokenizer = Tokenizer::train_byte_level_bpe(texts(0..2000), 400, &["<|endoftext|>"])?;
    let vocab_sizes = [tokenizer.vocab_size(), teacher.tokenizer.vocab_size()];
    let shared =
        SharedVocabulary::try_new(&tokenizer.token_bytes()?, &teacher.tokenizer.token_bytes()?)?;
    let [own, other] = vocab_sizes;
    let common = shared.matched().len();
    println!("the student has {own} tokens, the teacher {other}; {common} are the same bytes");

    let hybrid = HybridLogit::try_new(&shared, 0.5, &autodiff)?;
    let losses: [(&str, Option<UnlikeLoss>); 3] = [
        ("the text alone", None),
        (
            "universal logits",
            Some(Box::new(|pair, mask| UniversalLogit.forward(pair, mask))),
        ),
        (
            "hybrid logits",
            Some(Box::new(move |pair, mask| hybrid.forward(pair, mask))),
        ),
    ];
    let held_out = texts(1_000_000..1_000_200);
    let held_out_bytes: usize = held_out.iter().map(String::len).sum();
    for (name, loss) in losses {
        device.seed(seed);
        let mut student = DecoderConfig {
            vocab_size: own,
            hidden_size: 64,
            intermediate_size: 168,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 16,
            ..teacher.teacher.decoder().config().clone()
        }
        .init(&device)
        .train();
        let mut optimizer = AdamWConfig::new()
            .with_epsilon(1e-8)
            .with_weight_decay(0.0)
            .init();
        for step in 0..steps {
            let texts = texts(step * DOCUMENTS_PER_STEP..(step + 1) * DOCUMENTS_PER_STEP);
            let batch = Batch::new(&texts, &tokenizer, &autodiff)?;
            let log_probs = batch.log_probs(&student);
            let of_text = batch.cross_entropy(&log_probs)?;
            let mut total = of_text.sum.div_scalar(of_text.num_tokens as f64);
            if let Some(loss) = &loss {
                let read = Batch::new(&texts, &teacher.tokenizer, &device)?;
                let answer = teacher.teacher.log_probs(read.ids.clone());
                let groups = aligned((&batch, own), (&read, other), &device)?;
                let pair = AlignedPair::by_bytes(&answer, &log_probs, &groups)?;
                let found = loss(&pair, groups.mask())?;
                total = total + found.sum.mul_scalar(WEIGHT / found.num_tokens as f64);
            }
            let gradients = GradientsParams::from_grads(total.backward(), &student);
            // To zero in a straight line.
            let rate = LEARNING_RATE * (steps - step) as f64 / steps as f64;
            student = optimizer.step(rate, student, gradients);
        }
        let student = student.valid();
        let mut nats = 0.0;
        for texts in held_out.chunks(20) {
            let batch = Batch::new(texts, &tokenizer, &device)?;
            let found = batch.cross_entropy(&batch.log_probs(&student))?;
            nats += f64::from(found.sum.into_scalar::<f32>());
        }
        let bits = nats / std::f64::consts::LN_2 / held_out_bytes as f64;
        println!("{name}: {bits:.4} bits per byte of unread text");
    }
    Ok(())
}
