//! Preflight: everything that would fail or mislead later, before any compute.

mod estimate;

use std::path::Path;

use alambic_cache::CacheLocation;
use alambic_distill::teacher::Teacher;
use alambic_text::Split;
use alambic_transformer::{DeviceChoice, Precision, check_precision, describe};
use burn::tensor::Device;
use serde::Serialize;

use estimate::TextAmount;

use super::found_cache::check_found_cache;
use super::recipe::{CacheSection, LoadedRecipe, Recipe, check_against_teacher};
use super::stages::{ForeignTeacher, capture_config, student_config, tokenizer_of_student};
use super::text_source::TextSource;
use super::{LanguageModel, ModelTokenizer, NoProgress, PipelineError, find_model};

/// Segments of the train split that are counted; what lies behind them is "more".
const COUNTED_TRAIN_SEGMENTS: usize = 20_000;
/// Segments of the other splits that are looked at.
const COUNTED_SEGMENTS: usize = 256;

/// How much one finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A fact to know.
    Note,
    /// The run would work and mislead.
    Warning,
    /// The run would fail.
    Error,
}

/// One thing that the doctor found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, such as `teacher` or `data`.
    pub subject: &'static str,
    /// What was found, and what to do.
    pub message: String,
}

/// Everything that the doctor found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The findings, in the order of the stages.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether the run would fail.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    fn add(&mut self, severity: Severity, subject: &'static str, message: impl Into<String>) {
        self.findings.push(Finding {
            severity,
            subject,
            message: message.into(),
        });
    }
}

/// Examines a valid recipe and the files it names; `out` is the run directory, if there is one.
///
/// Reads the teacher and the first thousands of segments, and times one batch of each model on the device.
pub fn doctor(loaded: &LoadedRecipe, device: &Device, out: Option<&Path>) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let recipe = &loaded.recipe;
    examine_files(loaded, &mut diagnosis);
    let teacher = find_model(&recipe.teacher.path, &NoProgress);
    let teacher = match teacher.and_then(|path| LanguageModel::load(&path, device)) {
        Ok(teacher) => teacher,
        Err(error) => {
            diagnosis.add(Severity::Error, "teacher", chain(&error));
            return diagnosis;
        }
    };
    examine_models(loaded, &teacher, out, &mut diagnosis);
    if diagnosis.has_errors() {
        return diagnosis;
    }
    let tokenizer = match tokenizer_of_student(recipe, &teacher) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            diagnosis.add(Severity::Error, "student", chain(&error));
            return diagnosis;
        }
    };
    let foreign = match ForeignTeacher::open(recipe, &teacher, &tokenizer) {
        Ok(foreign) => foreign,
        Err(error) => {
            diagnosis.add(Severity::Error, "teacher", chain(&error));
            return diagnosis;
        }
    };
    if foreign.is_some() {
        let unread = "teacher.batch_segments and training.shuffle_shards are not read: the teacher reads what the \
                      student reads, from text that is held in memory and mixed as a whole";
        diagnosis.add(Severity::Note, "training", unread);
    }
    let train = examine_text(loaded, &tokenizer, foreign.as_ref(), &mut diagnosis);
    if let (Some(train), false) = (train, diagnosis.has_errors()) {
        estimate_costs(loaded, &teacher, &train, device, &mut diagnosis);
    }
    let Some(section) = &recipe.cache else {
        return diagnosis;
    };
    let shared = section.location();
    for (split, name) in [(Split::Train, "train"), (Split::Validation, "validation")] {
        let own = || out.map(|out| CacheLocation::from(&out.join("cache")));
        let cache = shared.clone().or_else(own);
        if let Some(cache) = cache.map(|cache| cache.join(name)) {
            examine_cache(&cache, split, (recipe, section), &teacher, &mut diagnosis);
        }
    }
    diagnosis
}

/// Text files that are not there; the first of them would end the run.
fn examine_files(loaded: &LoadedRecipe, diagnosis: &mut Diagnosis) {
    for path in loaded
        .recipe
        .data
        .files
        .iter()
        .filter(|path| !path.is_file())
    {
        let message = format!("{} is no file; check data.files", path.display());
        diagnosis.add(Severity::Error, "data", message);
    }
}

