//! Stage one: the teacher reads the text once.

use std::time::Instant;

use alambic_cache::{CacheError, CacheLocation, MissingShards, Part, TargetKind};
use alambic_distill::{CaptureConfig, CaptureOutcome, DistillError};
use alambic_text::Split;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::plan::split_name;
use crate::pipeline::found_cache::check_found_cache;
use crate::pipeline::recipe::{CacheSection, Recipe};
use crate::pipeline::{LanguageModel, PipelineError, Progress};

/// What capture leaves for the report; `capture.json`, or one such file for each part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaptureFacts {
    /// Seconds over all attempts that finished a cache or a part of one, or were stopped on request.
    pub(crate) seconds: f64,
}

/// How the capture of one part of one cache ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartOutcome {
    /// The cache.
    pub cache: CacheLocation,
    /// What other parts still lack; `None` when the cache is complete.
    pub missing: Option<MissingShards>,
}

/// How the capture of one split ended.
enum SplitOutcome {
    /// The cache was complete before.
    Found,
    /// It is complete now.
    Complete { seconds: f64 },
    /// This part is whole, others are not.
    PartComplete {
        seconds: f64,
        missing: MissingShards,
    },
    /// A stop was requested; the shards so far are whole.
    Stopped { seconds: f64 },
}

fn stopped() -> PipelineError {
    PipelineError::Stopped { stage: "capture" }
}

/// Captures the training and validation caches, or finds them; the seconds that it took, those of
/// processes that captured parts included.
pub(crate) fn capture(plan: &Plan) -> Result<f64, PipelineError> {
    let mut seconds = seconds_of(plan, "capture.json")?;
    for (split, cache) in caches(plan) {
        let (took, is_stopped) = match capture_split(plan, split, &cache)? {
            SplitOutcome::Found => continue,
            SplitOutcome::Complete { seconds } => (seconds, false),
            SplitOutcome::Stopped { seconds } => (seconds, true),
            SplitOutcome::PartComplete { .. } => unreachable!("the plan is that of one process"),
        };
        seconds += took;
        plan.directory
            .write_json("capture.json", &CaptureFacts { seconds })?;
        if is_stopped {
            return Err(stopped());
        }
    }
    for parts in plan
        .directory
        .names()?
        .iter()
        .filter(|name| is_facts_of_part(name))
    {
        seconds += seconds_of(plan, parts)?;
    }
    Ok(seconds)
}

/// Captures the plan's part of the training and validation caches, or finds it.
pub(crate) fn capture_part(plan: &Plan) -> Result<Vec<PartOutcome>, PipelineError> {
    let facts = format!("capture-{}.json", plan.part.file_label());
    let mut seconds = seconds_of(plan, &facts)?;
    let mut outcomes = Vec::new();
    for (split, cache) in caches(plan) {
        let (took, missing) = match capture_split(plan, split, &cache)? {
            SplitOutcome::Found => (0.0, None),
            SplitOutcome::Complete { seconds } => (seconds, None),
            SplitOutcome::PartComplete { seconds, missing } => (seconds, Some(missing)),
            SplitOutcome::Stopped { seconds: took } => {
                seconds += took;
                plan.directory
                    .write_json(&facts, &CaptureFacts { seconds })?;
                return Err(stopped());
            }
        };
        seconds += took;
        plan.directory
            .write_json(&facts, &CaptureFacts { seconds })?;
        outcomes.push(PartOutcome { cache, missing });
    }
    Ok(outcomes)
}

/// The splits that are captured, and where to; none where the teacher answers while the student trains.
fn caches(plan: &Plan) -> Vec<(Split, CacheLocation)> {
    if plan.recipe.cache.is_none() {
        return Vec::new();
    }
    let mut splits = vec![Split::Train];
    if plan.recipe.data.why_validation_is_empty().is_none() {
        splits.push(Split::Validation);
    }
    let located = splits.into_iter();
    located
        .map(|split| (split, plan.cache(split_name(split))))
        .collect()
}

/// The seconds that an earlier process noted under `name`.
fn seconds_of(plan: &Plan, name: &str) -> Result<f64, PipelineError> {
    let facts = plan.directory.read_json::<CaptureFacts>(name)?;
    Ok(facts.map_or(0.0, |facts| facts.seconds))
}

fn is_facts_of_part(name: &str) -> bool {
    name.starts_with("capture-") && name.ends_with(".json")
}

