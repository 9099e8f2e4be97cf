//! The recipe: one TOML file that names a whole experiment.
//!
//! A [`Recipe`] is plain data. [`Recipe::load`] reads it from a file, puts `key.path=value`
//! overrides over it, resolves relative paths and validates it. It never stops at the first
//! mistake: a [`RecipeError`] lists every unknown key, missing key, misfit and contradiction, each
//! with its key path, its line and column, what was expected and what was found.
//!
//! There are no hidden defaults: a key is either written or named optional here.

mod assignment;
mod cache;
mod check;
mod data;
mod error;
mod evaluation;
mod experiment;
mod layer_terms;
mod load;
mod nearest_key;
mod objective;
mod optimizer;
mod problem;
mod schedule;
mod settings;
mod shape;
mod source_tree;
mod student;
mod student_tokenizer;
mod teacher;
#[cfg(test)]
mod tests;
mod textbook;
mod training;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::check::Checker;

pub use self::cache::CacheSection;
pub use self::data::{
    ChatTemplateSource, DataFormat, DataSection, EndOfText, OverLength, PromptErasure,
    TEACHER_CHAT_TEMPLATE,
};
pub use self::error::{RecipeError, SyntaxFault};
pub use self::evaluation::EvaluationSection;
pub use self::experiment::ExperimentSection;
pub(in crate::pipeline) use self::layer_terms::check_against_teacher;
pub use self::load::{LoadedRecipe, RecipeText};
pub use self::objective::ObjectiveSection;
pub use self::optimizer::{OptimizerKind, OptimizerSection};
pub use self::problem::{Location, Problem};
pub use self::schedule::{ScheduleKind, ScheduleSection};
pub(in crate::pipeline) use self::settings::Settings;
pub use self::student::{STUDENT_INITIALIZER_RANGE, StudentSection};
pub use self::teacher::TeacherSection;
pub use self::textbook::TextbookSection;
pub use self::training::{BaselineSection, HeadPassKind, TrainingSection};

/// A whole experiment: data, teacher, student and how the one learns from the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Decides weights, order of the data and sampling.
    pub seed: u64,
    /// The documents.
    pub data: DataSection,
    /// The large model.
    pub teacher: TeacherSection,
    /// What is kept of the teacher's answers; not for a student with a tokenizer of its own.
    pub cache: Option<CacheSection>,
    /// The small model.
    pub student: StudentSection,
    /// What the student minimises.
    pub objective: ObjectiveSection,
    /// How gradients become steps.
    pub optimizer: OptimizerSection,
    /// The learning rate over the steps.
    pub schedule: ScheduleSection,
    /// How much is trained.
    pub training: TrainingSection,
    /// The same student without a teacher.
    pub baseline: BaselineSection,
    /// What is measured and shown at the end.
    pub evaluation: EvaluationSection,
    /// Seeds and rates of a repeated comparison; only `alambic experiment` needs it.
    pub experiment: Option<ExperimentSection>,
}

impl Recipe {
    /// Checks every value and every pair of values that must agree.
    ///
    /// [`Recipe::load`] has done this already; it is for recipes built or changed in code. The
    /// problems have no location. Files are not looked at: that is the work of `alambic doctor`.
    ///
    /// # Errors
    /// Every problem, in the order of the sections.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let problems = self.problems(&BTreeSet::new());
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// Writes out what the recipe leaves to its documented default.
    fn resolve_defaults(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.resolve();
            self.objective.resolve_tail(cache);
        }
        self.objective.resolve();
        self.training.resolve();
    }

    /// Everything that is wrong, except with the keys known to be broken.
    fn problems(&self, broken: &BTreeSet<String>) -> Vec<Problem> {
        let mut checker = Checker::new(broken);
        let max_positions = self.student.max_position_embeddings;
        self.data.check(&mut checker);
        self.teacher.check(&mut checker);
        if let Some(cache) = &self.cache {
            cache.check(&mut checker);
        }
        self.student.check(&mut checker);
        self.objective
            .check(self.training.total_steps, self.cache.as_ref(), &mut checker);
        layer_terms::check(self, &mut checker);
        student_tokenizer::check(self, &mut checker);
        if let Some(cache) = &self.cache {
            cache.check_against(&self.objective.terms, &mut checker);
        }
        self.optimizer.check(&mut checker);
        self.schedule.check(self.training.total_steps, &mut checker);
        self.training.check(&mut checker);
        self.training
            .check_against(&self.data, max_positions, &mut checker);
        self.evaluation.check(max_positions, &mut checker);
        if let Some(experiment) = &self.experiment {
            experiment.check(self, &mut checker);
        }
        checker.into_problems()
    }

    /// Writes the recipe as TOML that [`Recipe::load`] reads back as the same recipe.
    ///
    /// # Errors
    /// [`RecipeError::Serialize`] for what TOML cannot hold: paths that are not UTF-8 and seeds
    /// above 2⁶³ − 1.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        toml::to_string(self).map_err(|source| RecipeError::Serialize { source })
    }
}
