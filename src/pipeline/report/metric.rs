//! The figures of a report that can be set side by side.

use super::model::{ModelArm, Report, StudentMetrics, TrainingCost};
use super::quantity;

/// Which direction of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
    Neither,
}

impl Better {
    /// An arrow into the better direction; empty where there is none.
    pub(crate) fn arrow(self) -> &'static str {
        match self {
            Self::Lower => "↓",
            Self::Higher => "↑",
            Self::Neither => "",
        }
    }
}

/// What a figure is called and how it reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    /// Empty where the formatted value carries its own unit.
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) format: Format,
}

/// One figure of all three models; `None` was not measured or does not apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricRow {
    pub(crate) metric: Metric,
    pub(crate) teacher: Option<f64>,
    pub(crate) student: Option<f64>,
    pub(crate) baseline: Option<f64>,
}

impl MetricRow {
    pub(crate) fn of(&self, arm: ModelArm) -> Option<f64> {
        match arm {
            ModelArm::Teacher => self.teacher,
            ModelArm::Distilled => self.student,
            ModelArm::HardLabels => self.baseline,
        }
    }
}

/// How a figure is written.
type Format = fn(f64) -> String;
/// Where a student's figure stands.
type Get = fn(&StudentMetrics) -> Option<f64>;

const NATS: &str = "nats/token";

/// Every figure of a report, always in the same order.
pub(crate) fn metric_rows(report: &Report) -> Vec<MetricRow> {
    let mut rows = quality_rows(report);
    rows.extend(cost_rows(report));
    rows
}

/// The figures of the evaluation.
fn quality_rows(report: &Report) -> Vec<MetricRow> {
    use Better::{Higher, Lower};
    use quantity::{count, hundredths, percent, thousandths};
    let teacher = &report.teacher;
    let of = |name, unit, better, format: Format, teacher, get: Get| MetricRow {
        metric: Metric {
            name,
            unit,
            better,
            format,
        },
        teacher,
        student: get(&report.student),
        baseline: report.baseline.as_ref().and_then(get),
    };
    let parameters = Some(teacher.parameters as f64);
    // Figures of a teacher with tokens of its own are not beside those of the student's.
    let alike = report.student.top1_agreement.is_some();
    let nll = alike.then_some(teacher.nll);
    let perplexity = alike.then_some(teacher.perplexity);
    let bits = Some(teacher.bits_per_byte);
    let unseen = teacher.nll_unseen_templates.filter(|_| alike);
    let answers = teacher.answer_accuracy;
    vec![
        of("parameters", "", Lower, count, parameters, |s| {
            Some(s.parameters as f64)
        }),
        of("NLL", NATS, Lower, thousandths, nll, |s| Some(s.nll)),
        of("perplexity", "", Lower, hundredths, perplexity, |s| {
            Some(s.perplexity)
        }),
        of("bits per byte", "", Lower, thousandths, bits, |s| {
            Some(s.bits_per_byte)
        }),
        of("KL to teacher", NATS, Lower, thousandths, None, |s| {
            s.kl_to_teacher
        }),
        of("top-1 agreement", "", Higher, percent, None, |s| {
            s.top1_agreement
        }),
        of("calibration error", "", Lower, percent, None, |s| {
            s.expected_calibration_error
        }),
        of(
            "NLL, unseen templates",
            NATS,
            Lower,
            thousandths,
            unseen,
            |s| s.nll_unseen_templates,
        ),
        of("answer accuracy", "", Higher, percent, answers, |s| {
            s.answer_accuracy
        }),
    ]
}

/// The figures of training the students.
fn cost_rows(report: &Report) -> Vec<MetricRow> {
    let of = |name, unit, better, format: Format, get: fn(&TrainingCost) -> f64| MetricRow {
        metric: Metric {
            name,
            unit,
            better,
            format,
        },
        teacher: None,
        student: Some(get(&report.train)),
        baseline: report.baseline_train.as_ref().map(get),
    };
    vec![
        of(
            "training tokens",
            "",
            Better::Neither,
            quantity::count,
            |t| t.tokens as f64,
        ),
        of(
            "training steps",
            "",
            Better::Neither,
            quantity::count,
            |t| t.steps as f64,
        ),
        of(
            "training time",
            "",
            Better::Lower,
            quantity::duration,
            |t| t.seconds,
        ),
        of(
            "training speed",
            "tokens/s",
            Better::Higher,
            quantity::count,
            |t| t.tokens_per_second,
        ),
        of("peak memory", "", Better::Lower, quantity::bytes, |t| {
            t.peak_rss_bytes as f64
        }),
    ]
}
