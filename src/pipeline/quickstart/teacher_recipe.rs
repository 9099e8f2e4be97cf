//! How the embedded teacher was made, as anyone can make it again.

use serde::Deserialize;

use crate::pipeline::recipe::{
    OptimizerSection, ScheduleSection, StudentSection, TextbookSection, TrainingSection,
};

/// `configs/quickstart_teacher.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TeacherRecipe {
    /// Decides weights and the order of the data.
    pub(super) seed: u64,
    /// The tokenizer.
    pub(super) tokenizer: TokenizerSection,
    /// The text.
    pub(super) textbook: TextbookSection,
    /// The shape of the teacher.
    pub(super) model: StudentSection,
    /// How gradients become steps.
    pub(super) optimizer: OptimizerSection,
    /// The learning rate over the steps.
    pub(super) schedule: ScheduleSection,
    /// How much is trained.
    pub(super) training: TrainingSection,
}

/// A byte-level BPE tokenizer trained on the textbook.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenizerSection {
    /// Tokens, the 256 bytes and the special tokens included.
    pub(super) vocab_size: usize,
    /// Items of the training split that merges are learned from.
    pub(super) training_items: u64,
}

impl TeacherRecipe {
    /// The recipe that is part of this build.
    pub(super) fn embedded() -> Self {
        toml::from_str(include_str!("../../../configs/quickstart_teacher.toml"))
            .expect("the embedded recipe is tested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_recipe_is_a_recipe() {
        let recipe = TeacherRecipe::embedded();
        assert!(recipe.training.total_steps > 0);
        let sequence = recipe.training.sequence_tokens;
        assert!(sequence <= recipe.model.max_position_embeddings);
    }
}
