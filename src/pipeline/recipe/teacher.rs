//! `[teacher]`: the large model that is asked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Checker;

/// The `[teacher]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherSection {
    /// A local directory in the Hugging Face layout: weights, `config.json`, `tokenizer.json`.
    pub path: PathBuf,
    /// Segments per teacher forward pass of a capture; memory and speed only.
    pub batch_segments: usize,
}

impl TeacherSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.path("teacher.path", &self.path);
        checker.at_least(1, "teacher.batch_segments", self.batch_segments);
    }
}
