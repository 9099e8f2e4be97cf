//! What a study compares: a TOML file beside a recipe.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::pipeline::PipelineError;
use crate::pipeline::recipe::{LoadedRecipe, Recipe};

/// The content of a study file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StudyDescription {
    /// The recipe that all variants change; relative paths start at the study's directory.
    recipe: PathBuf,
    /// Seeds of weights and data order, each once.
    pub(super) seeds: Vec<u64>,
    /// The name of the variant that the others are measured against.
    pub(super) reference: String,
    /// Optimizer steps' worth of text on which gradients are compared; none if 0.
    pub(super) gradient_windows: usize,
    /// What is compared.
    pub(super) variants: Vec<Variant>,
}

/// One variant of the recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name, different from all others.
    pub name: String,
    /// What it belongs to: variants of one family make one curve.
    pub family: String,
    /// Overrides of the recipe, `key=value`.
    pub set: Vec<String>,
}

impl Variant {
    /// The name as part of a path.
    pub(super) fn directory_name(&self) -> String {
        let words = self.name.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join("-").to_ascii_lowercase()
    }
}

impl StudyDescription {
    /// Reads and checks a study file.
    pub(super) fn load(path: &Path) -> Result<Self, PipelineError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| PipelineError::io("read", path, source))?;
        let mut study = Self::parse(&text, path)?;
        if let Some(directory) = path.parent() {
            study.recipe = directory.join(&study.recipe);
        }
        Ok(study)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, PipelineError> {
        let refuse = |expected: &str, found: String| {
            Err(PipelineError::Input {
                what: path.display().to_string(),
                expected: expected.into(),
                found,
                advice: "configs/studies/target_study.toml is a whole one".into(),
            })
        };
        let study: Self = match toml::from_str(text) {
            Ok(study) => study,
            Err(error) => return refuse("a study", error.to_string()),
        };
        if study.seeds.is_empty() || study.variants.is_empty() {
            return refuse("at least one seed and one variant", "none".into());
        }
        let mut seeds = BTreeSet::new();
        if let Some(seed) = study.seeds.iter().find(|seed| !seeds.insert(**seed)) {
            return refuse("every seed once", format!("{seed} again"));
        }
        let mut names = BTreeSet::from([HARD_LABELS.to_owned()]);
        for variant in &study.variants {
            let name = variant.directory_name();
            if name.is_empty() || !names.insert(name) {
                return refuse(
                    "names that differ in letters and digits from each other and from hard-labels",
                    format!("{:?}", variant.name),
                );
            }
        }
        if !study.variants.iter().any(|v| v.name == study.reference) {
            return refuse("a reference among the variants", study.reference);
        }
        Ok(study)
    }

    /// Refuses to compare gradients of losses between layers, which no cache holds.
    pub(super) fn refuse_live_gradients(
        &self,
        path: &Path,
        recipes: &[LoadedRecipe],
    ) -> Result<(), PipelineError> {
        let mut pairs = self.variants.iter().zip(recipes);
        let live = pairs.find(|(_, loaded)| !loaded.recipe.objective.layer_terms().is_empty());
        match live.filter(|_| self.gradient_windows > 0) {
            None => Ok(()),
            Some((variant, _)) => Err(PipelineError::Input {
                what: format!("gradient_windows of {}", path.display()),
                expected:
                    "0 for recipes with objective.layer_terms, whose gradients need a live teacher"
                        .into(),
                found: format!(
                    "{}, with the variant {:?}",
                    self.gradient_windows, variant.name
                ),
                advice: "set gradient_windows = 0, or leave the layer terms out".into(),
            }),
        }
    }

    /// The recipe of a variant.
    pub(super) fn recipe(
        &self,
        variant: &Variant,
        overrides: &[String],
    ) -> Result<LoadedRecipe, PipelineError> {
        let all = [overrides, &variant.set].concat();
        Recipe::load(&self.recipe, &all).map_err(|source| PipelineError::Variant {
            name: variant.name.clone(),
            source,
        })
    }
}

/// The directory name of the students that no teacher taught.
pub(super) const HARD_LABELS: &str = "hard-labels";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const STUDY: &str = r#"
        recipe = "stories.toml"
        seeds = [1, 2]
        reference = "Top 50"
        gradient_windows = 0
        [[variants]]
        name = "Top 50"
        family = "tail bucket"
        set = ["cache.top_k=50"]
        [[variants]]
        name = "top 12, coarse"
        family = "tail bucket"
        set = []
    "#;

    fn message(from: &str, to: &str) -> String {
        assert!(STUDY.contains(from));
        let text = STUDY.replace(from, to);
        let error = StudyDescription::parse(&text, Path::new("study.toml")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_study_is_read() {
        let study = StudyDescription::parse(STUDY, Path::new("study.toml")).unwrap();
        assert_eq!(study.seeds, [1, 2]);
        let names: Vec<_> = study.variants.iter().map(Variant::directory_name).collect();
        assert_eq!(names, ["top-50", "top-12-coarse"]);
    }

    #[test]
    fn every_study_of_the_repository_and_all_its_recipes_load() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/studies");
        let mut loaded = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let study = StudyDescription::load(&entry.unwrap().path()).unwrap();
            for variant in &study.variants {
                study.recipe(variant, &[]).unwrap();
                loaded += 1;
            }
        }
        assert!(loaded > 0);
    }

    #[test]
    fn a_variant_without_a_valid_recipe_is_named() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("configs/studies/target_study.toml");
        let study = StudyDescription::load(&path).unwrap();
        let variant = Variant {
            name: "none at all".into(),
            family: String::new(),
            set: vec!["cache.top_k=0".into()],
        };
        let error = study.recipe(&variant, &[]).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains("\"none at all\""));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("cache.top_k"), "{cause}");
    }

    #[test]
    fn gradients_that_need_a_live_teacher_are_refused_at_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("configs/studies/target_study.toml");
        let mut study = StudyDescription::load(&path).unwrap();
        let layers = "objective.layer_terms=[{ kind = 'hidden_cosine', weight = 1, layers = [{ student = 1, teacher = 1 }] }]";
        study.variants.truncate(2);
        study.variants[1].set.push(layers.into());
        let recipes: Vec<LoadedRecipe> = study
            .variants
            .iter()
            .map(|variant| study.recipe(variant, &[]).unwrap())
            .collect();
        let error = study.refuse_live_gradients(&path, &recipes).unwrap_err();
        assert!(
            error.to_string().contains(&study.variants[1].name),
            "{error}"
        );
        study.gradient_windows = 0;
        study.refuse_live_gradients(&path, &recipes).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, expected) in [
            ("[1, 2]", "[]", "at least one seed"),
            ("[1, 2]", "[2, 2]", "every seed once, found 2 again"),
            ("top 12, coarse", "top-50", "names that differ"),
            ("top 12, coarse", "Hard labels", "found \"Hard labels\""),
            (
                "reference = \"Top 50\"",
                "reference = \"Top 5\"",
                "a reference among",
            ),
            ("seeds", "seed", "unknown field `seed`"),
        ] {
            let message = message(from, to);
            assert!(message.contains(expected), "{message}");
        }
    }
}
