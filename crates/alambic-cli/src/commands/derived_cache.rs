//! `alambic cache concat`, `filter` and `split`: caches made of caches, without their teacher.

use alambic::cache::{
    CacheError, CacheLocation, CacheReader, Manifest, TargetRecord, concatenate, filter, split,
};
use alambic::pipeline::PipelineError;
use clap::Args;
use serde_json::{Value, json};

use crate::output::Outcome;

/// Arguments of `alambic cache concat`.
#[derive(Debug, Args)]
pub(crate) struct ConcatArguments {
    /// The caches, in order, directories or URLs such as s3://BUCKET/PREFIX; of one teacher and with
    /// the same settings.
    #[arg(value_name = "CACHE", required = true, num_args = 2..)]
    pub(crate) caches: Vec<CacheLocation>,
    /// Where the new cache goes.
    #[arg(long, value_name = "CACHE")]
    pub(crate) out: CacheLocation,
}

/// Arguments of `alambic cache filter`.
#[derive(Debug, Args)]
pub(crate) struct FilterArguments {
    /// The cache: a directory, or a URL such as s3://BUCKET/PREFIX.
    #[arg(value_name = "CACHE")]
    pub(crate) cache: CacheLocation,
    /// Where the new cache goes.
    #[arg(long, value_name = "CACHE")]
    pub(crate) out: CacheLocation,
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
    /// The cache: a directory, or a URL such as s3://BUCKET/PREFIX.
    #[arg(value_name = "CACHE")]
    pub(crate) cache: CacheLocation,
    /// Where the chosen segments go.
    #[arg(long, value_name = "CACHE")]
    pub(crate) out: CacheLocation,
    /// Where all others go.
    #[arg(long, value_name = "CACHE")]
    pub(crate) rest: CacheLocation,
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
        .caches
        .iter()
        .map(open)
        .collect::<Result<_, _>>()?;
    expect_new(&arguments.out, &arguments.caches)?;
    let manifest = concatenate(&sources, &arguments.out).map_err(PipelineError::from)?;
    Ok(outcome(&[(&arguments.out, &manifest)]))
}

/// Keeps the segments that fulfil the conditions.
pub(crate) fn keep(arguments: &FilterArguments) -> anyhow::Result<Outcome> {
    let source = open(&arguments.cache)?;
    expect_new(&arguments.out, [&arguments.cache])?;
    let manifest = filter(&source, &arguments.out, |record| {
        arguments.conditions.hold(record)
    });
    let manifest = manifest.map_err(PipelineError::from)?;
    Ok(outcome(&[(&arguments.out, &manifest)]))
}

/// Divides the segments by chance.
pub(crate) fn divide(arguments: &SplitArguments) -> anyhow::Result<Outcome> {
    let source = open(&arguments.cache)?;
    let (out, rest) = (&arguments.out, &arguments.rest);
    expect_new(out, [&arguments.cache, rest])?;
    expect_new(rest, [&arguments.cache])?;
    let by_chance = |record: &TargetRecord| record.key.draw(arguments.seed) < arguments.fraction;
    let [chosen, others] = split(&source, out, rest, by_chance).map_err(PipelineError::from)?;
    Ok(outcome(&[(out, &chosen), (rest, &others)]))
}

/// Refuses to write to a place that the command has another use for.
fn expect_new<'a>(
    out: &CacheLocation,
    others: impl IntoIterator<Item = &'a CacheLocation>,
) -> Result<(), PipelineError> {
    // A directory that does not exist yet has no other spelling to look through, and URLs have one.
    let plain = |location: &CacheLocation| {
        let directory = location.as_directory();
        let canonical = directory.and_then(|path| path.canonicalize().ok());
        canonical.map_or_else(|| location.clone(), |path| CacheLocation::from(&path))
    };
    match others.into_iter().find(|other| plain(other) == plain(out)) {
        None => Ok(()),
        Some(other) => Err(PipelineError::Input {
            what: format!("the new cache {out}"),
            expected: "a directory of its own".into(),
            found: format!("{other}, which this command names too"),
            advice: "name another directory".into(),
        }),
    }
}

fn open(location: &CacheLocation) -> Result<CacheReader, PipelineError> {
    CacheReader::open(location).map_err(|error: CacheError| error.into())
}

fn outcome(caches: &[(&CacheLocation, &Manifest)]) -> Outcome {
    let lines: Vec<String> = caches
        .iter()
        .map(|(location, manifest)| {
            format!(
                "{location}: {} segments, {} tokens, {} targets in {} shards",
                manifest.num_segments,
                manifest.num_tokens,
                manifest.num_targets,
                manifest.shards.len()
            )
        })
        .collect();
    let documents: Vec<Value> = caches
        .iter()
        .map(|(location, manifest)| {
            json!({
                "cache": location,
                "num_shards": manifest.shards.len(),
                "num_segments": manifest.num_segments,
                "num_tokens": manifest.num_tokens,
                "num_targets": manifest.num_targets,
            })
        })
        .collect();
    Outcome::done(lines.join("\n"), json!({ "caches": documents }))
}
