//! Stage one: the teacher reads the text once.

use std::path::Path;
use std::time::Instant;

use alambic_cache::TargetKind;
use alambic_distill::{CaptureConfig, CaptureOutcome};
use alambic_text::Split;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::pipeline::found_cache::check_found_cache;
use crate::pipeline::recipe::Recipe;
use crate::pipeline::{LanguageModel, PipelineError, Progress};

/// What capture leaves for the report; `capture.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaptureFacts {
    /// Seconds over all attempts that finished a cache.
    pub(crate) seconds: f64,
}

/// Captures the training and validation caches, or finds them; the seconds that it took.
pub(crate) fn capture(plan: &Plan) -> Result<f64, PipelineError> {
    let earlier = plan.directory.read_json::<CaptureFacts>("capture.json")?;
    let mut seconds = earlier.map_or(0.0, |facts| facts.seconds);
    let mut splits = vec![(Split::Train, "train")];
    if plan.recipe.data.why_validation_is_empty().is_none() {
        splits.push((Split::Validation, "validation"));
    }
    for (split, name) in splits {
        if let Some(took) = capture_split(plan, split, &plan.cache(name))? {
            seconds += took;
            plan.directory
                .write_json("capture.json", &CaptureFacts { seconds })?;
        }
    }
    Ok(seconds)
}

/// What a cache keeps per label, in words.
pub(crate) fn kept_targets(targets: TargetKind) -> String {
    match targets {
        TargetKind::TopK { k, .. } => format!("top {k}"),
        TargetKind::Sampled { draws, .. } => format!("{draws} draws"),
        other => format!("{other:?}"),
    }
}

/// What a recipe keeps of its teacher.
pub(crate) fn capture_config(recipe: &Recipe, teacher: &LanguageModel) -> CaptureConfig {
    CaptureConfig {
        targets: recipe.cache.targets(),
        temperature: 1.0,
        segments_per_shard: recipe.cache.segments_per_shard,
        batch_segments: recipe.teacher.batch_segments,
        tokenizer_fingerprint: teacher.tokenizer.fingerprint().to_owned(),
    }
}

/// Captures one split; `None` when its cache was already whole.
fn capture_split(
    plan: &Plan,
    split: Split,
    directory: &Path,
) -> Result<Option<f64>, PipelineError> {
    let progress = &plan.options.progress;
    let config = capture_config(&plan.recipe, &plan.teacher);
    if directory.join(alambic_cache::MANIFEST_FILE).exists() {
        let expected = config.cache_spec(&plan.teacher.teacher);
        check_found_cache(directory, &expected, &plan.teacher, &plan.text, split)?;
        progress.note(&format!("the cache {} is whole", directory.display()));
        return Ok(None);
    }
    progress.stage(
        "capture",
        &format!("{} into {}", plan.teacher.name(), directory.display()),
    );
    let started = Instant::now();
    let mut segments = plan.text.segments(split)?;
    progress.begin("segments", None);
    let outcome = alambic_distill::capture(
        &plan.teacher.teacher,
        &mut segments,
        directory,
        &config,
        &plan.options.stop,
        |done| {
            let rate = done.tokens as f64 / started.elapsed().as_secs_f64();
            progress.advance(
                done.segments,
                &format!("{} tokens, {rate:.0} tokens/s", done.tokens),
            );
        },
    )?;
    progress.end();
    note_cuts(progress.as_ref(), segments.stats());
    match outcome {
        CaptureOutcome::Complete(_) => Ok(Some(started.elapsed().as_secs_f64())),
        CaptureOutcome::Stopped(_) => Err(PipelineError::Stopped { stage: "capture" }),
    }
}

/// Says what the named options did to the text; nothing is cut in silence.
fn note_cuts(progress: &dyn Progress, stats: &alambic_text::SegmentStats) {
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
