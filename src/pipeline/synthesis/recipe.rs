//! What a dataset is made from, and how: a TOML file.

use std::path::{Path, PathBuf};

use alambic_synth::{
    Checks, DatasetFormat, EndpointConfig, FilterConfig, Keep, Problems, PromptFiles, Sampling,
    Source, StrategyMap, SynthError,
};
use alambic_text::{PromptErasing, Split};
use serde::{Deserialize, Serialize};

use crate::pipeline::hub::is_hub_path;
use crate::pipeline::recipe::{RecipeError, Settings};

/// What a dataset is made from, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthesisRecipe {
    /// The dataset's name.
    pub name: String,
    /// Prompts of files.
    #[serde(default)]
    pub prompts: Vec<PromptFiles>,
    /// Problems of the textbook as prompts.
    #[serde(default)]
    pub textbook: Option<TextbookPrompts>,
    /// What a textbook could be about, for whom, and in which form: prompts without right answers.
    #[serde(default)]
    pub grid: Option<GridPrompts>,
    /// How the teacher is told to go about the prompts; without it the teacher sees them alone.
    #[serde(default)]
    pub strategies: Option<StrategySection>,
    /// Who answers.
    pub teacher: TeacherSource,
    /// How answers are drawn, and which are kept.
    pub answers: AnswerSection,
    /// Which answers are right. Without checks an answer passes if the teacher ended it.
    #[serde(default)]
    pub check: Checks,
    /// Who judges the answers that pass.
    #[serde(default)]
    pub judge: Option<JudgeSection>,
    /// Which conversations are kept, of those whose answers are.
    #[serde(default)]
    pub filters: Option<FilterConfig>,
    /// Benchmarks whose questions must not be learned; `filters.decontamination` says how they are looked for.
    #[serde(default)]
    pub evaluation_sets: Vec<EvaluationSet>,
    /// Keep what a server says about the tokens of its answers.
    #[serde(default)]
    pub log_probs: Option<LogProbSection>,
    /// What the student sees of the strategies.
    pub erase: PromptErasing,
    /// How the conversations are written.
    pub format: DatasetFormat,
}

/// Problems of the textbook as prompts, their family as their kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextbookPrompts {
    /// Another seed gives other problems.
    pub seed: u64,
    /// Train and validation share templates; test has its own.
    pub split: Split,
    /// How many.
    pub problems: usize,
    /// What they are called, and under which licence they go on.
    pub source: Source,
}

/// Prompts of a grid of topics, audiences and forms; the form is their kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridPrompts {
    /// A grid of your own; the one that comes with Alambic if not given.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Decides which combinations come first.
    pub seed: u64,
    /// How many.
    pub prompts: usize,
    /// What the prompts are called, and under which licence they go on.
    pub source: Source,
}

/// A benchmark in the files of its authors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSet {
    /// A task that comes with Alambic, or a TOML file.
    pub task: String,
    /// Files and directories of its records.
    pub data: Vec<PathBuf>,
}

/// How the teacher is told to go about the prompts. Of `map`, `map_file` and `trial` there is exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategySection {
    /// Strategies of your own, beside those that come with Alambic.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Which strategy a prompt is answered under.
    #[serde(default)]
    pub map: Option<StrategyMap>,
    /// The same as a file of its own.
    #[serde(default)]
    pub map_file: Option<PathBuf>,
    /// Try several, and take the best for each kind.
    #[serde(default)]
    pub trial: Option<TrialSection>,
}

/// Which strategies are tried, and on how many prompts of each kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSection {
    /// Their names; of two that are equally good the first is taken.
    pub strategies: Vec<String>,
    /// Prompts of each kind, whose right answers are known.
    pub prompts_per_kind: usize,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TeacherSource {
    /// A server that speaks OpenAI's protocol.
    Endpoint(Box<EndpointConfig>),
    /// A model in this process.
    Checkpoint {
        /// A directory in the Hugging Face layout with a chat template, or `hub:ORG/NAME@REVISION`.
        path: PathBuf,
        /// Requests at a time.
        batch_requests: usize,
    },
    /// Answers that exist already: lines of `{"prompt": ..., "answer": ...}`.
    File {
        /// The file.
        path: PathBuf,
        /// Who wrote them.
        model: String,
    },
    /// The worked solutions of the textbook's own problems.
    WorkedSolutions,
}

/// How answers are drawn, and which are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerSection {
    /// Answers to each prompt.
    pub samples: u32,
    /// How each is drawn.
    pub sampling: Sampling,
    /// Which of those that pass all checks are kept.
    pub keep: Keep,
    /// So many failures one after the other end the run.
    pub most_failures_in_a_row: usize,
}

/// Who judges the answers that pass, and by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeSection {
    /// A rubric that comes with Alambic, or a TOML file.
    pub rubric: String,
    /// Who judges.
    pub teacher: TeacherSource,
    /// How judgements are drawn.
    pub sampling: Sampling,
}

