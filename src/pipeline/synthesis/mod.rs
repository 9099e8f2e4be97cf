//! From prompts to a dataset: strategies, answers, checks, conversations.

mod filters;
mod log_probs;
mod picture;
mod recipe;
mod report;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic_distill::StopHandle;
use alambic_synth::{
    AnswerRecord, AnswerRequest, AnswerRun, AnswerWriter, CheckedAnswer, DatasetCard,
    EarlierFailures, Outcome, Plan, Prompt, Rubric, RunEnd, RunPolicy, RunSummary, Strategy,
    StrategyMap, StrategyTrial, TextbookGrid, check_answers, keep_answers, shipped_rubric,
    shipped_strategies, shipped_strategy, write_conversations,
};
use burn::tensor::Device;

use self::writer::Writer;
use super::{PipelineError, Progress};

pub use log_probs::LogProbCounts;
pub use recipe::{
    AnswerSection, EvaluationSet, GridPrompts, JudgeSection, LogProbSection, StrategySection,
    SynthesisRecipe, TeacherSource, TextbookPrompts, TrialSection,
};
pub use report::SynthesisReport;

/// Directories of the answers inside of the output directory.
const ANSWERS: &str = "answers";
const TRIAL: &str = "trial";
const JUDGE: &str = "judge";

/// Reasons of so many failures are told at once; all of them are recorded.
const TOLD_FAILURES: usize = 5;

/// How a synthesis goes on, apart from its recipe.
pub struct SynthesisOptions {
    /// The directory of answers and dataset; the same directory goes on.
    pub out: PathBuf,
    /// Where models in this process run.
    pub device: Device,
    /// What is done about requests that failed for good earlier.
    pub earlier_failures: EarlierFailures,
    /// Ends it: what is under way is finished.
    pub stop: StopHandle,
    /// Hears of everything.
    pub progress: Arc<dyn Progress>,
}

/// Makes the dataset of a recipe, or goes on with it.
///
/// Every answer is on disk before it is counted, so that an interrupted synthesis goes on where it ended. The dataset is written once all
/// answers are there; until then the report says what is missing.
///
/// # Errors
/// [`PipelineError::Synth`] and [`PipelineError::Input`] for what cannot work; answers that are there stay.
pub fn synthesize(
    recipe: &SynthesisRecipe,
    options: &SynthesisOptions,
) -> Result<SynthesisReport, PipelineError> {
    recipe.validate()?;
    recipe.check.validate()?;
    if let Some(filters) = &recipe.filters {
        filters.validate()?;
    }
    let synthesis = Synthesis { recipe, options };
    let prompts = synthesis.prompts()?;
    let mut report = SynthesisReport::new(recipe, prompts.len());
    let Some(plan) = synthesis.plan(&prompts, &mut report)? else {
        return Ok(report);
    };
    let requests = plan.requests(&prompts)?;
    let (summary, records) = synthesis.ask(ANSWERS, &recipe.teacher, requests)?;
    report.answers = Some(summary);
    if summary.end != RunEnd::Complete {
        return Ok(report);
    }
    let mut checked = check_answers(&prompts, records, &recipe.check);
    if let Some(judge) = &recipe.judge
        && !synthesis.judge(judge, &prompts, &mut checked, &mut report)?
    {
        return Ok(report);
    }
    let mut kept = keep_answers(&prompts, &mut checked, recipe.answers.keep, &recipe.erase);
    if let Some(config) = &recipe.filters {
        report.filters = Some(filters::apply(config, &recipe.evaluation_sets, &mut kept)?);
    }
    let card = DatasetCard::new(&recipe.name, &prompts, &checked, &kept);
    let path = write_conversations(&options.out, recipe.format, &kept)?;
    if let Some(section) = &recipe.log_probs {
        report.log_probs = Some(log_probs::write(section, &checked, &kept, &options.out)?);
    }
    report.finish(&options.out, path, card, &kept)?;
    Ok(report)
}

/// A recipe and how it goes on.
struct Synthesis<'a> {
    recipe: &'a SynthesisRecipe,
    options: &'a SynthesisOptions,
}

