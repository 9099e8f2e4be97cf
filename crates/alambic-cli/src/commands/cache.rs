//! `alambic cache`

use std::sync::Arc;

use alambic::cache::{CacheInfo, CacheLocation, CacheReader, TargetKind, seal};
use alambic::pipeline::{PipelineError, Progress};
use clap::{Args, Subcommand};

use super::cache_conversion::{self, ConvertArguments};
use super::cache_verification::{self, VerifyArguments};
use super::derived_cache::{self, ConcatArguments, FilterArguments, SplitArguments};
use crate::output::Outcome;

/// What can be done with a cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show what a cache holds and which teacher filled it.
    #[command(after_help = "Example:\n  alambic cache info runs/first/cache/train")]
    Info(CacheArguments),
    /// Read every shard and check it against the manifest; ask the teacher again about a sample.
    #[command(
        after_help = "Examples:\n  alambic cache verify runs/first/cache/train\n  \
                      alambic cache verify runs/first/cache/train --teacher downloads/teacher --sample 64"
    )]
    Verify(VerifyArguments),
    /// Complete a cache that several processes have captured, or say what is missing.
    #[command(
        after_help = "Examples:\n  alambic cache seal runs/first/cache/train\n  \
                      alambic cache seal s3://corpus/first/train"
    )]
    Seal(CacheArguments),
    /// Join caches into one, without their teacher.
    #[command(after_help = "Example:\n  alambic cache concat first second --out both")]
    Concat(ConcatArguments),
    /// Keep the segments of some lengths, without the teacher.
    #[command(after_help = "Example:\n  alambic cache filter whole --out short --max-tokens 512")]
    Filter(FilterArguments),
    /// Divide a cache in two by chance, without the teacher.
    #[command(
        after_help = "Example:\n  alambic cache split whole --out held-out --rest train --fraction 0.01 --seed 1"
    )]
    Split(SplitArguments),
    /// Make a cache of what another program's teacher said.
    #[command(
        after_help = "Examples:\n  alambic cache convert logits --from distillkit --teacher downloads/teacher --values f16 --out cache\n  \
                      alambic cache convert prompts.jsonl --from jsonl --top-k 20 --teacher downloads/teacher --values f32 --out cache"
    )]
    Convert(ConvertArguments),
}

/// Arguments of the commands on one cache.
#[derive(Debug, Args)]
pub(crate) struct CacheArguments {
    /// Where the cache is: a directory, or a URL such as s3://BUCKET/PREFIX.
    #[arg(value_name = "CACHE")]
    pub(crate) cache: CacheLocation,
}

impl CacheCommand {
    /// The words typed on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Info(_) => "cache info",
            Self::Verify(_) => "cache verify",
            Self::Seal(_) => "cache seal",
            Self::Concat(_) => "cache concat",
            Self::Filter(_) => "cache filter",
            Self::Split(_) => "cache split",
            Self::Convert(_) => "cache convert",
        }
    }
}

/// Looks into the cache, completes it or makes others of it.
pub(crate) fn execute(
    command: &CacheCommand,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    match command {
        CacheCommand::Info(arguments) => {
            let reader = CacheReader::open(&arguments.cache).map_err(PipelineError::from)?;
            let info = reader.info();
            Ok(Outcome::done(describe(&info), serde_json::to_value(&info)?))
        }
        CacheCommand::Verify(arguments) => cache_verification::execute(arguments, progress),
        CacheCommand::Seal(arguments) => {
            seal(&arguments.cache).map_err(PipelineError::from)?;
            let reader = CacheReader::open(&arguments.cache).map_err(PipelineError::from)?;
            let info = reader.info();
            let text = format!(
                "complete: {} shards, {} segments, {} tokens, {} targets, {} bytes",
                info.num_shards, info.num_segments, info.num_tokens, info.num_targets, info.bytes
            );
            Ok(Outcome::done(text, serde_json::to_value(&info)?))
        }
        CacheCommand::Concat(arguments) => derived_cache::concat(arguments),
        CacheCommand::Filter(arguments) => derived_cache::keep(arguments),
        CacheCommand::Split(arguments) => derived_cache::divide(arguments),
        CacheCommand::Convert(arguments) => cache_conversion::execute(arguments),
    }
}

/// What is said of targets that answer for more temperatures than 1.
fn at_temperatures(temperatures: &[f32]) -> String {
    if temperatures.len() < 2 {
        return String::new();
    }
    let temperatures: Vec<String> = temperatures.iter().map(f32::to_string).collect();
    format!(", at the temperatures {}", temperatures.join(", "))
}

fn describe(info: &CacheInfo) -> String {
    let spec = &info.spec;
    let targets = match &spec.targets {
        TargetKind::TopK { k, values } => {
            let values = format!("{values:?}").to_lowercase();
            format!(
                "the {k} most likely of {} tokens, {values}{}",
                spec.vocab_size,
                at_temperatures(&spec.temperatures)
            )
        }
        TargetKind::Sampled { draws, method, .. } => {
            let temperature = spec.temperatures.first().copied().unwrap_or(1.0);
            format!(
                "{draws} {} draws from {} tokens, at temperature {temperature}",
                method.name(),
                spec.vocab_size
            )
        }
        TargetKind::HeadPlusSampledTail {
            k,
            values,
            draws,
            method,
            ..
        } => {
            let values = format!("{values:?}").to_lowercase();
            let temperature = spec.temperatures.first().copied().unwrap_or(1.0);
            format!(
                "the {k} most likely of {} tokens, {values}, and {draws} {} draws from the others, at \
                 temperature {temperature}",
                spec.vocab_size,
                method.name()
            )
        }
        TargetKind::Hidden { width, values, .. } => {
            let values = format!("{values:?}").to_lowercase();
            format!(
                "hidden states of {width} numbers, {values}, and the head for {} tokens, {} bytes once",
                spec.vocab_size,
                4 * width * spec.vocab_size
            )
        }
        TargetKind::HeadOnly { k, values } => {
            let values = format!("{values:?}").to_lowercase();
            format!(
                "the {k} most likely of {} tokens, {values}; tail and entropy are not known",
                spec.vocab_size
            )
        }
        other => format!("{other:?} of {} tokens", spec.vocab_size),
    };
    format!(
        "format      version {}\n\
         targets     {targets}\n\
         holds       {} segments, {} tokens, {} targets\n\
         size        {} bytes in {} shards, {:.1} bytes per token\n\
         teacher     {}\n\
         tokenizer   {}",
        info.format_version,
        info.num_segments,
        info.num_tokens,
        info.num_targets,
        info.bytes,
        info.num_shards,
        info.bytes_per_token,
        spec.teacher_fingerprint,
        spec.tokenizer_fingerprint,
    )
}
