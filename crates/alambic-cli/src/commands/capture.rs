//! `alambic capture`

use std::sync::Arc;

use alambic::cache::Part;
use alambic::pipeline::{self, PartOutcome, Progress, RunStage};
use clap::Args;
use serde_json::{Value, json};

use super::recipe::{self, RecipeArguments};
use crate::output::Outcome;

/// A recipe, and which part of its caches this process captures.
#[derive(Debug, Args)]
pub(crate) struct CaptureArguments {
    #[command(flatten)]
    pub(crate) recipe: RecipeArguments,
    /// Capture part I of N, 0 <= I < N: every shard whose number modulo N is I. Processes with the
    /// same recipe and directory capture the other parts at the same time, here or on other
    /// machines; the last one to end completes the cache.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Part>,
}

/// Captures everything, or one part beside others.
pub(crate) fn execute(
    arguments: &CaptureArguments,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    match arguments.shard {
        Some(part) if !part.is_whole() => capture_part(&arguments.recipe, part, progress),
        _ => recipe::run_until(&arguments.recipe, RunStage::Capture, progress),
    }
}

fn capture_part(
    arguments: &RecipeArguments,
    part: Part,
    progress: Arc<dyn Progress>,
) -> anyhow::Result<Outcome> {
    let (recipe, options) = arguments.open(progress)?;
    let outcomes = pipeline::capture_part(&recipe, &options, part)?;
    let lines: Vec<String> = outcomes
        .iter()
        .map(|outcome| {
            let cache = &outcome.cache;
            match &outcome.missing {
                None => format!("{cache}: complete"),
                Some(missing) => format!("{cache}: part {part} is whole; {missing}"),
            }
        })
        .collect();
    let caches: Vec<Value> = outcomes.iter().map(document).collect();
    Ok(Outcome::done(
        lines.join("\n"),
        json!({ "out": arguments.out, "part": part.to_string(), "caches": caches }),
    ))
}

fn document(outcome: &PartOutcome) -> Value {
    let missing = outcome.missing.as_ref().map(|missing| {
        json!({
            "num_shards": missing.num_shards,
            "num_missing": missing.num_missing,
            "shards": missing.shards,
            "parts": missing.parts.iter().map(Part::to_string).collect::<Vec<_>>(),
        })
    });
    json!({ "cache": outcome.cache, "complete": missing.is_none(), "missing": missing })
}
