//! A repeated comparison: distilled against hard labels, several seeds, one search for both arms.

mod plot;
mod table;

use std::collections::BTreeMap;

use alambic_distill::trainer::{Metrics, read_metrics};
use serde::{Deserialize, Serialize};

use super::recipe::{ExperimentSection, LoadedRecipe};
use super::report::{Arm, Statistic};
use super::stages::{
    Likelihood, Plan, TrainedArm, capture_caches, check_trains, measure_likelihood, train_one_arm,
};
use super::{PipelineError, RunOptions};

/// One side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// The recipe's objective.
    Distilled,
    /// Hard labels alone, for the same tokens.
    HardLabelsEqualTokens,
    /// Hard labels alone, for the distilled side's wall-clock, its capture counted in.
    HardLabelsEqualTime,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Distilled => "distilled",
            Self::HardLabelsEqualTokens => "hard_labels_equal_tokens",
            Self::HardLabelsEqualTime => "hard_labels_equal_time",
        }
    }

    fn arm(self) -> Arm {
        match self {
            Self::Distilled => Arm::Distilled,
            Self::HardLabelsEqualTokens | Self::HardLabelsEqualTime => Arm::HardLabels,
        }
    }
}

/// One trained and measured student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContenderRun {
    /// Which side.
    pub contender: Contender,
    /// Seed of weights and data order.
    pub seed: u64,
    /// Peak learning rate, from the search.
    pub learning_rate: f64,
    /// Optimizer steps.
    pub steps: u64,
    /// Labels trained on.
    pub tokens: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Nats per token on the test split.
    pub nll: f64,
    /// Bits per byte of the test split.
    pub bits_per_byte: f64,
    /// Nats per token to the teacher's whole distribution on the test split; none between unlike tokenizers.
    pub kl_to_teacher: Option<f64>,
    /// Share of test labels whose most likely token is the teacher's; none between unlike tokenizers.
    pub top1_agreement: Option<f64>,
}

/// What an experiment found; `experiment.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The recipe's name.
    pub title: String,
    /// The teacher's nats per token on the test split, of its own tokens.
    pub teacher_nll: f64,
    /// The teacher's bits per byte of the test split.
    pub teacher_bits_per_byte: f64,
    /// Seconds of capture, spent once for all seeds and counted in full for every one of them.
    pub capture_seconds: f64,
    /// Validation NLL by arm and learning rate.
    pub search: BTreeMap<String, Vec<(f64, f64)>>,
    /// Every run.
    pub runs: Vec<ContenderRun>,
}

impl Experiment {
    /// Mean and sample standard deviation of a figure over the seeds of a contender.
    pub fn statistic(
        &self,
        contender: Contender,
        figure: fn(&ContenderRun) -> Option<f64>,
    ) -> Option<Statistic> {
        let values: Vec<f64> = self
            .runs
            .iter()
            .filter(|run| run.contender == contender)
            .filter_map(figure)
            .collect();
        Statistic::of(&values)
    }
}

/// Searches, trains and measures everything that `[experiment]` asks for.
///
/// Writes `experiment.json`, `experiment.md` and `experiment.svg` into `options.out`. Every finished run is found
/// again; the test split is read once per student, after all training.
///
/// # Errors
/// [`PipelineError::Input`] without an `[experiment]` section, and the errors of the stages.
pub fn experiment(
    recipe: &LoadedRecipe,
    options: &RunOptions,
) -> Result<Experiment, PipelineError> {
    let Some(section) = recipe.recipe.experiment.clone() else {
        return Err(PipelineError::Input {
            what: recipe.name.clone(),
            expected: "a section [experiment] with seeds and learning_rates".into(),
            found: "none".into(),
            advice: "configs/stories260k_to_stories90k.toml has one".into(),
        });
    };
    check_trains(recipe, &options.device)?;
    let options = &options.with_absolute_out()?;
    let base = Plan::open(recipe, options)?;
    let capture_seconds = capture_caches(&base)?;
    let lab = Laboratory {
        recipe,
        options,
        section: &section,
        base: &base,
    };
    let (mut search, mut rates) = (BTreeMap::new(), BTreeMap::new());
    for contender in [Contender::Distilled, Contender::HardLabelsEqualTokens] {
        let (best, tried) = lab.search(contender)?;
        rates.insert(contender.arm(), best);
        search.insert(contender.name().to_owned(), tried);
    }
    let trained = lab.train_all(&rates, capture_seconds)?;
    let teacher = measure_likelihood(&base, None)?;
    let runs = trained
        .into_iter()
        .map(|run| lab.measure(run))
        .collect::<Result<Vec<_>, _>>()?;
    let experiment = Experiment {
        title: base.title.clone(),
        teacher_nll: teacher.evaluation.nll(),
        teacher_bits_per_byte: teacher.bits_per_byte(),
        capture_seconds,
        search,
        runs,
    };
    base.directory.write_json("experiment.json", &experiment)?;
    base.directory
        .write("experiment.md", experiment.table().as_bytes())?;
    base.directory
        .write("experiment.svg", experiment.plot()?.as_bytes())?;
    Ok(experiment)
}

/// A student that is trained and waits for the test split.
struct Trained {
    contender: Contender,
    seed: u64,
    learning_rate: f64,
    plan: Plan,
    facts: TrainedArm,
}

