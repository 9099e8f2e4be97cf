//! A recipe with everything open that its stages share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic_cache::{CacheLocation, CacheReader, Part};
use alambic_distill::trainer::AlignedTeacher;
use alambic_distill::{
    DistillError, InMemoryText, Retokenizer, RunLock, StopHandle, TokenizerPair, TrainingSource,
    derive_seed, teacher::Teacher,
};
use alambic_text::{Segment, Split};
use alambic_transformer::{Decoder, DecoderConfig, describe};
use burn::tensor::Device;

use super::capture::note_cuts;
use super::train::names;
use crate::pipeline::recipe::{
    CacheSection, DataSection, LoadedRecipe, OverLength, Recipe, check_against_teacher,
};
use crate::pipeline::report::{Arm, ModelArm};
use crate::pipeline::run_directory::{RunDirectory, RunFacts};
use crate::pipeline::text_source::TextSource;
use crate::pipeline::training_setup::TrainingSections;
use crate::pipeline::{LanguageModel, ModelTokenizer, PipelineError, Progress, find_model};

/// Where and how a recipe is run; nothing of this changes its result.
#[derive(Clone)]
pub struct RunOptions {
    /// The run's directory.
    pub out: PathBuf,
    /// A plain device, without autodiff.
    pub device: Device,
    /// Ends the run cleanly when asked.
    pub stop: StopHandle,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
    /// burn's terminal dashboard while training; needs the feature `tui`.
    pub dashboard: bool,
}

impl RunOptions {
    /// The same options with an absolute path: runs that keep the paths of their caches are then resumed
    /// from any directory.
    pub(crate) fn with_absolute_out(&self) -> Result<Self, PipelineError> {
        let out = std::path::absolute(&self.out)
            .map_err(|source| PipelineError::io("find", &self.out, source))?;
        Ok(Self {
            out,
            ..self.clone()
        })
    }
}

/// How far a recipe is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunStage {
    /// Up to the cache.
    Capture,
    /// Up to the trained student and baseline.
    Train,
    /// Up to the report.
    Evaluate,
}

/// A run that is ready to go.
pub(crate) struct Plan {
    pub(crate) recipe: Recipe,
    pub(crate) title: String,
    pub(crate) options: RunOptions,
    pub(crate) directory: RunDirectory,
    pub(crate) teacher: LanguageModel,
    /// What the student reads with: the teacher's, unless it has one of its own.
    pub(crate) tokenizer: ModelTokenizer,
    /// The text as the student reads it.
    pub(crate) text: TextSource,
    /// The teacher of a student with a tokenizer of its own.
    pub(crate) foreign: Option<ForeignTeacher>,
    /// Which shards of its caches are captured.
    pub(crate) part: Part,
    /// Held as long as the plan: one process at a time works in a run directory, or one for each
    /// part of a capture.
    _lock: RunLock,
}

/// Refuses what only the teacher shows to be wrong, before the run directory has a recipe.
fn check_against(recipe: &Recipe, teacher: &LanguageModel) -> Result<(), PipelineError> {
    let (top_k, most) = (
        recipe
            .cache
            .as_ref()
            .and_then(|cache| cache.top_k)
            .unwrap_or_default(),
        teacher.teacher.vocab_size(),
    );
    if top_k > most {
        return Err(PipelineError::Input {
            what: "cache.top_k".into(),
            expected: format!("at most {most}, the teacher's vocabulary"),
            found: top_k.to_string(),
            advice: "keep fewer tokens".into(),
        });
    }
    let of_teacher = teacher.teacher.decoder().config();
    if let Some(layers) = &recipe.student.teacher_layers {
        let student = recipe.student.student_of(of_teacher);
        of_teacher.check_excerpt(&student, layers)?;
        if let Some(lora) = &recipe.student.lora {
            lora.validate(&student)?;
        }
    }
    check_against_teacher(recipe, of_teacher).map_err(|error| PipelineError::Input {
        what: "objective.layer_terms".into(),
        expected: "terms that student and teacher can serve".into(),
        found: error.to_string(),
        advice: "compare [student] with the teacher's config.json".into(),
    })?;
    let (wanted, limit) = (
        recipe.training.sequence_tokens,
        teacher.teacher.max_sequence_tokens(),
    );
    if recipe.objective.layer_terms().is_empty() || wanted <= limit {
        return Ok(());
    }
    Err(PipelineError::Input {
        what: "training.sequence_tokens".into(),
        expected: format!("at most {limit}, what the teacher reads, for objective.layer_terms"),
        found: wanted.to_string(),
        advice: "use shorter sequences, or remove the layer terms".into(),
    })
}

