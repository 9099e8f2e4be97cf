//! Stage four: everything measured, in one report.

use alambic_cache::CacheReader;
use alambic_distill::trainer::{Metrics, read_metrics};
use alambic_transformer::describe;

use super::Plan;
use super::capture::CaptureFacts;
use super::evaluate::{Measurements, calibration, evaluate_all, student_metrics, teacher_metrics};
use super::samples::samples;
use super::train::{TrainedArm, names};
use crate::pipeline::PipelineError;
use crate::pipeline::report::{
    Arm, CacheSummary, Curve, EvaluationSummary, FamilyAccuracy, ModelArm, REPORT_JSON, Report,
    SCHEMA_VERSION, Stage, TrainPoint, TrainingCost, ValidationPoint,
};

/// Evaluates and writes `report.json` and `report.html`, or finds them.
pub(super) fn write_report(plan: &Plan) -> Result<Report, PipelineError> {
    let path = plan.directory.path(REPORT_JSON);
    if path.exists() {
        plan.options
            .progress
            .note(&format!("{} is written", path.display()));
        return Ok(Report::read(&path)?);
    }
    let measurements = evaluate_all(plan)?;
    let report = assemble(plan, &measurements)?;
    report.write(plan.directory.root())?;
    Ok(report)
}

fn assemble(plan: &Plan, all: &Measurements) -> Result<Report, PipelineError> {
    let model = |arm| {
        all.of(arm)
            .expect("teacher and student are always measured")
    };
    let (teacher, student) = (model(ModelArm::Teacher), model(ModelArm::Distilled));
    let baseline = all.of(ModelArm::HardLabels);
    let mut curves = vec![curve(plan, Arm::Distilled)?];
    if baseline.is_some() {
        curves.push(curve(plan, Arm::HardLabels)?);
    }
    let distilled = trained(plan, Arm::Distilled)?;
    let hard_labels = baseline
        .map(|_| trained(plan, Arm::HardLabels))
        .transpose()?;
    let cache = match &plan.recipe.cache {
        Some(_) => Some(cache_summary(plan)?),
        None => None,
    };
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        title: plan.title.clone(),
        created_by: format!("alambic {}", env!("CARGO_PKG_VERSION")),
        seed: plan.recipe.seed,
        device: describe(&plan.options.device),
        teacher: teacher_metrics(plan, teacher),
        student: student_metrics(student),
        baseline: baseline.map(student_metrics),
        chance_accuracy: teacher.answers.as_ref().map(|answers| answers.chance()),
        accuracy_by_family: accuracy_by_family(all),
        stages: stages(all, cache.as_ref(), &distilled, hard_labels.as_ref()),
        train: cost(&distilled),
        baseline_train: hard_labels.as_ref().map(cost),
        cache,
        evaluation: EvaluationSummary {
            tokens: student.likelihood.evaluation.num_tokens,
            segments: student.likelihood.evaluation.num_segments,
            seconds: all.seconds,
        },
        curves,
        calibration: all.models.iter().map(calibration).collect(),
        samples: samples(plan, all)?,
    })
}

fn trained(plan: &Plan, arm: Arm) -> Result<TrainedArm, PipelineError> {
    let name = format!("{}.json", names(arm).0);
    plan.directory
        .read_json(&name)?
        .ok_or_else(|| PipelineError::Input {
            what: plan.directory.path(&name).display().to_string(),
            expected: "what training leaves behind".into(),
            found: "nothing".into(),
            advice: "run the training stage first".into(),
        })
}

fn cost(arm: &TrainedArm) -> TrainingCost {
    TrainingCost {
        tokens: arm.tokens,
        steps: arm.steps,
        seconds: arm.seconds,
        tokens_per_second: arm.tokens as f64 / arm.seconds.max(f64::EPSILON),
        peak_rss_bytes: arm.peak_rss_bytes,
    }
}