struct Laboratory<'a> {
    recipe: &'a LoadedRecipe,
    options: &'a RunOptions,
    section: &'a ExperimentSection,
    base: &'a Plan,
}

impl Laboratory<'_> {
    /// The recipe with another seed, rate and length, in a directory of its own, on the shared cache.
    fn plan(&self, name: &str, seed: u64, rate: f64, steps: usize) -> Result<Plan, PipelineError> {
        let mut recipe = self.recipe.clone();
        recipe.recipe.seed = seed;
        recipe.recipe.optimizer.learning_rate = rate;
        recipe.recipe.training.total_steps = steps;
        if let Some(cache) = &mut recipe.recipe.cache {
            cache.path = Some(self.base.cache_path());
        }
        let options = RunOptions {
            out: self.options.out.join("runs").join(name),
            ..self.options.clone()
        };
        Plan::open(&recipe, &options)
    }

    /// The best learning rate, and the validation NLL of every one, on the first seed.
    ///
    /// A single rate is the best without a trial.
    fn search(&self, contender: Contender) -> Result<(f64, Vec<(f64, f64)>), PipelineError> {
        let seed = self.section.seeds[0];
        let steps = self
            .section
            .search_steps
            .unwrap_or(self.recipe.recipe.training.total_steps);
        let rates = &self.section.learning_rates;
        let mut tried = Vec::new();
        if let [rate] = rates[..] {
            return Ok((rate, tried));
        }
        for &rate in rates {
            let name = format!("search-{}-{rate:e}", contender.name());
            let plan = self.plan(&name, seed, rate, steps)?;
            train_one_arm(&plan, contender.arm())?;
            tried.push((rate, last_validation_nll(&plan, contender.arm())?));
        }
        let best = tried.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let best = best.expect("the recipe has at least one rate").0;
        Ok((best, tried))
    }

    fn train_all(
        &self,
        rates: &BTreeMap<Arm, f64>,
        capture_seconds: f64,
    ) -> Result<Vec<Trained>, PipelineError> {
        let mut trained = Vec::new();
        let steps = self.recipe.recipe.training.total_steps;
        for &seed in &self.section.seeds {
            for contender in [Contender::Distilled, Contender::HardLabelsEqualTokens] {
                trained.push(self.train(contender, seed, rates[&contender.arm()], steps)?);
            }
        }
        if self.section.equal_time {
            let steps = self.equal_time_steps(&trained, capture_seconds);
            for &seed in &self.section.seeds {
                let rate = rates[&Arm::HardLabels];
                trained.push(self.train(Contender::HardLabelsEqualTime, seed, rate, steps)?);
            }
        }
        Ok(trained)
    }

    /// Steps of hard labels in the distilled side's time: capture and training, averaged over seeds.
    fn equal_time_steps(&self, trained: &[Trained], capture_seconds: f64) -> usize {
        let mean = |contender: Contender| {
            let of_side = trained.iter().filter(|run| run.contender == contender);
            let seconds: Vec<f64> = of_side.map(|run| run.facts.seconds).collect();
            seconds.iter().sum::<f64>() / seconds.len().max(1) as f64
        };
        let budget = capture_seconds + mean(Contender::Distilled);
        let per_step =
            mean(Contender::HardLabelsEqualTokens) / self.recipe.recipe.training.total_steps as f64;
        (budget / per_step).round().max(1.0) as usize
    }

    fn train(
        &self,
        contender: Contender,
        seed: u64,
        rate: f64,
        steps: usize,
    ) -> Result<Trained, PipelineError> {
        let plan = self.plan(
            &format!("{}-seed{seed}", contender.name()),
            seed,
            rate,
            steps,
        )?;
        let facts = train_one_arm(&plan, contender.arm())?;
        Ok(Trained {
            contender,
            seed,
            learning_rate: rate,
            plan,
            facts,
        })
    }

    fn measure(&self, run: Trained) -> Result<ContenderRun, PipelineError> {
        let likelihood = measure_likelihood(&run.plan, Some(run.contender.arm()))?;
        let Likelihood { evaluation, .. } = &likelihood;
        Ok(ContenderRun {
            contender: run.contender,
            seed: run.seed,
            learning_rate: run.learning_rate,
            steps: run.facts.steps,
            tokens: run.facts.tokens,
            seconds: run.facts.seconds,
            nll: evaluation.nll(),
            bits_per_byte: likelihood.bits_per_byte(),
            kl_to_teacher: evaluation.kl_to_teacher(),
            top1_agreement: evaluation.top1_agreement(),
        })
    }
}

/// The validation NLL after the last step.
fn last_validation_nll(plan: &Plan, arm: Arm) -> Result<f64, PipelineError> {
    let metrics = read_metrics(&plan.metrics_path(arm))?;
    let last = metrics.iter().rev().find_map(|metrics| match metrics {
        Metrics::Validation(validation) => Some(validation.nll),
        Metrics::Step(_) => None,
    });
    last.ok_or_else(|| PipelineError::Input {
        what: plan.metrics_path(arm).display().to_string(),
        expected: "a reading of the validation split".into(),
        found: "none".into(),
        advice: "hold documents out with data.validation_fraction".into(),
    })
}