impl Plan {
    /// Opens teacher, text and run directory; writes the resolved recipe before anything else.
    pub(crate) fn open(loaded: &LoadedRecipe, options: &RunOptions) -> Result<Self, PipelineError> {
        let plan = Self::open_part(loaded, options, Part::whole())?;
        let own = plan.recipe.student.tokenizer.as_ref();
        let facts = RunFacts {
            created_by: format!("alambic {}", env!("CARGO_PKG_VERSION")),
            seed: plan.recipe.seed,
            device: describe(&options.device),
            teacher_fingerprint: plan.teacher.teacher.fingerprint().to_owned(),
            tokenizer_fingerprint: plan.teacher.tokenizer.fingerprint().to_owned(),
            student_tokenizer_fingerprint: own
                .map(|_| plan.tokenizer.tokenizer.fingerprint().to_owned()),
        };
        plan.directory.begin(&facts)?;
        Ok(plan)
    }

    /// [`open`](Self::open) for one of several processes that capture; it leaves `run.json`, which
    /// names one device, to the process that trains.
    pub(crate) fn open_part(
        loaded: &LoadedRecipe,
        options: &RunOptions,
        part: Part,
    ) -> Result<Self, PipelineError> {
        let recipe = loaded.recipe.clone();
        let directory = find_model(&recipe.teacher.path, &*options.progress)?;
        let teacher = LanguageModel::load(&directory, &options.device)?;
        check_against(&recipe, &teacher)?;
        let tokenizer = tokenizer_of_student(&recipe, &teacher)?;
        let foreign = ForeignTeacher::open(&recipe, &teacher, &tokenizer)?;
        let text = TextSource::open(&recipe.data, &tokenizer, recipe.training.sequence_tokens)?;
        let directory = RunDirectory::create(&options.out)?;
        let lock = match part.is_whole() {
            true => RunLock::acquire(&options.out)?,
            false => RunLock::acquire_part(&options.out, &part.file_label())?,
        };
        directory.claim(&recipe.to_toml()?, part)?;
        let title = title(loaded, &teacher);
        Ok(Self {
            recipe,
            title,
            options: options.clone(),
            directory,
            teacher,
            tokenizer,
            text,
            foreign,
            part,
            _lock: lock,
        })
    }

    /// Where the cache of one split is.
    pub(crate) fn cache(&self, split: &str) -> CacheLocation {
        let shared = self.recipe.cache.as_ref().and_then(CacheSection::location);
        let own = || CacheLocation::from(&self.directory.path("cache"));
        shared.unwrap_or_else(own).join(split)
    }

    /// What a recipe has as `cache.path` to share the caches of this one.
    pub(crate) fn cache_path(&self) -> PathBuf {
        let shared = self
            .recipe
            .cache
            .as_ref()
            .and_then(|cache| cache.path.clone());
        shared.unwrap_or_else(|| self.directory.path("cache"))
    }

    /// What the student is trained on: the cache of a split, or its text where the teacher answers live.
    pub(crate) fn training_source(
        &self,
        split: Split,
    ) -> Result<Arc<dyn TrainingSource>, PipelineError> {
        if self.recipe.cache.is_some() {
            return Ok(Arc::new(CacheReader::open(self.cache(split_name(split)))?));
        }
        let progress = &self.options.progress;
        progress.stage("read", &format!("the {} split", split_name(split)));
        progress.begin("segments", None);
        let mut stream = self.text.segments(split)?;
        let mut read = 0;
        let segments = stream.by_ref().map(|segment| -> Result<_, DistillError> {
            let segment = segment?;
            if let (Split::Train, Some(foreign)) = (split, &self.foreign) {
                foreign.check(&segment)?;
            }
            read += 1;
            progress.advance(read, "");
            Ok(segment)
        });
        let vocab_size = self.tokenizer.tokenizer.vocab_size();
        let text = InMemoryText::try_new(segments, vocab_size);
        progress.end();
        note_cuts(progress.as_ref(), stream.stats());
        Ok(Arc::new(text?))
    }

    /// The text as a model reads it.
    pub(crate) fn text_of(&self, arm: ModelArm) -> &TextSource {
        match (arm, &self.foreign) {
            (ModelArm::Teacher, Some(foreign)) => &foreign.text,
            _ => &self.text,
        }
    }

    /// What a model reads with.
    pub(crate) fn tokenizer_of(&self, arm: ModelArm) -> ModelTokenizer {
        match arm {
            ModelArm::Teacher => ModelTokenizer::from(&self.teacher),
            ModelArm::Distilled | ModelArm::HardLabels => self.tokenizer.clone(),
        }
    }

    /// Where an arm's metrics are.
    pub(crate) fn metrics_path(&self, arm: Arm) -> PathBuf {
        self.directory.path(names(arm).0).join("metrics.jsonl")
    }