fn examine_models(
    loaded: &LoadedRecipe,
    teacher: &LanguageModel,
    out: Option<&Path>,
    diagnosis: &mut Diagnosis,
) {
    let recipe = &loaded.recipe;
    let of_teacher = teacher.teacher.decoder().config();
    let student = match student_config(recipe, teacher) {
        Ok(student) => student,
        Err(error) => return diagnosis.add(Severity::Error, "student", chain(&error)),
    };
    let valid = student.validate();
    let valid = valid.and_then(|()| match &recipe.student.teacher_layers {
        Some(layers) => of_teacher.check_excerpt(&student, layers),
        None => Ok(()),
    });
    let valid = valid.and_then(|()| match &recipe.student.lora {
        Some(lora) => lora.validate(&student),
        None => Ok(()),
    });
    if let Err(error) = valid {
        diagnosis.add(Severity::Error, "student", chain(&error.into()));
        return;
    }
    let (small, large) = (student.num_parameters(), teacher.teacher.num_parameters());
    let ratio = large as f64 / small as f64;
    diagnosis.add(
        Severity::Note,
        "student",
        format!("{small} parameters, {ratio:.1} times fewer than the teacher's {large}"),
    );
    if small >= large {
        diagnosis.add(
            Severity::Warning,
            "student",
            "is at least as large as its teacher; give [student] fewer layers or less width",
        );
    }
    let (top_k, most) = (
        recipe
            .cache
            .as_ref()
            .and_then(|cache| cache.top_k)
            .unwrap_or_default(),
        teacher.teacher.vocab_size(),
    );
    if top_k > most {
        let message =
            format!("cache.top_k is {top_k}, expected at most {most}, the teacher's vocabulary");
        diagnosis.add(Severity::Error, "cache", message);
    }
    let precision = recipe.training.precision.unwrap_or_default();
    if let Err(error) = check_precision(precision, teacher.teacher.device()) {
        let message = format!("training.precision: {error}");
        diagnosis.add(Severity::Error, "device", message);
    } else if precision != Precision::F32 && is_cpu(teacher.teacher.device()) {
        let message = format!(
            "training.precision is {:?}: the CPU rounds as a GPU would, but takes longer than with \"f32\" and saves no memory",
            precision.name()
        );
        diagnosis.add(Severity::Warning, "device", message);
    }
    if let Err(error) = check_against_teacher(recipe, teacher.teacher.decoder().config()) {
        let message = format!("objective.layer_terms: {error}");
        diagnosis.add(Severity::Error, "teacher", message);
    }
    let (wanted, limit) = (
        recipe.training.sequence_tokens,
        teacher.teacher.max_sequence_tokens(),
    );
    if recipe.cache.is_some() && wanted > limit {
        let message = format!(
            "training.sequence_tokens is {wanted}, but the teacher reads at most {limit} tokens"
        );
        diagnosis.add(Severity::Error, "teacher", message);
    }
    let megabytes = estimate::memory_bytes(recipe, teacher, &student) / 1_000_000;
    diagnosis.add(
        Severity::Note,
        "memory",
        format!("about {megabytes} MB for weights, optimizer and logits, before activations"),
    );
    examine_same_model(&teacher.directory, out, diagnosis);
}

fn is_cpu(device: &Device) -> bool {
    DeviceChoice::Cpu.open().is_ok_and(|cpu| &cpu == device)
}

/// A teacher that the run itself writes, or that another run wrote from a teacher of its own.
fn examine_same_model(path: &Path, out: Option<&Path>, diagnosis: &mut Diagnosis) {
    let resolved = |path: &Path| path.canonicalize().ok();
    let written = ["student", "baseline"].into_iter();
    let mut written = written.filter_map(|name| resolved(&out?.join(name)));
    if written.any(|written| Some(written) == resolved(path)) {
        let message = format!(
            "{} is what this run writes; name the teacher's own directory",
            path.display()
        );
        return diagnosis.add(Severity::Error, "teacher", message);
    }
    let sibling_run = path.parent().map(|parent| parent.join("run.json"));
    if path.ends_with("student") && sibling_run.is_some_and(|run| run.exists()) {
        let message = format!("{} is itself the student of a run", path.display());
        diagnosis.add(Severity::Warning, "teacher", message);
    }
}

/// The amount of text to train on, if it can be read.
fn examine_text(
    loaded: &LoadedRecipe,
    tokenizer: &ModelTokenizer,
    foreign: Option<&ForeignTeacher>,
    diagnosis: &mut Diagnosis,
) -> Option<TextAmount> {
    let recipe = &loaded.recipe;
    let text = match TextSource::open(&recipe.data, tokenizer, recipe.training.sequence_tokens) {
        Ok(text) => text,
        Err(error) => {
            diagnosis.add(Severity::Error, "data", chain(&error));
            return None;
        }
    };
    let mut train = None;
    for (split, name, most) in [
        (Split::Train, "train", COUNTED_TRAIN_SEGMENTS),
        (Split::Validation, "validation", COUNTED_SEGMENTS),
        (Split::Test, "test", COUNTED_SEGMENTS),
    ] {
        let wanted = split != Split::Validation || recipe.data.why_validation_is_empty().is_none();
        if !wanted {
            continue;
        }
        // Only what is trained on is read by the teacher as well.
        let reader = foreign.filter(|_| split == Split::Train);
        match count_text(&text, reader, split, most) {
            Err(error) => diagnosis.add(Severity::Error, "data", chain(&error)),
            Ok(amount) => {
                describe_text(name, &amount, diagnosis);
                if split == Split::Train {
                    train = Some(amount);
                }
            }
        }
    }
    train
}

