//! Stage three: teacher, student and baseline on text that none of them was trained on.

use std::time::Instant;

use alambic_distill::{Evaluation, evaluate, teacher::Teacher};
use alambic_text::{Segment, SpecialTokensInText, Split, Tokenizer};
use alambic_transformer::{Decoder, load_checkpoint};

use super::Plan;
use super::train::names;
use crate::pipeline::PipelineError;
use crate::pipeline::answers::{AnswerScore, answer, test_problems};
use crate::pipeline::report::{
    Arm, Calibration, CalibrationBin, ModelArm, StudentMetrics, TeacherMetrics,
};

/// Problems of unseen templates that every model is asked.
const ANSWERED_PROBLEMS: usize = 210;

/// One model, measured.
pub(super) struct Measured {
    pub(super) arm: ModelArm,
    pub(super) decoder: Decoder,
    pub(super) likelihood: Likelihood,
    pub(super) unseen_templates: Option<Evaluation>,
    pub(super) answers: Option<AnswerScore>,
}

/// All models of a run, measured on the test split.
pub(super) struct Measurements {
    pub(super) models: Vec<Measured>,
    pub(super) problems: Vec<alambic_text::Problem>,
    pub(super) seconds: f64,
}

impl Measurements {
    pub(super) fn of(&self, arm: ModelArm) -> Option<&Measured> {
        self.models.iter().find(|model| model.arm == arm)
    }
}

