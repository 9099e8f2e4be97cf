//! `alambic cache convert`: a cache made of another format's files.

use std::path::PathBuf;

use alambic::cache::{ConvertConfig, ForeignFormat, ValueType, convert};
use alambic::distill::teacher::Teacher;
use alambic::pipeline::{LanguageModel, PipelineError, find_model};
use alambic::transformer::DeviceChoice;
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::output::Outcome;
use crate::progress::for_stderr;

/// Segments per shard of a converted cache: the unit of resuming and of shuffling.
const DEFAULT_SEGMENTS_PER_SHARD: usize = 256;

/// The formats that are read.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// A directory that DistillKit wrote.
    Distillkit,
    /// A JSON object a line: token_ids, top_ids, top_log_probs.
    Jsonl,
    /// Parquet with these columns.
    Parquet,
}

/// How log-probabilities are stored.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Values {
    /// 2 bytes.
    F16,
    /// 4 bytes.
    F32,
}

/// What another format does not say of its teacher.
#[derive(Debug, Args)]
pub(crate) struct ConvertArguments {
    /// The file, or the directory.
    #[arg(value_name = "SOURCE")]
    pub(crate) source: PathBuf,
    /// What it is.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) from: Format,
    /// The directory of the new cache.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The teacher that said this, a directory in the Hugging Face layout: its fingerprints and its
    /// vocabulary.
    #[arg(
        long,
        value_name = "MODEL_DIR",
        required_unless_present = "teacher_fingerprint"
    )]
    pub(crate) teacher: Option<PathBuf>,
    /// The teacher by 64 hexadecimal digits of your choice, where it is not at hand.
    #[arg(
        long,
        value_name = "HEX",
        conflicts_with = "teacher",
        requires_all = ["tokenizer_fingerprint", "vocab_size"]
    )]
    pub(crate) teacher_fingerprint: Option<String>,
    /// The tokenizer by 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", requires = "teacher_fingerprint")]
    pub(crate) tokenizer_fingerprint: Option<String>,
    /// The width of the teacher's logits.
    #[arg(long, value_name = "N", requires = "teacher_fingerprint")]
    pub(crate) vocab_size: Option<usize>,
    /// How log-probabilities are stored.
    #[arg(long, value_name = "TYPE")]
    pub(crate) values: Values,
    /// Keep so many of the most likely tokens; as many as the source has if left out.
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Segments per shard.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEGMENTS_PER_SHARD)]
    pub(crate) segments_per_shard: usize,
}

/// Converts, and says what the cache holds and lacks.
pub(crate) fn execute(arguments: &ConvertArguments) -> anyhow::Result<Outcome> {
    let format = match arguments.from {
        Format::Distillkit => ForeignFormat::DistillKit,
        Format::Jsonl => ForeignFormat::Jsonl,
        Format::Parquet => ForeignFormat::Parquet,
    };
    let (source, out) = (&arguments.source, &arguments.out);
    let manifest =
        convert(source, format, out, &config(arguments)?).map_err(PipelineError::from)?;
    let text = format!(
        "{}: {} segments, {} tokens, {} targets in {} shards; tail and entropy are not known: train \
         with objective.tail renormalise_teacher, renormalise_both or zero_fill",
        out.display(),
        manifest.num_segments,
        manifest.num_tokens,
        manifest.num_targets,
        manifest.shards.len()
    );
    let document = json!({
        "cache": out,
        "num_shards": manifest.shards.len(),
        "num_segments": manifest.num_segments,
        "num_tokens": manifest.num_tokens,
        "num_targets": manifest.num_targets,
        "targets": manifest.spec.targets,
        "lacks": ["tail_mass", "entropy", "temperatures"],
    });
    Ok(Outcome::done(text, document))
}

/// What is stated of the teacher, by itself or by its fingerprints.
fn config(arguments: &ConvertArguments) -> Result<ConvertConfig, PipelineError> {
    let (teacher_fingerprint, tokenizer_fingerprint, vocab_size) = match &arguments.teacher {
        Some(directory) => {
            let directory = find_model(directory, &*for_stderr())?;
            let model = LanguageModel::load(&directory, &DeviceChoice::Cpu.open()?)?;
            (
                model.teacher.fingerprint().to_owned(),
                model.tokenizer.fingerprint().to_owned(),
                model.teacher.vocab_size(),
            )
        }
        // The command line asks for all three where there is no directory.
        None => (
            arguments.teacher_fingerprint.clone().unwrap_or_default(),
            arguments.tokenizer_fingerprint.clone().unwrap_or_default(),
            arguments.vocab_size.unwrap_or_default(),
        ),
    };
    Ok(ConvertConfig {
        teacher_fingerprint,
        tokenizer_fingerprint,
        vocab_size,
        values: match arguments.values {
            Values::F16 => ValueType::F16,
            Values::F32 => ValueType::F32,
        },
        top_k: arguments.top_k,
        segments_per_shard: arguments.segments_per_shard,
    })
}
