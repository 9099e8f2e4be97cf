//! A study: variants of one recipe, several seeds each, trained alike and measured on one test split.

mod description;
mod plot;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alambic_cache::CacheReader;
use alambic_distill::{GradientFidelity, Teaching, gradient_fidelity};
use alambic_transformer::load_checkpoint;
use serde::{Deserialize, Serialize};

pub use self::description::Variant;
use self::description::{HARD_LABELS, StudyDescription};
use super::recipe::{LoadedRecipe, Recipe};
use super::report::{Arm, Statistic};
use super::run_directory::RunDirectory;
use super::stages::{Plan, capture_caches, check_trains, measure_likelihood, train_one_arm};
use super::{PipelineError, RunOptions};

/// One trained and measured student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyRun {
    /// Name of the variant; `None` for hard labels.
    pub variant: Option<String>,
    /// Seed of weights and data order.
    pub seed: u64,
    /// Labels trained on.
    pub tokens: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Nats per token on the test split.
    pub nll: f64,
    /// Nats per token to the teacher's whole distribution on the test split.
    pub kl_to_teacher: f64,
    /// Share of test labels whose most likely token is the teacher's.
    pub top1_agreement: f64,
}

/// A variant, what its cache takes, and how its gradients compare with the reference's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudiedVariant {
    /// The variant as it was described.
    pub variant: Variant,
    /// Bytes per token of the training cache's shards, everything in them included.
    pub bytes_per_token: f64,
    /// Bytes of the teacher's head beside the shards, 0 for targets that need none.
    pub head_bytes: u64,
    /// Cosine of the angle to the reference's gradient, one for each window.
    pub gradient_cosines: Vec<f64>,
    /// Norm of the gradient divided by that of the reference's, one for each window.
    pub gradient_norm_ratios: Vec<f64>,
}

/// What a study found; `study.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// The recipe's name.
    pub title: String,
    /// The variant that the others are measured against.
    pub reference: String,
    /// The teacher's nats per token on the test split.
    pub teacher_nll: f64,
    /// What was compared.
    pub variants: Vec<StudiedVariant>,
    /// Every run.
    pub runs: Vec<StudyRun>,
}

impl Study {
    /// Mean and sample standard deviation of a figure over the seeds of a variant, or of hard labels.
    pub fn statistic(
        &self,
        variant: Option<&str>,
        figure: impl Fn(&StudyRun) -> f64,
    ) -> Option<Statistic> {
        let of_variant = self
            .runs
            .iter()
            .filter(|run| run.variant.as_deref() == variant);
        Statistic::of(&of_variant.map(figure).collect::<Vec<_>>())
    }

    /// Which share of what the reference gains over hard labels a variant keeps, in a figure of which
    /// less is better: 1 for all of it.
    pub fn share_of_gain(&self, variant: &str, figure: fn(&StudyRun) -> f64) -> Option<f64> {
        let mean = |variant| Some(self.statistic(variant, figure)?.mean);
        let (hard, reference) = (mean(None)?, mean(Some(&self.reference))?);
        Some((hard - mean(Some(variant))?) / (hard - reference))
    }
}

