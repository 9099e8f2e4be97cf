//! Stage two: the student from the teacher's answers, and the baseline from the same tokens without them.

use std::path::Path;
use std::sync::Arc;

use alambic_distill::TrainingSource;
use alambic_distill::loss::Objective;
use alambic_distill::trainer::{StopReason, Trainer};
use alambic_text::Split;
use alambic_transformer::{Decoder, SaveOptions, WeightType};
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::pipeline::PipelineError;
use crate::pipeline::model_directory::{MAX_SHARD_BYTES, copy_tokenizer, write_model};
use crate::pipeline::peak_memory::peak_rss_bytes;
use crate::pipeline::report::Arm;
use crate::pipeline::training_progress::TrainingProgress;

/// What a finished arm leaves for the report; `ARM.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainedArm {
    pub(crate) tokens: u64,
    pub(crate) steps: u64,
    pub(crate) seconds: f64,
    pub(crate) peak_rss_bytes: u64,
}

/// Names of an arm on disk: its training directory and its exported model.
pub(crate) fn names(arm: Arm) -> (&'static str, &'static str) {
    match arm {
        Arm::Distilled => ("distilled", "student"),
        Arm::HardLabels => ("hard_labels", "baseline"),
    }
}

/// Trains the student and, if the recipe asks for it, the baseline.
pub(super) fn train(plan: &Plan) -> Result<(), PipelineError> {
    train_one_arm(plan, Arm::Distilled)?;
    if plan.recipe.baseline.enabled {
        train_one_arm(plan, Arm::HardLabels)?;
    }
    Ok(())
}

/// Trains one arm, or finds it trained.
pub(crate) fn train_one_arm(plan: &Plan, arm: Arm) -> Result<TrainedArm, PipelineError> {
    let objective = match arm {
        Arm::Distilled => plan.recipe.objective.objective()?,
        Arm::HardLabels => Objective::hard_labels(),
    };
    let (training, exported) = names(arm);
    let progress = &plan.options.progress;
    let facts = format!("{training}.json");
    if let Some(trained) = plan.directory.read_json::<TrainedArm>(&facts)? {
        progress.note(&format!(
            "{} is trained",
            plan.directory.path(exported).display()
        ));
        return Ok(trained);
    }
    let config = plan.student_config();
    let trained = plan.recipe.student.lora.as_ref();
    let trained = trained.map_or_else(String::new, |lora| {
        format!(", {} of adapters trained", lora.num_parameters(&config))
    });
    let detail = format!(
        "{training}, {} parameters{trained}",
        config.num_parameters()
    );
    progress.stage("train", &detail);
    let sections = plan.training();
    let trainer_config = sections.trainer_config(objective, plan.pad_id());
    let dashboard = plan.options.dashboard;
    let mut trainer = Trainer::try_new(trainer_config, sections.run_settings(dashboard))?
        .with_stop(plan.options.stop.clone())
        .with_teacher(plan.teacher.teacher.clone());
    if let (Some(foreign), Arm::Distilled) = (&plan.foreign, arm) {
        trainer = trainer.with_aligned_teacher(foreign.teacher.clone());
    }
    if !dashboard {
        // Two writers on one terminal would draw over each other.
        let total_steps = plan.recipe.training.total_steps as u64;
        trainer = trainer.with_sink(TrainingProgress::new(progress.clone(), total_steps));
    }
    let outcome = trainer.train(
        plan.new_student()?,
        plan.training_source(Split::Train)?,
        validation(plan)?,
        &plan.directory.path(training),
    )?;
    progress.end();
    if outcome.reason == StopReason::Interrupted {
        return Err(PipelineError::Stopped { stage: "training" });
    }
    export(
        plan,
        &outcome.student.merged(),
        &plan.directory.path(exported),
    )?;
    let trained = TrainedArm {
        tokens: outcome.tokens,
        steps: outcome.steps,
        seconds: outcome.seconds,
        peak_rss_bytes: peak_rss_bytes(),
    };
    plan.directory.write_json(&facts, &trained)?;
    Ok(trained)
}

fn validation(plan: &Plan) -> Result<Option<Arc<dyn TrainingSource>>, PipelineError> {
    if plan.recipe.data.why_validation_is_empty().is_some() {
        return Ok(None);
    }
    plan.training_source(Split::Validation).map(Some)
}

/// Writes a student as a Hugging Face directory, with the tokenizer that it reads with.
fn export(plan: &Plan, student: &Decoder, directory: &Path) -> Result<(), PipelineError> {
    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: plan.tokenizer.bos_token_id,
        eos_token_ids: plan.tokenizer.eos_token_ids.clone(),
        pad_token_id: None,
        max_shard_bytes: Some(MAX_SHARD_BYTES),
    };
    write_model(student, &options, directory, |new| {
        copy_tokenizer(&plan.tokenizer.directory, new)
    })
}
