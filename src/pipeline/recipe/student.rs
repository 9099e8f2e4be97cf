//! `[student]`: the shape of the small model.

use std::path::PathBuf;

use alambic_transformer::LoraConfig;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;
use crate::pipeline::hub::is_hub_path;

/// Standard deviation of a new student's weights, the `initializer_range` of Llama's `config.json`.
///
/// It is not a key of the recipe; it is written to the student's configuration like every other value.
pub const STUDENT_INITIALIZER_RANGE: f64 = 0.02;

/// The key of [`StudentSection::tokenizer`].
pub(super) const STUDENT_TOKENIZER: &str = "student.tokenizer";

/// The `[student]` section: a decoder-only transformer; the vocabulary is the teacher's, unless there is a
/// tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentSection {
    /// The directory of a tokenizer of the student's own: `tokenizer.json`, and `tokenizer_config.json` for its
    /// end of text. The teacher then answers while the student trains, wherever the tokens of both stand for the
    /// same bytes. Without this key the tokenizer is the teacher's.
    pub tokenizer: Option<PathBuf>,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of one head; even, because rotary positions turn pairs.
    pub head_dim: usize,
    /// Whether the output layer is the embedding, transposed.
    pub tie_word_embeddings: bool,
    /// Base of the rotary position frequencies.
    pub rope_theta: f64,
    /// Added to the mean square in every RMS norm.
    pub rms_norm_eps: f64,
    /// Longest sequence the student is declared for, in tokens.
    pub max_position_embeddings: usize,
    /// The teacher's layers that the student's are copies of before the first step, one for each, counted from 1 as in
    /// `objective.layer_terms`; embedding, final norm and head are the teacher's too, and of what is wider there the first rows
    /// and columns. The student is then of the teacher's family. Without this key its weights are random.
    pub teacher_layers: Option<Vec<usize>>,
    /// Trains low-rank adapters of these projections and nothing else, on copies of the teacher's layers; the student is
    /// written with its adapters merged. For example `{ rank = 8, alpha = 16.0, projections = ["q_proj", "v_proj"] }`, and with
    /// `base = "int8"` or `"int4"` on rounded weights.
    pub lora: Option<LoraConfig>,
}

impl StudentSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        if let Some(path) = &self.tokenizer {
            checker.path(STUDENT_TOKENIZER, path);
            let problem = Problem::new(STUDENT_TOKENIZER, "a local directory", path.display());
            let problem = problem.advise("download the tokenizer's files and name where they are");
            checker.require(!is_hub_path(path), problem);
        }
        for (key, size) in [
            ("student.hidden_size", self.hidden_size),
            ("student.intermediate_size", self.intermediate_size),
            ("student.num_hidden_layers", self.num_hidden_layers),
            ("student.num_attention_heads", self.num_attention_heads),
            ("student.num_key_value_heads", self.num_key_value_heads),
            ("student.head_dim", self.head_dim),
            (
                "student.max_position_embeddings",
                self.max_position_embeddings,
            ),
        ] {
            checker.at_least(1, key, size);
        }
        if let Some(layers) = &self.teacher_layers {
            let expected = format!(
                "one number from 1 on for each of student.num_hidden_layers ({})",
                self.num_hidden_layers
            );
            let problem = Problem::new("student.teacher_layers", expected, format!("{layers:?}"));
            let holds = layers.len() == self.num_hidden_layers && !layers.contains(&0);
            checker.require_all(
                &["student.num_hidden_layers"],
                holds,
                problem.advise("for example [1, 4] for two of four layers, the first and the last"),
            );
        }
        self.check_lora(checker);
        checker.positive("student.rope_theta", self.rope_theta);
        checker.positive("student.rms_norm_eps", self.rms_norm_eps);
        self.check_heads(checker);
    }

    fn check_lora(&self, checker: &mut Checker) {
        let Some(lora) = &self.lora else { return };
        checker.at_least(1, "student.lora.rank", lora.rank);
        checker.positive("student.lora.alpha", lora.alpha);
        checker.require(
            !lora.projections.is_empty(),
            Problem::new(
                "student.lora.projections",
                "at least one projection",
                "an empty array",
            )
            .advise("for example [\"q_proj\", \"v_proj\"]"),
        );
        for (index, projection) in lora.projections.iter().enumerate() {
            checker.require(
                !lora.projections[..index].contains(projection),
                Problem::new(
                    format!("student.lora.projections.{index}"),
                    "each projection once",
                    format!("{:?} again", projection.name()),
                ),
            );
        }
        let problem = Problem::new(
            "student.lora",
            "no such key, because student.teacher_layers is not given",
            "one",
        );
        checker.require_all(
            &["student.teacher_layers"],
            self.teacher_layers.is_some(),
            problem.advise("adapters change a model a little, and random weights are none: start from the teacher's layers"),
        );
    }

    fn check_heads(&self, checker: &mut Checker) {
        checker.divides(
            ("student.num_attention_heads", self.num_attention_heads),
            ("student.hidden_size", self.hidden_size),
            "Hugging Face Transformers refuses any other Llama configuration",
        );
        checker.divides(
            ("student.num_key_value_heads", self.num_key_value_heads),
            ("student.num_attention_heads", self.num_attention_heads),
            "every key and value head serves the same number of query heads",
        );
        checker.require(
            self.head_dim.is_multiple_of(2),
            Problem::new("student.head_dim", "an even number", self.head_dim)
                .advise("rotary positions turn pairs of values"),
        );
    }
}