/// Captures, trains and measures everything that the study file at `path` asks for.
///
/// Writes `study.json`, `study.md` and `study.svg` into `options.out`. Variants that store the same
/// targets share a cache. Every finished capture and run is found again. `overrides` change the recipe of
/// all variants.
///
/// # Errors
/// [`PipelineError::Input`] for a file that is no study, and the errors of recipes and stages.
pub fn study(
    path: &Path,
    overrides: &[String],
    options: &RunOptions,
) -> Result<Study, PipelineError> {
    let description = StudyDescription::load(path)?;
    let options = &options.with_absolute_out()?;
    let recipes = description
        .variants
        .iter()
        .map(|variant| description.recipe(variant, overrides))
        .collect::<Result<Vec<_>, _>>()?;
    for recipe in &recipes {
        check_trains(recipe, &options.device)?;
    }
    refuse_live_answers(path, &recipes)?;
    refuse_paths(path, &recipes)?;
    description.refuse_live_gradients(path, &recipes)?;
    let lab = Laboratory {
        caches: shared_caches(&description, &recipes),
        description: &description,
        recipes: &recipes,
        options,
    };
    let mut runs = Vec::new();
    for &seed in &description.seeds {
        runs.push(lab.run(None, seed)?);
        for variant in 0..description.variants.len() {
            runs.push(lab.run(Some(variant), seed)?);
        }
    }
    let variants = (0..description.variants.len())
        .map(|variant| lab.studied(variant))
        .collect::<Result<_, _>>()?;
    let plan = lab.plan(None, description.seeds[0])?;
    let study = Study {
        title: plan.title.clone(),
        reference: description.reference.clone(),
        teacher_nll: measure_likelihood(&plan, None)?.evaluation.nll(),
        variants,
        runs,
    };
    let directory = RunDirectory::create(&options.out)?;
    directory.write_json("study.json", &study)?;
    directory.write("study.md", study.table().as_bytes())?;
    directory.write("study.svg", study.plot()?.as_bytes())?;
    Ok(study)
}

/// Refuses recipes without a cache: a study compares what caches store.
fn refuse_live_answers(path: &Path, recipes: &[LoadedRecipe]) -> Result<(), PipelineError> {
    match recipes.iter().any(|loaded| loaded.recipe.cache.is_none()) {
        false => Ok(()),
        true => Err(PipelineError::Input {
            what: format!("a recipe of {}", path.display()),
            expected: "a section [cache]: a study compares what caches store".into(),
            found: "student.tokenizer, with a teacher that answers while the student trains".into(),
            advice: "compare such students by `alambic experiment`".into(),
        }),
    }
}

/// Refuses recipes that place their cache themselves: a study does.
fn refuse_paths(path: &Path, recipes: &[LoadedRecipe]) -> Result<(), PipelineError> {
    let placed = recipes
        .iter()
        .find_map(|loaded| loaded.recipe.cache.as_ref()?.path.as_ref());
    placed.map_or(Ok(()), |found| {
        Err(PipelineError::Input {
            what: format!("cache.path of a recipe of {}", path.display()),
            expected: "no such key: a study keeps its caches in its own directory".into(),
            found: found.display().to_string(),
            advice: "remove it; cache.reuse takes what other caches hold".into(),
        })
    })
}

/// For each variant the directory name of the first one that stores the same.
fn shared_caches(description: &StudyDescription, recipes: &[LoadedRecipe]) -> Vec<String> {
    let mut first = BTreeMap::new();
    recipes
        .iter()
        .zip(&description.variants)
        .map(|(loaded, variant)| {
            let name = variant.directory_name();
            first
                .entry(what_is_stored(&loaded.recipe))
                .or_insert(name)
                .clone()
        })
        .collect()
}

/// Everything in a recipe that decides its cache.
fn what_is_stored(recipe: &Recipe) -> String {
    let Recipe {
        data,
        teacher,
        cache,
        objective,
        training,
        ..
    } = recipe;
    // Documents are cut into segments of this length.
    let length = training.sequence_tokens;
    // Draws are made at the temperature of the objective.
    let draws = cache.as_ref().and_then(|cache| cache.draws);
    let temperature = draws.map(|_| objective.temperature);
    format!("{data:?} {teacher:?} {cache:?} {temperature:?} {length}")
}

struct Laboratory<'a> {
    description: &'a StudyDescription,
    recipes: &'a [LoadedRecipe],
    /// The name of the cache of each variant.
    caches: Vec<String>,
    options: &'a RunOptions,
}

