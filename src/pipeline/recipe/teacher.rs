//! `[teacher]`: the large model that is asked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;
use crate::pipeline::PipelineError;
use crate::pipeline::hub::HubModel;

/// The `[teacher]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherSection {
    /// A local directory in the Hugging Face layout (weights, `config.json`, `tokenizer.json`), or a repository on the
    /// Hub: `hub:ORG/NAME@REVISION`.
    pub path: PathBuf,
    /// Segments per teacher forward pass of a capture; memory and speed only.
    pub batch_segments: usize,
}

impl TeacherSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        checker.path("teacher.path", &self.path);
        if let Err(PipelineError::Input {
            expected, found, ..
        }) = HubModel::parse(&self.path)
        {
            checker.report(Problem::new("teacher.path", expected, found));
        }
        checker.at_least(1, "teacher.batch_segments", self.batch_segments);
    }
}