/// What is kept of what a server says about the tokens of its answers (`top_log_probs` of the endpoint), for
/// `alambic cache convert --from jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProbSection {
    /// A directory with the server's tokenizer and chat template.
    pub tokenizer: PathBuf,
    /// Likely tokens that are kept in each place.
    pub top: usize,
}

impl SynthesisRecipe {
    /// Reads a recipe, and applies overrides; relative paths start at the file's directory.
    ///
    /// # Errors
    /// Those of [`RecipeError`].
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let settings = Settings::<Self>::load(path, overrides)?;
        let mut recipe = settings.value.clone();
        for (place, prompts) in recipe.prompts.iter_mut().enumerate() {
            for (index, file) in prompts.files.iter_mut().enumerate() {
                settings.resolve(file, &format!("prompts.{place}.files.{index}"));
            }
        }
        if let Some(strategies) = &mut recipe.strategies {
            for (index, file) in strategies.files.iter_mut().enumerate() {
                settings.resolve(file, &format!("strategies.files.{index}"));
            }
            if let Some(file) = &mut strategies.map_file {
                settings.resolve(file, "strategies.map_file");
            }
        }
        if let Some(file) = recipe.grid.as_mut().and_then(|grid| grid.file.as_mut()) {
            settings.resolve(file, "grid.file");
        }
        for (place, set) in recipe.evaluation_sets.iter_mut().enumerate() {
            for (index, file) in set.data.iter_mut().enumerate() {
                settings.resolve(file, &format!("evaluation_sets.{place}.data.{index}"));
            }
        }
        if let Some(log_probs) = &mut recipe.log_probs {
            settings.resolve(&mut log_probs.tokenizer, "log_probs.tokenizer");
        }
        recipe.teacher.resolve("teacher", &settings);
        if let Some(judge) = &mut recipe.judge {
            judge.teacher.resolve("judge.teacher", &settings);
        }
        Ok(recipe)
    }
}

impl SynthesisRecipe {
    /// Checks all settings that do not depend on files.
    ///
    /// # Errors
    /// [`SynthError::Settings`] with all problems at once.
    pub fn validate(&self) -> Result<(), SynthError> {
        let mut problems = Problems::default();
        let answers = &self.answers;
        let mut at_least_one = |key: &str, count: Option<usize>| {
            if count == Some(0) {
                problems.0.push(format!("{key} is 0, expected at least 1"));
            }
        };
        at_least_one("answers.samples", Some(answers.samples as usize));
        let failures = answers.most_failures_in_a_row;
        at_least_one("answers.most_failures_in_a_row", Some(failures));
        at_least_one(
            "answers.keep",
            match answers.keep {
                Keep::All => None,
                Keep::First(count) | Keep::Shortest(count) => Some(count),
            },
        );
        at_least_one(
            "textbook.problems",
            self.textbook.as_ref().map(|it| it.problems),
        );
        at_least_one("grid.prompts", self.grid.as_ref().map(|it| it.prompts));
        let trial = self.strategies.as_ref().and_then(|it| it.trial.as_ref());
        at_least_one(
            "strategies.trial.prompts_per_kind",
            trial.map(|it| it.prompts_per_kind),
        );
        at_least_one(
            "strategies.trial.strategies",
            trial.map(|it| it.strategies.len()),
        );
        at_least_one("log_probs.top", self.log_probs.as_ref().map(|it| it.top));
        for (key, teacher) in [
            ("teacher", Some(&self.teacher)),
            ("judge.teacher", self.judge.as_ref().map(|it| &it.teacher)),
        ] {
            if let Some(TeacherSource::Checkpoint { batch_requests, .. }) = teacher {
                at_least_one(
                    &format!("{key}.checkpoint.batch_requests"),
                    Some(*batch_requests),
                );
            }
        }
        let filters = self.filters.as_ref();
        let is_searched = filters.is_some_and(|filters| filters.decontamination.is_some());
        if !self.evaluation_sets.is_empty() && !is_searched {
            let problem =
                "evaluation_sets are given, expected [filters.decontamination] beside them";
            problems.0.push(problem.into());
        }
        answers.sampling.check("answers.sampling", &mut problems);
        if let Some(judge) = &self.judge {
            judge.sampling.check("judge.sampling", &mut problems);
        }
        match problems.0.is_empty() {
            true => Ok(()),
            false => Err(SynthError::Settings(problems)),
        }
    }
}

impl TeacherSource {
    fn resolve(&mut self, key: &str, settings: &Settings<SynthesisRecipe>) {
        match self {
            Self::Checkpoint { path, .. } if !is_hub_path(path) => {
                settings.resolve(path, &format!("{key}.checkpoint.path"));
            }
            Self::File { path, .. } => settings.resolve(path, &format!("{key}.file.path")),
            Self::Endpoint(config) => {
                if let Some(template) = config.template_mut() {
                    settings.resolve(
                        template,
                        &format!("{key}.endpoint.api.completions.template"),
                    );
                }
            }
            Self::Checkpoint { .. } | Self::WorkedSolutions => {}
        }
    }
}