/// Measures the teacher and every trained arm.
pub(super) fn evaluate_all(plan: &Plan) -> Result<Measurements, PipelineError> {
    let started = Instant::now();
    let problems = match &plan.recipe.data.textbook {
        Some(textbook) => test_problems(textbook, ANSWERED_PROBLEMS)?,
        None => Vec::new(),
    };
    let mut arms = vec![
        (ModelArm::Teacher, None),
        (ModelArm::Distilled, Some(Arm::Distilled)),
    ];
    if plan.recipe.baseline.enabled {
        arms.push((ModelArm::HardLabels, Some(Arm::HardLabels)));
    }
    let mut models = Vec::new();
    for (model_arm, arm) in arms {
        let decoder = decoder_of(plan, arm)?;
        let likelihood = likelihood(plan, model_arm, &decoder)?;
        let unseen_templates = unseen_templates(plan, model_arm, &decoder)?;
        let answers = answers(plan, model_arm, &decoder, &problems)?;
        models.push(Measured {
            arm: model_arm,
            decoder,
            likelihood,
            unseen_templates,
            answers,
        });
    }
    Ok(Measurements {
        models,
        problems,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The teacher, or the student that an arm left.
fn decoder_of(plan: &Plan, arm: Option<Arm>) -> Result<Decoder, PipelineError> {
    match arm {
        None => Ok(plan.teacher.teacher.decoder().clone()),
        Some(arm) => {
            let directory = plan.directory.path(names(arm).1);
            Ok(load_checkpoint(&directory, &plan.options.device)?.decoder)
        }
    }
}

/// Likelihood and distance to the teacher of the teacher itself or of one arm's student.
pub(crate) fn measure_likelihood(
    plan: &Plan,
    arm: Option<Arm>,
) -> Result<Likelihood, PipelineError> {
    let model_arm = match arm {
        None => ModelArm::Teacher,
        Some(Arm::Distilled) => ModelArm::Distilled,
        Some(Arm::HardLabels) => ModelArm::HardLabels,
    };
    likelihood(plan, model_arm, &decoder_of(plan, arm)?)
}

fn label(arm: ModelArm) -> &'static str {
    match arm {
        ModelArm::Teacher => "teacher",
        ModelArm::Distilled => "student",
        ModelArm::HardLabels => "baseline",
    }
}

/// Likelihood and distance to the teacher, with the bytes that the labels spell.
pub(crate) struct Likelihood {
    pub(crate) evaluation: Evaluation,
    text_bytes: u64,
}

impl Likelihood {
    pub(crate) fn bits_per_byte(&self) -> f64 {
        self.evaluation.bits_per_byte(self.text_bytes)
    }
}

fn likelihood(plan: &Plan, arm: ModelArm, decoder: &Decoder) -> Result<Likelihood, PipelineError> {
    let progress = &plan.options.progress;
    progress.stage("evaluate", &format!("{} on the test split", label(arm)));
    progress.begin("segments", None);
    let mut bytes = 0;
    let tokenizer = plan.tokenizer_of(arm).tokenizer;
    let stop = &plan.options.stop;
    let segments = plan
        .text_of(arm)
        .segments(Split::Test)?
        .take_while(|_| !stop.is_stopped())
        .inspect(|segment| {
            if let Ok(segment) = segment {
                bytes += label_bytes(&tokenizer, segment);
            }
        });
    let teacher: Option<&dyn Teacher> = match arm {
        ModelArm::Teacher => None,
        // Its distributions are over other tokens.
        ModelArm::Distilled | ModelArm::HardLabels if plan.foreign.is_some() => None,
        ModelArm::Distilled | ModelArm::HardLabels => Some(&plan.teacher.teacher),
    };
    let batch = plan.recipe.evaluation.batch_segments;
    let evaluation = evaluate(decoder, teacher, segments, batch, |done| {
        progress.advance(done, "")
    });
    if stop.is_stopped() {
        // What was measured of a part of the text is not the text's.
        return Err(PipelineError::Stopped {
            stage: "evaluation",
        });
    }
    progress.end();
    Ok(Likelihood {
        evaluation: evaluation?,
        text_bytes: bytes,
    })
}

/// Likelihood of the textbook's unseen templates; `None` for other text.
fn unseen_templates(
    plan: &Plan,
    arm: ModelArm,
    decoder: &Decoder,
) -> Result<Option<Evaluation>, PipelineError> {
    let Some(segments) = plan.text_of(arm).unseen_templates()? else {
        return Ok(None);
    };
    let batch = plan.recipe.evaluation.batch_segments;
    Ok(Some(evaluate(decoder, None, segments, batch, |_| {})?))
}

/// Bytes of text that the counted labels of a segment spell.
fn label_bytes(tokenizer: &Tokenizer, segment: &Segment) -> u64 {
    let labels: Vec<u32> = segment.student().labels().collect();
    let text = tokenizer
        .decode(&labels, SpecialTokensInText::Skip)
        .expect("this tokenizer made the ids");
    if !text.contains(char::REPLACEMENT_CHARACTER) {
        return text.len() as u64;
    }
    // A part of a character, where a piece begins or ends within it, is no text: its bytes are counted one by one.
    let counted = tokenizer.token_bytes().map(|bytes| {
        let of_labels = labels
            .iter()
            .filter_map(|&label| bytes.get(label as usize)?.as_ref());
        of_labels.map(Vec::len).sum::<usize>()
    });
    counted.unwrap_or(text.len()) as u64
}

fn answers(
    plan: &Plan,
    arm: ModelArm,
    decoder: &Decoder,
    problems: &[alambic_text::Problem],
) -> Result<Option<AnswerScore>, PipelineError> {
    if problems.is_empty() {
        return Ok(None);
    }
    let progress = &plan.options.progress;
    progress.stage(
        "answer",
        &format!("{} on problems of unseen templates", label(arm)),
    );
    progress.begin("problems", Some(problems.len() as u64));
    let reads_with = plan.tokenizer_of(arm);
    let score = answer(
        decoder,
        &reads_with.tokenizer,
        &reads_with.eos_token_ids,
        problems,
        &plan.options.stop,
        |done| {
            progress.advance(done as u64, "");
        },
    )?;
    progress.end();
    Ok(Some(score))
}

/// The teacher's column of the report.
pub(super) fn teacher_metrics(plan: &Plan, teacher: &Measured) -> TeacherMetrics {
    let evaluation = &teacher.likelihood.evaluation;
    TeacherMetrics {
        name: plan.teacher.name(),
        parameters: plan.teacher.teacher.num_parameters() as u64,
        nll: evaluation.nll(),
        perplexity: evaluation.perplexity(),
        bits_per_byte: teacher.likelihood.bits_per_byte(),
        nll_unseen_templates: teacher.unseen_templates.as_ref().map(Evaluation::nll),
        answer_accuracy: teacher.answers.as_ref().map(AnswerScore::accuracy),
    }
}

/// A student's column of the report.
pub(super) fn student_metrics(model: &Measured) -> StudentMetrics {
    let evaluation = &model.likelihood.evaluation;
    StudentMetrics {
        parameters: model.decoder.config().num_parameters() as u64,
        nll: evaluation.nll(),
        perplexity: evaluation.perplexity(),
        bits_per_byte: model.likelihood.bits_per_byte(),
        kl_to_teacher: evaluation.kl_to_teacher(),
        top1_agreement: evaluation.top1_agreement(),
        expected_calibration_error: Some(evaluation.expected_calibration_error()),
        nll_unseen_templates: model.unseen_templates.as_ref().map(Evaluation::nll),
        answer_accuracy: model.answers.as_ref().map(AnswerScore::accuracy),
    }
}

/// The reliability diagram of one model; empty bins are left out.
pub(super) fn calibration(model: &Measured) -> Calibration {
    let bins = model
        .likelihood
        .evaluation
        .calibration
        .iter()
        .filter(|bin| bin.count > 0);
    let bins = bins.map(|bin| CalibrationBin {
        confidence: bin.confidence_sum / bin.count as f64,
        accuracy: bin.correct as f64 / bin.count as f64,
        count: bin.count,
    });
    Calibration {
        arm: model.arm,
        bins: bins.collect(),
    }
}
