//! `alambic cache`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be done with a cache.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show what a cache holds and which teacher filled it.
    #[command(after_help = "Example:\n  alambic cache info runs/first/cache")]
    Info(CacheArguments),
    /// Read every shard and check it against the manifest.
    #[command(after_help = "Example:\n  alambic cache verify runs/first/cache")]
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
