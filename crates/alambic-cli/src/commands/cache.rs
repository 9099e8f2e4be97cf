//! `alambic cache`

use std::path::PathBuf;

use alambic::cache::{CacheInfo, CacheReader, TargetKind, verify};
use alambic::pipeline::PipelineError;
use clap::{Args, Subcommand};

use crate::output::Outcome;

/// What can be done with a cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show what a cache holds and which teacher filled it.
    #[command(after_help = "Example:\n  alambic cache info runs/first/cache/train")]
    Info(CacheArguments),
    /// Read every shard and check it against the manifest.
    #[command(after_help = "Example:\n  alambic cache verify runs/first/cache/train")]
    Verify(CacheArguments),
}

/// Arguments of `alambic cache info` and `alambic cache verify`.
#[derive(Debug, Args)]
pub(crate) struct CacheArguments {
    /// The cache directory.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

impl CacheCommand {
    /// The words typed on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Info(_) => "cache info",
            Self::Verify(_) => "cache verify",
        }
    }
}

/// Looks into the cache.
pub(crate) fn execute(command: &CacheCommand) -> anyhow::Result<Outcome> {
    match command {
        CacheCommand::Info(arguments) => {
            let reader = CacheReader::open(&arguments.directory).map_err(PipelineError::from)?;
            let info = reader.info();
            Ok(Outcome::done(describe(&info), serde_json::to_value(&info)?))
        }
        CacheCommand::Verify(arguments) => {
            let report = verify(&arguments.directory).map_err(PipelineError::from)?;
            let text = format!(
                "whole: {} shards, {} segments, {} tokens, {} targets, {} bytes",
                report.num_shards,
                report.num_segments,
                report.num_tokens,
                report.num_targets,
                report.bytes
            );
            Ok(Outcome::done(text, serde_json::to_value(report)?))
        }
    }
}

fn describe(info: &CacheInfo) -> String {
    let spec = &info.spec;
    let targets = match &spec.targets {
        TargetKind::TopK { k, values } => {
            let values = format!("{values:?}").to_lowercase();
            format!(
                "the {k} most likely of {} tokens, {values}",
                spec.vocab_size
            )
        }
        TargetKind::Sampled { draws, .. } => {
            format!("{draws} draws from {} tokens", spec.vocab_size)
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
