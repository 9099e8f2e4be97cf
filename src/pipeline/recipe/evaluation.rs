//! `[evaluation]`: what is measured and shown at the end.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The `[evaluation]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSection {
    /// Segments per forward pass; memory and speed only.
    pub batch_segments: usize,
    /// Prompts that the models continue in the report; may be empty.
    pub prompts: Vec<String>,
    /// Most new tokens per continued prompt.
    pub sample_tokens: usize,
}

impl EvaluationSection {
    /// Reports what is wrong inside this section and against the student's length.
    pub(super) fn check(&self, max_positions: usize, checker: &mut Checker) {
        checker.at_least(1, "evaluation.batch_segments", self.batch_segments);
        checker.at_least(1, "evaluation.sample_tokens", self.sample_tokens);
        for (index, prompt) in self.prompts.iter().enumerate() {
            let key = format!("evaluation.prompts.{index}");
            checker.require(
                !prompt.is_empty(),
                Problem::new(
                    &key,
                    "a prompt of at least one character",
                    "an empty string",
                ),
            );
        }
        checker.require_all(
            &["student.max_position_embeddings"],
            self.sample_tokens < max_positions,
            Problem::new(
                "evaluation.sample_tokens",
                format!("fewer than student.max_position_embeddings ({max_positions})"),
                self.sample_tokens,
            )
            .advise("the prompt needs room too"),
        );
    }
}