/// What a cache keeps per label, in words.
pub(crate) fn kept_targets(targets: TargetKind) -> String {
    match targets {
        TargetKind::TopK { k, .. } => format!("top {k}"),
        TargetKind::Sampled { draws, method, .. } => format!("{draws} {} draws", method.name()),
        TargetKind::HeadPlusSampledTail {
            k, draws, method, ..
        } => {
            format!("top {k} and {draws} {} draws of the rest", method.name())
        }
        TargetKind::Hidden { width, values, .. } => {
            let values = format!("{values:?}").to_lowercase();
            format!("hidden states of {width}, {values}")
        }
        other => format!("{other:?}"),
    }
}

/// What a recipe with such a section keeps of its teacher.
pub(crate) fn capture_config(
    recipe: &Recipe,
    cache: &CacheSection,
    teacher: &LanguageModel,
) -> Result<CaptureConfig, DistillError> {
    Ok(CaptureConfig {
        targets: cache.targets_of(&teacher.teacher)?,
        temperatures: match cache.draws {
            Some(_) => vec![recipe.objective.temperature as f32],
            None => cache.temperatures(),
        },
        segments_per_shard: cache.segments_per_shard,
        batch_segments: recipe.teacher.batch_segments,
        tokenizer_fingerprint: teacher.tokenizer.fingerprint().to_owned(),
        reuse: cache.reused(),
        part: Part::whole(),
    })
}

/// Captures the plan's part of one split.
fn capture_split(
    plan: &Plan,
    split: Split,
    cache: &CacheLocation,
) -> Result<SplitOutcome, PipelineError> {
    let progress = &plan.options.progress;
    let section = plan.recipe.cache.as_ref();
    let section = section.expect("only caches of a recipe are captured");
    let config = CaptureConfig {
        part: plan.part,
        ..capture_config(&plan.recipe, section, &plan.teacher)?
    };
    let found = || {
        let expected = config.cache_spec(&plan.teacher.teacher);
        check_found_cache(cache, &expected, &plan.teacher, &plan.text, split)?;
        progress.note(&format!("the cache {cache} is complete"));
        Ok(SplitOutcome::Found)
    };
    if cache.has_manifest()? {
        return found();
    }
    let part = match plan.part.is_whole() {
        true => String::new(),
        false => format!("part {}: ", plan.part),
    };
    progress.stage(
        "capture",
        &format!("{part}{} into {cache}", plan.teacher.name()),
    );
    let started = Instant::now();
    let mut segments = plan.text.segments(split)?;
    let mut reused = 0;
    progress.begin("segments", None);
    let outcome = alambic_distill::capture(
        &plan.teacher.teacher,
        &mut segments,
        cache,
        &config,
        &plan.options.stop,
        |done| {
            reused = done.reused;
            let rate = done.tokens as f64 / started.elapsed().as_secs_f64();
            progress.advance(
                done.segments,
                &format!("{} tokens, {rate:.0} tokens/s", done.tokens),
            );
        },
    );
    progress.end();
    let outcome = match outcome {
        // Another process has sealed the cache in between.
        Err(DistillError::Cache(CacheError::AlreadyComplete { .. })) => return found(),
        outcome => outcome?,
    };
    note_cuts(progress.as_ref(), segments.stats());
    if reused > 0 {
        progress.note(&format!(
            "{reused} segments taken from other caches or repeated in their shard: the teacher was not asked"
        ));
    }
    let seconds = started.elapsed().as_secs_f64();
    match outcome {
        CaptureOutcome::Complete(_) => Ok(SplitOutcome::Complete { seconds }),
        CaptureOutcome::PartComplete(missing) => {
            Ok(SplitOutcome::PartComplete { seconds, missing })
        }
        CaptureOutcome::Stopped(_) => Ok(SplitOutcome::Stopped { seconds }),
    }
}

/// Says what the named options did to the text; nothing is cut in silence.
pub(super) fn note_cuts(progress: &dyn Progress, stats: &alambic_text::SegmentStats) {
    for (count, what) in [
        (stats.skipped_over_length, "documents skipped as too long"),
        (stats.truncated, "documents truncated"),
        (stats.split, "documents split into several segments"),
        (
            stats.without_labels,
            "pieces left out because no label remains in them",
        ),
    ] {
        if count > 0 {
            progress.note(&format!("{count} of {} {what}", stats.documents));
        }
    }
}