fn curve(plan: &Plan, arm: Arm) -> Result<Curve, PipelineError> {
    let mut curve = Curve {
        arm,
        train: Vec::new(),
        validation: Vec::new(),
    };
    for metrics in read_metrics(&plan.metrics_path(arm))? {
        match metrics {
            Metrics::Step(step) => curve.train.push(TrainPoint {
                step: step.step,
                tokens: step.tokens,
                loss: step.loss,
                learning_rate: step.learning_rate,
                gradient_norm: step.gradient_norm,
                terms: step.terms,
            }),
            Metrics::Validation(validation) => curve.validation.push(ValidationPoint {
                step: validation.step,
                tokens: validation.tokens,
                nll: validation.nll,
                kl_to_teacher: validation.kl_to_teacher,
                top1_agreement: validation.top1_agreement,
            }),
        }
    }
    Ok(curve)
}

fn cache_summary(plan: &Plan) -> Result<CacheSummary, PipelineError> {
    let reader = CacheReader::open(plan.cache("train"))?;
    let manifest = reader.manifest();
    let (mut tail, mut rows) = (0.0, 0u64);
    for shard in 0..manifest.shards.len() {
        for record in reader.read_shard(shard)? {
            let Some(targets) = record.targets.top_k() else {
                continue;
            };
            let masses = targets.tail_mass.iter();
            tail += masses.map(|&mass| f64::from(mass)).sum::<f64>();
            rows += targets.num_rows() as u64;
        }
    }
    let bytes: u64 = manifest.shards.iter().map(|shard| shard.bytes).sum();
    let capture = plan.directory.read_json::<CaptureFacts>("capture.json")?;
    Ok(CacheSummary {
        tokens: manifest.num_tokens,
        bytes,
        bytes_per_token: bytes as f64 / manifest.num_tokens.max(1) as f64,
        capture_seconds: capture.map_or(0.0, |facts| facts.seconds),
        kept: super::capture::kept_targets(manifest.spec.targets),
        mean_tail_mass: (rows > 0).then_some(tail / rows.max(1) as f64),
    })
}

fn accuracy_by_family(all: &Measurements) -> Vec<FamilyAccuracy> {
    let solved = |arm, family: &str| -> Option<f64> {
        let score = all.of(arm)?.answers.as_ref()?.families.get(family)?;
        Some(score.solved as f64 / score.asked.max(1) as f64)
    };
    let Some(teacher) = all
        .of(ModelArm::Teacher)
        .and_then(|model| model.answers.as_ref())
    else {
        return Vec::new();
    };
    let families = teacher
        .families
        .iter()
        .map(|(&family, score)| FamilyAccuracy {
            family: family.replace('_', " "),
            problems: score.asked,
            chance: score.chance_sum / score.asked.max(1) as f64,
            teacher: solved(ModelArm::Teacher, family).unwrap_or_default(),
            student: solved(ModelArm::Distilled, family).unwrap_or_default(),
            baseline: solved(ModelArm::HardLabels, family),
        });
    families.collect()
}

fn stages(
    all: &Measurements,
    cache: Option<&CacheSummary>,
    distilled: &TrainedArm,
    hard_labels: Option<&TrainedArm>,
) -> Vec<Stage> {
    let trained = |arm: &TrainedArm| {
        let rate = arm.tokens as f64 / arm.seconds.max(f64::EPSILON);
        format!(
            "{} steps, {} labels, {rate:.0} labels/s",
            arm.steps, arm.tokens
        )
    };
    let capture = cache.map(|cache| Stage {
        name: "capture".into(),
        seconds: cache.capture_seconds,
        detail: format!("{} tokens, {} of the teacher", cache.tokens, cache.kept),
    });
    let mut stages: Vec<Stage> = capture.into_iter().collect();
    stages.push(Stage {
        name: "train student".into(),
        seconds: distilled.seconds,
        detail: trained(distilled),
    });
    if let Some(arm) = hard_labels {
        stages.push(Stage {
            name: "train baseline".into(),
            seconds: arm.seconds,
            detail: trained(arm),
        });
    }
    let models = all.models.len();
    let detail = format!("{models} models on text that none was trained on");
    stages.push(Stage {
        name: "evaluate".into(),
        seconds: all.seconds,
        detail,
    });
    stages
}
