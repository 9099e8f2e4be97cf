//! A teacher with another tokenizer: the student learns from it by the bytes that tokens of both stand for.
//!
//! `cargo run --release --example 07_unlike_tokenizers -- OUT 2000 17` makes a tokenizer of 400 tokens from text,
//! and trains three students that read with it for 2,000 steps from the seed 17: on the text alone, and with each
//! of the losses that need no common vocabulary. Runs of the same OUT are found again.
//! Without arguments it takes a few steps.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic::distill::{Retokenizer, StopHandle, TokenizerPair};
use alambic::pipeline::recipe::Recipe;
use alambic::pipeline::{LanguageModel, ModelTokenizer, NoProgress, RunOptions, run};
use alambic::text::{Split, Textbook, TextbookConfig, Tokenizer};
use alambic::transformer::DeviceChoice;

const END_OF_TEXT: &str = "<|endoftext|>";
const VOCAB: usize = 400;

/// Terms of the objective beside the text's own cross-entropy.
const TERMS: [(&str, &str); 3] = [
    ("text alone", ""),
    (
        "universal logits",
        "{ kind = 'universal_logit', weight = 1.5 }",
    ),
    (
        "hybrid logits",
        "{ kind = 'hybrid_logit', weight = 1.5, beta = 0.5 }",
    ),
];

/// Learns a tokenizer from the textbook and writes it as other programs do.
fn write_tokenizer(directory: &Path) -> Result<(), Box<dyn Error>> {
    let textbook = Textbook::new(TextbookConfig {
        seed: 2,
        split: Split::Train,
        story_ratio: 0.2,
    })?;
    let texts = textbook.items(0..2000).map(|item| item.text());
    let tokenizer = Tokenizer::train_byte_level_bpe(texts, VOCAB, &[END_OF_TEXT])?;
    fs::create_dir_all(directory)?;
    tokenizer.save(&directory.join("tokenizer.json"))?;
    let config = format!("{{\"eos_token\": \"{END_OF_TEXT}\"}}\n");
    Ok(fs::write(directory.join("tokenizer_config.json"), config)?)
}

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let toy = arguments.len() == 0;
    let out = arguments
        .next()
        .map_or_else(|| "runs/example/unlike_tokenizers".into(), PathBuf::from);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (steps, seed) = (number(4)?, number(17)?);
    let device = DeviceChoice::Auto.open()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let teacher = root.join("data/quickstart_teacher");
    let own = out.join("tokenizer");
    write_tokenizer(&own)?;

    let pair = TokenizerPair {
        student: ModelTokenizer::load(&own)?.text_tokenizer(),
        teacher: ModelTokenizer::from(&LanguageModel::load(&teacher, &device)?).text_tokenizer(),
    };
    let shared = Retokenizer::try_new(pair)?.shared_vocabulary()?;
    println!(
        "the student has {} tokens, the teacher {}; {} are the same bytes",
        shared.student_vocab(),
        shared.teacher_vocab(),
        shared.matched().len()
    );
    for (name, term) in TERMS {
        let mut overrides = vec![
            format!("teacher.path={}", teacher.display()),
            format!("student.tokenizer={}", own.display()),
            format!("training.total_steps={steps}"),
            format!("seed={seed}"),
            format!("objective.terms=[{{ kind = 'cross_entropy', weight = 1.0 }}, {term}]"),
        ];
        if toy {
            let small = ["schedule.warmup_steps=1", "data.textbook.test_items=8"];
            overrides.extend(small.map(str::to_owned));
        }
        let recipe = Recipe::load(&root.join("configs/own_tokenizer.toml"), &overrides)?;
        let options = RunOptions {
            out: out.join(format!("{}-{steps}-{seed}", name.replace(' ', "_"))),
            device: device.clone(),
            stop: StopHandle::new(),
            progress: Arc::new(NoProgress),
            dashboard: false,
        };
        let report = run(&recipe, &options)?;
        let bits = report.student.bits_per_byte;
        println!("{name}: {bits:.4} bits per byte of unread text");
        if name == TERMS[TERMS.len() - 1].0 {
            println!("the teacher: {:.4}", report.teacher.bits_per_byte);
        }
    }
    Ok(())
}