impl Synthesis<'_> {
    fn prompts(&self) -> Result<Vec<Prompt>, PipelineError> {
        let mut prompts = Vec::new();
        for files in &self.recipe.prompts {
            prompts.extend(files.read()?);
        }
        if let Some(settings) = &self.recipe.textbook {
            let textbook = writer::textbook(settings)?;
            prompts.extend(Prompt::of_textbook(
                &textbook,
                settings.problems,
                &settings.source,
            ));
        }
        if let Some(settings) = &self.recipe.grid {
            let grid = match &settings.file {
                Some(file) => TextbookGrid::from_file(file)?,
                None => TextbookGrid::shipped()?,
            };
            let chosen = grid
                .prompts(settings.seed)
                .into_iter()
                .take(settings.prompts);
            prompts.extend(chosen.map(|prompt| Prompt::of_grid(prompt, &settings.source)));
        }
        match prompts.is_empty() {
            false => Ok(prompts),
            true => Err(PipelineError::Input {
                what: "the recipe".into(),
                expected: "prompts".into(),
                found: "none".into(),
                advice: "add [[prompts]] with files, [textbook] or [grid]".into(),
            }),
        }
    }

    /// How prompts become requests; None if a trial of strategies is not finished.
    fn plan(
        &self,
        prompts: &[Prompt],
        report: &mut SynthesisReport,
    ) -> Result<Option<Plan>, PipelineError> {
        let answers = &self.recipe.answers;
        let mut plan = Plan {
            map: None,
            strategies: BTreeMap::new(),
            samples: answers.samples,
            sampling: answers.sampling.clone(),
        };
        let Some(section) = &self.recipe.strategies else {
            return Ok(Some(plan));
        };
        plan.strategies = strategies(section)?;
        plan.map = Some(match (&section.map, &section.map_file, &section.trial) {
            (Some(map), None, None) => map.clone(),
            (None, Some(file), None) => StrategyMap::from_file(file)?,
            (None, None, Some(trial)) => {
                match self.trial(trial, &plan.strategies, prompts, report)? {
                    Some(map) => map,
                    None => return Ok(None),
                }
            }
            _ => {
                return Err(PipelineError::Input {
                    what: "strategies".into(),
                    expected: "one of `map`, `map_file` and `trial`".into(),
                    found: "none or several".into(),
                    advice: "keep one of them".into(),
                });
            }
        });
        Ok(Some(plan))
    }

    /// The map that a trial leads to; None if it is not finished.
    fn trial(
        &self,
        trial: &TrialSection,
        known: &BTreeMap<String, Strategy>,
        prompts: &[Prompt],
        report: &mut SynthesisReport,
    ) -> Result<Option<StrategyMap>, PipelineError> {
        let named = trial.strategies.iter().map(|name| match known.get(name) {
            Some(strategy) => Ok(strategy.clone()),
            None => Ok(shipped_strategy(name)?),
        });
        let tried = named.collect::<Result<Vec<_>, PipelineError>>()?;
        let prompts = StrategyTrial::prompts(prompts, trial.prompts_per_kind)?;
        let requests = StrategyTrial::requests(&prompts, &tried, &self.recipe.answers.sampling);
        let (summary, records) = self.ask(TRIAL, &self.recipe.teacher, requests)?;
        report.trial_answers = Some(summary);
        if summary.end != RunEnd::Complete {
            return Ok(None);
        }
        let checked = check_answers(&prompts, records, &self.recipe.check);
        let trial = StrategyTrial::new(&prompts, &tried, &checked);
        let map = trial.map();
        report.trial = Some(trial);
        Ok(Some(map))
    }

    /// Adds the judge's verdicts to the answers that pass; false if not all judgements are there.
    fn judge(
        &self,
        judge: &JudgeSection,
        prompts: &[Prompt],
        checked: &mut [CheckedAnswer],
        report: &mut SynthesisReport,
    ) -> Result<bool, PipelineError> {
        let rubric = match shipped_rubric(&judge.rubric) {
            Ok(rubric) => rubric,
            Err(_) if judge.rubric.ends_with(".toml") => {
                Rubric::from_file(Path::new(&judge.rubric))?
            }
            Err(error) => return Err(error.into()),
        };
        let passing: Vec<usize> = (0..checked.len())
            .filter(|&it| checked[it].passes())
            .collect();
        let requests = passing.iter().map(|&place| {
            let answer = &checked[place];
            let text = answer.text().unwrap_or_default();
            let request = &answer.record.delivery.request;
            rubric.request(&prompts[answer.prompt], request, text, &judge.sampling)
        });
        let requests = requests.collect::<Result<Vec<_>, _>>()?;
        let (summary, records) = self.ask(JUDGE, &judge.teacher, requests)?;
        report.judgements = Some(summary);
        if summary.end != RunEnd::Complete {
            return Ok(false);
        }
        for (place, record) in passing.into_iter().zip(records) {
            checked[place]
                .verdicts
                .push(rubric.verdict(&record.delivery.outcome));
        }
        Ok(true)
    }

    /// Lets a writer answer what is missing; the records are there only if the run is complete.
    fn ask(
        &self,
        name: &str,
        teacher: &TeacherSource,
        requests: Vec<AnswerRequest>,
    ) -> Result<(RunSummary, Vec<AnswerRecord>), PipelineError> {
        let options = self.options;
        let progress = &*options.progress;
        let mut run = AnswerRun::open(&options.out.join(name))?;
        let mut writer =
            Writer::open(teacher, self.recipe, run.usage(), &options.device, progress)?;
        progress.stage(name, &writer.identity());
        progress.begin("requests", Some(requests.len() as u64));
        let policy = RunPolicy {
            earlier_failures: options.earlier_failures,
            most_failures_in_a_row: self.recipe.answers.most_failures_in_a_row,
        };
        let mut done =
            run.num_finished(&requests, &writer.identity(), policy.earlier_failures) as u64;
        let mut failures = 0;
        let summary = run.complete(
            requests.clone(),
            &mut writer,
            policy,
            &|| options.stop.is_stopped(),
            &mut |delivery| {
                done += 1;
                progress.advance(done, &delivery.request.prompt);
                if let Outcome::Failure(reason) = &delivery.outcome {
                    failures += 1;
                    if failures <= TOLD_FAILURES {
                        progress.note(&format!("{} failed: {reason}", delivery.request.prompt));
                    }
                }
            },
        );
        progress.end();
        let summary = summary?;
        if summary.end != RunEnd::Complete {
            return Ok((summary, Vec::new()));
        }
        let records = run.records(&requests, &writer.identity())?;
        Ok((summary, records.into_iter().flatten().collect()))
    }
}

/// The strategies that come with Alambic, and those of the recipe, which may take their names.
fn strategies(section: &StrategySection) -> Result<BTreeMap<String, Strategy>, PipelineError> {
    let mut strategies = BTreeMap::new();
    for name in shipped_strategies() {
        strategies.insert(name.to_owned(), shipped_strategy(name)?);
    }
    for file in &section.files {
        let strategy = Strategy::from_file(file)?;
        strategies.insert(strategy.name.clone(), strategy);
    }
    Ok(strategies)
}