fn count_text(
    text: &TextSource,
    foreign: Option<&ForeignTeacher>,
    split: Split,
    most: usize,
) -> Result<TextAmount, PipelineError> {
    let mut amount = TextAmount::default();
    for segment in text.segments(split)? {
        let segment = segment?;
        if amount.segments == most {
            amount.goes_on = true;
            break;
        }
        if let Some(foreign) = foreign {
            foreign.check(&segment)?;
        }
        amount.segments += 1;
        amount.tokens += segment.student().token_ids().len();
        amount.labels += segment.student().num_labels();
    }
    Ok(amount)
}

fn describe_text(name: &str, amount: &TextAmount, diagnosis: &mut Diagnosis) {
    if amount.labels == 0 {
        let message = format!(
            "the {name} split has no label to learn from or to score; check files and fractions"
        );
        return diagnosis.add(Severity::Error, "data", message);
    }
    let share = 100.0 * amount.labels as f64 / amount.tokens as f64;
    let more = if amount.goes_on { "more than " } else { "" };
    diagnosis.add(
        Severity::Note,
        "data",
        format!(
            "{name}: {more}{} segments of about {} tokens, {share:.0} % of them labels",
            amount.segments,
            amount.tokens_per_segment()
        ),
    );
}

fn estimate_costs(
    loaded: &LoadedRecipe,
    teacher: &LanguageModel,
    train: &TextAmount,
    device: &Device,
    diagnosis: &mut Diagnosis,
) {
    let recipe = &loaded.recipe;
    let training = &recipe.training;
    let needed = training.total_steps * training.sequences_per_step * training.sequence_tokens;
    let (at_most, at_least) = if train.goes_on {
        ("at most ", "at least ")
    } else {
        ("", "")
    };
    let passes = needed as f64 / train.tokens as f64;
    diagnosis.add(
        Severity::Note,
        "training",
        format!("reads the train split {at_most}{passes:.1} times"),
    );
    let student = match student_config(recipe, teacher) {
        Ok(student) => student,
        Err(error) => return diagnosis.add(Severity::Error, "student", chain(&error)),
    };
    let megabytes = |bytes: usize| bytes.div_ceil(1_000_000);
    let projections = estimate::projection_parameters(recipe, teacher);
    let checkpoints = estimate::checkpoint_bytes(recipe, &student, projections);
    let cache = match &recipe.cache {
        Some(section) => {
            let bytes = estimate::cache_bytes(section, teacher, train);
            format!(
                "{at_least}{} MB of cache before compression, ",
                megabytes(bytes)
            )
        }
        None => String::new(),
    };
    let message = format!("{cache}{} MB of checkpoints", megabytes(checkpoints));
    diagnosis.add(Severity::Note, "disk", message);
    let seconds = estimate::measure_seconds(recipe, teacher, &student, train, device);
    let capture = seconds.capture.map_or_else(String::new, |seconds| {
        format!("capture {at_least}{}, ", duration(seconds))
    });
    diagnosis.add(
        Severity::Note,
        "time",
        format!(
            "{capture}training {}, from one batch of each model on {}",
            duration(seconds.training),
            describe(device)
        ),
    );
}

/// Seconds up to two minutes, minutes up to two hours, hours above.
fn duration(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

/// A cache that stands there already has to be this recipe's.
fn examine_cache(
    cache: &CacheLocation,
    split: Split,
    (recipe, section): (&Recipe, &CacheSection),
    teacher: &LanguageModel,
    diagnosis: &mut Diagnosis,
) {
    match cache.has_manifest() {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            return diagnosis.add(Severity::Error, "cache", chain(&error.into()));
        }
    }
    let check = || {
        let spec = capture_config(recipe, section, teacher)?.cache_spec(&teacher.teacher);
        let text = TextSource::open(
            &recipe.data,
            &teacher.into(),
            recipe.training.sequence_tokens,
        )?;
        check_found_cache(cache, &spec, teacher, &text, split)
    };
    let checked: Result<(), PipelineError> = check();
    match checked {
        Ok(()) => diagnosis.add(
            Severity::Note,
            "cache",
            format!(
                "{cache} is complete and will be used; `alambic cache verify` checks its content"
            ),
        ),
        Err(error) => diagnosis.add(Severity::Error, "cache", chain(&error)),
    }
}

/// An error with its causes in one line.
fn chain(error: &PipelineError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text += ": ";
            text += &message;
        }
        cause = error.source();
    }
    text
}
