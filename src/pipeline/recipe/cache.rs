//! `[cache]`: what is kept of the teacher's answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Checker;

/// The `[cache]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSection {
    /// Most likely tokens kept per label; the mass of all others is kept as one number.
    pub top_k: usize,
    /// Number type of the stored log-probabilities.
    pub values: CacheValues,
    /// Segments per shard file: the unit of resuming and of shuffling.
    pub segments_per_shard: usize,
    /// Shares one cache between runs; inside the run directory when absent.
    pub path: Option<PathBuf>,
}

/// Number type of stored log-probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheValues {
    /// Two bytes per value.
    F16,
    /// Four bytes per value.
    F32,
}

impl CacheSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.at_least(1, "cache.top_k", self.top_k);
        checker.at_least(1, "cache.segments_per_shard", self.segments_per_shard);
        if let Some(path) = &self.path {
            checker.path("cache.path", path);
        }
    }
}
