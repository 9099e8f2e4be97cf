//! A cache beside the model that filled it.

use std::path::PathBuf;

use alambic_cache::{CacheLocation, CacheReader};
use alambic_distill::{TeacherCheck, TeacherCheckConfig, verify_against_teacher};
use burn::tensor::Device;

use super::{LanguageModel, PipelineError, Progress};

/// Segments that the teacher reads at a time for the control: enough for another shape of batch.
const CONTROL_BATCH_SEGMENTS: usize = 4;

/// Which model is asked, where, and about how much of a cache.
#[derive(Clone, Debug)]
pub struct CacheCheckOptions {
    /// The model directory of the teacher.
    pub teacher: PathBuf,
    /// Where it computes.
    pub device: Device,
    /// How many segments of the cache it reads again.
    pub num_segments: u64,
    /// Decides which ones.
    pub seed: u64,
}

/// Asks the teacher again about a sample of the cache at `location`; its rule is that of
/// [`verify_against_teacher`].
///
/// # Errors
/// Those of loading the model, of opening the cache and of [`verify_against_teacher`]. A cache that
/// deviates is no error.
pub fn check_cache(
    location: impl Into<CacheLocation>,
    options: &CacheCheckOptions,
    progress: &dyn Progress,
) -> Result<TeacherCheck, PipelineError> {
    let location = location.into();
    let cache = CacheReader::open(&location)?;
    let model = LanguageModel::load(&options.teacher, &options.device)?;
    progress.stage(
        "cache verify",
        &format!("{location} beside {}", model.name()),
    );
    let config = TeacherCheckConfig {
        num_segments: options.num_segments,
        seed: options.seed,
        batch_segments: CONTROL_BATCH_SEGMENTS,
    };
    let all = cache.manifest().num_segments;
    progress.begin("segments", Some(options.num_segments.min(all)));
    let check = verify_against_teacher(cache, &model.teacher, &config, |done| {
        progress.advance(done, "");
    });
    progress.end();
    Ok(check?)
}
