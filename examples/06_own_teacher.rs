//! A teacher of one's own: a tokenizer and a model, trained from nothing on a text.
//!
//! `cargo run --release --example 06_own_teacher -- TEXT OUT` reads documents that `<|endoftext|>`
//! separates and writes the Hugging Face directory `OUT/teacher`. Of the documents it sees those that
//! a recipe with the same `[data]` fractions and `split_seed = 0` trains on. Run it again after a stop
//! and it goes on.
//! Without arguments it makes a toy of this program's own text.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use alambic::distill::loss::{HeadPass, Objective};
use alambic::distill::trainer::{
    AdamWSettings, Metrics, RunSettings, Schedule, Trainer, TrainerConfig,
};
use alambic::distill::{PlainText, WindowConfig, derive_seed};
use alambic::text::{
    Corpus, CorpusConfig, CorpusFormat, Document, Ending, ExampleTokenizer, OverLength,
    PromptErasing, SegmentConfig, SegmentStream, Split, SplitConfig, Tokenizer, Trim,
};
use alambic::transformer::{
    Architecture, DecoderConfig, DeviceChoice, Precision, SaveOptions, WeightType, save_checkpoint,
};

const END_OF_TEXT: &str = "<|endoftext|>";
const SEED: u64 = 17;
const SEQUENCE_TOKENS: usize = 256;

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let toy = arguments.len() == 0;
    let text = arguments.next().unwrap_or_else(|| file!().into());
    let out = arguments
        .next()
        .unwrap_or_else(|| "runs/example/own".into());
    let (vocab_size, hidden_size, layers, steps) = match toy {
        true => (300, 32, 1, 4),
        false => (4096, 128, 4, 6000),
    };

    let corpus = Corpus::open(CorpusConfig {
        files: vec![text],
        format: CorpusFormat::Text {
            separator: END_OF_TEXT.into(),
            trim: Trim::Whitespace,
        },
        erasing: PromptErasing::Keep,
    })?;
    let split = SplitConfig {
        validation_fraction: 0.02,
        test_fraction: 0.05,
        seed: 0,
    };
    let documents: Vec<_> = corpus.documents().collect::<Result<_, _>>()?;
    let of_split = |wanted| {
        documents
            .iter()
            .filter(move |d| toy || split.split_of(&d.document) == wanted)
    };
    let texts = of_split(Split::Train).filter_map(|d| match &d.document {
        Document::Text(text) => Some(text.clone()),
        Document::Conversation(_) => None,
    });
    let tokenizer = Arc::new(Tokenizer::train_byte_level_bpe(
        texts,
        vocab_size,
        &[END_OF_TEXT],
    )?);
    let end = tokenizer
        .token_to_id(END_OF_TEXT)
        .ok_or("the tokenizer was trained with it")?;

    let examples = ExampleTokenizer::new(tokenizer.clone(), None, Ending::EndOfText(end));
    let config = SegmentConfig {
        max_tokens: SEQUENCE_TOKENS,
        over_length: OverLength::Split,
    };
    let source = |wanted| -> Result<_, Box<dyn Error>> {
        let documents = of_split(wanted).cloned().map(Ok);
        let segments: Vec<_> =
            SegmentStream::new(documents, examples.clone(), config)?.collect::<Result<_, _>>()?;
        let shards: Vec<Vec<_>> = segments.chunks(512).map(<[_]>::to_vec).collect();
        let name = format!("{wanted:?} {}", tokenizer.fingerprint());
        Ok(Arc::new(PlainText::new(
            name,
            shards.len(),
            vocab_size,
            move |shard| Ok(shards[shard].clone()),
        )))
    };

    let device = DeviceChoice::Auto.open()?;
    device.seed(derive_seed(SEED, "init"));
    let model = DecoderConfig {
        vocab_size,
        hidden_size,
        intermediate_size: hidden_size * 8 / 3,
        num_hidden_layers: layers,
        num_attention_heads: hidden_size / 16,
        num_key_value_heads: hidden_size / 32,
        head_dim: 16,
        max_position_embeddings: 512,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.02,
        architecture: Architecture::default(),
    };
    let training = TrainerConfig {
        objective: Objective::hard_labels(),
        optimizer: AdamWSettings {
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay: 0.1,
        },
        schedule: Schedule::Cosine {
            peak: 2e-3,
            warmup_steps: steps / 40,
            min_ratio: 0.05,
        },
        windows: WindowConfig {
            seed: SEED,
            sequences_per_step: 4,
            sequence_tokens: SEQUENCE_TOKENS,
            shuffle_shards: 8,
            pad_id: end,
        },
        max_gradient_norm: Some(1.0),
        total_steps: steps,
        precision: Precision::F32,
        early_stopping_patience: None,
    };
    let every = steps.div_ceil(24);
    let settings = RunSettings {
        micro_batch_sequences: 4,
        head_pass: HeadPass::default(),
        recompute_layers: false,
        checkpoint_every_steps: every,
        keep_checkpoints: 1,
        evaluate_every_steps: every,
        dashboard: false,
    };
    let outcome = Trainer::try_new(training, settings)?
        .with_sink(|metrics: &Metrics| {
            if let Metrics::Validation(found) = metrics {
                println!("step {}: {:.3} nats per token", found.step, found.nll);
            }
        })
        .train(
            model.init(&device),
            source(Split::Train)?,
            Some(source(Split::Validation)?),
            &out.join("training"),
        )?;

    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: None,
        eos_token_ids: vec![end],
        pad_token_id: None,
        max_shard_bytes: None,
    };
    save_checkpoint(&outcome.student, &out.join("teacher"), &options)?;
    tokenizer.save(&out.join("teacher/tokenizer.json"))?;
    println!("{} labels in {:.0} s", outcome.tokens, outcome.seconds);
    Ok(())
}
