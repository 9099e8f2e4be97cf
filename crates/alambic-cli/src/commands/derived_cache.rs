//! `alambic cache concat`, `filter` and `split`: caches made of caches, without their teacher.

use std::path::{Path, PathBuf};

use alambic::cache::{CacheError, CacheReader, Manifest, TargetRecord, concatenate, filter, split};
use alambic::pipeline::PipelineError;
use clap::Args;
use serde_json::{Value, json};

use crate::output::Outcome;

/// Arguments of `alambic cache concat`.
#[derive(Debug, Args)]
pub(crate) struct ConcatArguments {
    /// The cache directories, in order; of one teacher and with the same settings.
    #[arg(value_name = "DIR", required = true, num_args = 2..)]
    pub(crate) directories: Vec<PathBuf>,
    /// The directory of the new cache.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Arguments of `alambic cache filter`.
#[derive(Debug, Args)]
pub(crate) struct FilterArguments {
    /// The cache directory.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// The directory of the new cache.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) conditions: Conditions,
}

/// Which segments are kept: those that fulfil every condition given.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Conditions {
    /// Keep segments of at least so many tokens.
    #[arg(long, value_name = "N")]
    pub(crate) min_tokens: Option<usize>,
    /// Keep segments of at most so many tokens.
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// Keep segments with at least so many counted labels.
    #[arg(long, value_name = "N")]
    pub(crate) min_targets: Option<usize>,
}

impl Conditions {
    fn hold(&self, record: &TargetRecord) -> bool {
        let (tokens, targets) = (record.num_tokens(), record.num_targets());
        self.min_tokens.is_none_or(|least| tokens >= least)
            && self.max_tokens.is_none_or(|most| tokens <= most)
            && self.min_targets.is_none_or(|least| targets >= least)
    }
}

/// Arguments of `alambic cache split`.
#[derive(Debug, Args)]
pub(crate) struct SplitArguments {
    /// The cache directory.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// The directory of the chosen segments.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The directory of all others.
    #[arg(long, value_name = "DIR")]
    pub(crate) rest: PathBuf,
    /// How likely a segment is chosen, between 0 and 1; equal segments go to the same side.
    #[arg(long, value_name = "F", value_parser = fraction)]
    pub(crate) fraction: f64,
    /// Decides which segments are chosen.
    #[arg(long, value_name = "N")]
    pub(crate) seed: u64,
}

fn fraction(text: &str) -> Result<f64, String> {
    let fraction: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    match fraction > 0.0 && fraction < 1.0 {
        true => Ok(fraction),
        false => Err(format!("expected a number between 0 and 1, found {text}")),
    }
}

/// Joins caches.
pub(crate) fn concat(arguments: &ConcatArguments) -> anyhow::Result<Outcome> {
    let sources: Vec<CacheReader> = arguments
        .directories
        .iter()
        .map(|directory| open(directory))
        .collect::<Result<_, _>>()?;
    let directories = arguments.directories.iter();
    expect_new(&arguments.out, directories.map(PathBuf::as_path))?;
    let manifest = concatenate(&sources, &arguments.out).map_err(PipelineError::from)?;
    Ok(outcome(&[(&arguments.out, &manifest)]))
}

/// Keeps the segments that fulfil the conditions.
pub(crate) fn keep(arguments: &FilterArguments) -> anyhow::Result<Outcome> {
    let source = open(&arguments.directory)?;
    expect_new(&arguments.out, [arguments.directory.as_path()])?;
    let manifest = filter(&source, &arguments.out, |record| {
        arguments.conditions.hold(record)
    });
    let manifest = manifest.map_err(PipelineError::from)?;
    Ok(outcome(&[(&arguments.out, &manifest)]))
}

/// Divides the segments by chance.
pub(crate) fn divide(arguments: &SplitArguments) -> anyhow::Result<Outcome> {
    let source = open(&arguments.directory)?;
    let (out, rest) = (&arguments.out, &arguments.rest);
    expect_new(out, [arguments.directory.as_path(), rest.as_path()])?;
    expect_new(rest, [arguments.directory.as_path()])?;
    let by_chance = |record: &TargetRecord| record.key.draw(arguments.seed) < arguments.fraction;
    let [chosen, others] = split(&source, out, rest, by_chance).map_err(PipelineError::from)?;
    Ok(outcome(&[(out, &chosen), (rest, &others)]))
}

/// Refuses to write into a directory that the command has another use for.
fn expect_new<'a>(
    out: &Path,
    others: impl IntoIterator<Item = &'a Path>,
) -> Result<(), PipelineError> {
    // One that does not exist yet has no other spelling to look through.
    let plain = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match others.into_iter().find(|other| plain(other) == plain(out)) {
        None => Ok(()),
        Some(other) => Err(PipelineError::Input {
            what: format!("the new cache {}", out.display()),
            expected: "a directory of its own".into(),
            found: format!("{}, which this command names too", other.display()),
            advice: "name another directory".into(),
        }),
    }
}

fn open(directory: &Path) -> Result<CacheReader, PipelineError> {
    CacheReader::open(directory).map_err(|error: CacheError| error.into())
}

fn outcome(caches: &[(&PathBuf, &Manifest)]) -> Outcome {
    let lines: Vec<String> = caches
        .iter()
        .map(|(directory, manifest)| {
            format!(
                "{}: {} segments, {} tokens, {} targets in {} shards",
                directory.display(),
                manifest.num_segments,
                manifest.num_tokens,
                manifest.num_targets,
                manifest.shards.len()
            )
        })
        .collect();
    let documents: Vec<Value> = caches
        .iter()
        .map(|(directory, manifest)| {
            json!({
                "cache": directory,
                "num_shards": manifest.shards.len(),
                "num_segments": manifest.num_segments,
                "num_tokens": manifest.num_tokens,
                "num_targets": manifest.num_targets,
            })
        })
        .collect();
    Outcome::done(lines.join("\n"), json!({ "caches": documents }))
}