    /// The student's shape.
    pub(crate) fn student_config(&self) -> DecoderConfig {
        of_vocabulary(&self.recipe, &self.teacher, &self.tokenizer)
    }

    /// The student before its first step: the same weights for both arms of a seed.
    pub(crate) fn new_student(&self) -> Result<Decoder, PipelineError> {
        let config = self.student_config();
        config.validate()?;
        if let Some(layers) = &self.recipe.student.teacher_layers {
            let excerpt = self.teacher.teacher.decoder().excerpt(&config, layers)?;
            return match &self.recipe.student.lora {
                None => Ok(excerpt),
                Some(lora) => {
                    Ok(excerpt.with_lora(lora, derive_seed(self.recipe.seed, "adapters"))?)
                }
            };
        }
        self.options
            .device
            .seed(derive_seed(self.recipe.seed, "init"));
        Ok(config.init(&self.options.device))
    }

    /// The sections that decide training.
    pub(crate) fn training(&self) -> TrainingSections<'_> {
        TrainingSections {
            seed: self.recipe.seed,
            optimizer: &self.recipe.optimizer,
            schedule: &self.recipe.schedule,
            training: &self.recipe.training,
        }
    }

    /// Fills what packing leaves free; never attended to and never a label.
    pub(crate) fn pad_id(&self) -> u32 {
        self.tokenizer.eos_token_ids.first().copied().unwrap_or(0)
    }
}

/// A teacher whose student has a tokenizer of its own: how it reads, and what it is asked for.
pub(crate) struct ForeignTeacher {
    pub(crate) teacher: AlignedTeacher,
    /// The text as the teacher reads it, in pieces of as many of its tokens as the student's have of theirs.
    text: TextSource,
}

impl ForeignTeacher {
    /// Whether a recipe needs one, and whether it can serve: all that may be wrong is said here.
    pub(crate) fn open(
        recipe: &Recipe,
        teacher: &LanguageModel,
        tokenizer: &ModelTokenizer,
    ) -> Result<Option<Self>, PipelineError> {
        if recipe.student.tokenizer.is_none() {
            return Ok(None);
        }
        let of_teacher = ModelTokenizer::from(teacher);
        let retokenizer = Retokenizer::try_new(TokenizerPair {
            student: tokenizer.text_tokenizer(),
            teacher: of_teacher.text_tokenizer(),
        })?;
        let aligned = AlignedTeacher::try_new(teacher.teacher.clone(), retokenizer)?;
        let objective = recipe.objective.objective()?;
        aligned.objective(objective.aligned_terms(), teacher.teacher.device())?;
        let limit = teacher.teacher.max_sequence_tokens();
        let max_tokens = recipe.training.sequence_tokens.min(limit);
        let data = DataSection {
            over_length: OverLength::Split,
            ..recipe.data.clone()
        };
        Ok(Some(Self {
            text: TextSource::open(&data, &of_teacher, max_tokens)?,
            teacher: aligned,
        }))
    }

    /// Refuses a segment of the student's that the teacher cannot read.
    pub(crate) fn check(&self, segment: &Segment) -> Result<(), DistillError> {
        let place = segment.source().to_string();
        let counted = self
            .teacher
            .count_tokens(segment.student().token_ids(), &place);
        counted.map(|_| ())
    }
}

/// What the student of a recipe reads with.
pub(crate) fn tokenizer_of_student(
    recipe: &Recipe,
    teacher: &LanguageModel,
) -> Result<ModelTokenizer, PipelineError> {
    match &recipe.student.tokenizer {
        Some(directory) => ModelTokenizer::load(directory),
        None => Ok(teacher.into()),
    }
}

/// The shape of a recipe's student.
pub(crate) fn student_config(
    recipe: &Recipe,
    teacher: &LanguageModel,
) -> Result<DecoderConfig, PipelineError> {
    let tokenizer = tokenizer_of_student(recipe, teacher)?;
    Ok(of_vocabulary(recipe, teacher, &tokenizer))
}

fn of_vocabulary(
    recipe: &Recipe,
    teacher: &LanguageModel,
    tokenizer: &ModelTokenizer,
) -> DecoderConfig {
    let of_teacher = teacher.teacher.decoder().config();
    DecoderConfig {
        vocab_size: tokenizer.tokenizer.vocab_size(),
        ..recipe.student.student_of(of_teacher)
    }
}

/// A split's name on disk.
pub(crate) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

fn title(loaded: &LoadedRecipe, teacher: &LanguageModel) -> String {
    let stem = Path::new(&loaded.name)
        .file_stem()
        .map(|stem| stem.to_string_lossy().replace('_', " "));
    stem.unwrap_or_else(|| format!("a student of {}", teacher.name()))
}