impl Laboratory<'_> {
    /// The recipe of a variant, or of the first one for hard labels, with a seed, in a directory of
    /// its own, on the shared cache.
    fn plan(&self, variant: Option<usize>, seed: u64) -> Result<Plan, PipelineError> {
        let mut recipe = self.recipes[variant.unwrap_or(0)].clone();
        let name = match variant {
            None => HARD_LABELS.to_owned(),
            Some(variant) => self.description.variants[variant].directory_name(),
        };
        let out = &self.options.out;
        let cache = out.join("caches").join(&self.caches[variant.unwrap_or(0)]);
        let section = recipe.recipe.cache.as_mut();
        section.expect("recipes without a cache were refused").path = Some(cache);
        recipe.recipe.seed = seed;
        let options = RunOptions {
            out: out.join("runs").join(format!("{name}-seed{seed}")),
            ..self.options.clone()
        };
        Plan::open(&recipe, &options)
    }

    /// Trains and measures one student, or finds it measured.
    fn run(&self, variant: Option<usize>, seed: u64) -> Result<StudyRun, PipelineError> {
        const FIGURES: &str = "figures.json";
        let plan = self.plan(variant, seed)?;
        let name = variant.map(|variant| self.description.variants[variant].name.clone());
        if let Some(run) = plan.directory.read_json::<StudyRun>(FIGURES)? {
            // A variant may have been given another name since.
            return Ok(StudyRun {
                variant: name,
                ..run
            });
        }
        let arm = match variant {
            None => Arm::HardLabels,
            Some(_) => Arm::Distilled,
        };
        capture_caches(&plan)?;
        let facts = train_one_arm(&plan, arm)?;
        let evaluation = measure_likelihood(&plan, Some(arm))?.evaluation;
        let run = StudyRun {
            variant: name,
            seed,
            tokens: facts.tokens,
            seconds: facts.seconds,
            nll: evaluation.nll(),
            kl_to_teacher: beside_teacher(evaluation.kl_to_teacher()),
            top1_agreement: beside_teacher(evaluation.top1_agreement()),
        };
        plan.directory.write_json(FIGURES, &run)?;
        Ok(run)
    }

    /// The size of a variant's cache and its gradients at the first student of hard labels.
    fn studied(&self, variant: usize) -> Result<StudiedVariant, PipelineError> {
        let seed = self.description.seeds[0];
        let plan = self.plan(Some(variant), seed)?;
        let cache = CacheReader::open(plan.cache("train"))?;
        let fidelities = match self.description.gradient_windows {
            0 => Vec::new(),
            num_windows => self.fidelities(plan, num_windows)?,
        };
        Ok(StudiedVariant {
            variant: self.description.variants[variant].clone(),
            bytes_per_token: cache.info().bytes_per_token,
            head_bytes: cache
                .teacher_head()?
                .map_or(0, |head| 4 * head.weight().len() as u64),
            gradient_cosines: fidelities.iter().map(|found| found.cosine).collect(),
            gradient_norm_ratios: fidelities.iter().map(|found| found.norm_ratio).collect(),
        })
    }

    /// The gradients of a plan's variant beside the reference's.
    fn fidelities(
        &self,
        plan: Plan,
        num_windows: usize,
    ) -> Result<Vec<GradientFidelity>, PipelineError> {
        let seed = self.description.seeds[0];
        let directory = self.options.out.join("runs");
        let directory = directory.join(format!("{HARD_LABELS}-seed{seed}/baseline"));
        let student = load_checkpoint(&directory, &self.options.device)?.decoder;
        let judged = teaching(&plan)?;
        let config = plan
            .training()
            .trainer_config(judged.objective.clone(), plan.pad_id());
        // The reference may be the variant itself, whose directory this plan holds.
        drop(plan);
        let name = &self.description.reference;
        let mut variants = self.description.variants.iter();
        let reference = variants.position(|variant| &variant.name == name);
        let reference = teaching(&self.plan(reference, seed)?)?;
        let windows = &config.windows;
        Ok(gradient_fidelity(
            &student,
            &judged,
            &reference,
            windows,
            num_windows,
        )?)
    }
}

/// A figure of a student that was measured beside its teacher.
fn beside_teacher(figure: Option<f64>) -> f64 {
    figure.expect("students are measured beside their teacher")
}

fn teaching(plan: &Plan) -> Result<Teaching, PipelineError> {
    Ok(Teaching {
        objective: plan.recipe.objective.objective()?,
        source: Arc::new(CacheReader::open(plan.cache("train"))?),
    })
}
