//! The headline figures: one card each, with the models as bars.

use super::super::model::{ModelArm, Report, StudentMetrics};
use super::super::quantity;
use super::name_and_class;

/// One headline figure.
struct Card {
    title: &'static str,
    /// The student's figure.
    value: String,
    meaning: &'static str,
    /// The models' figures; a missing one has no bar.
    bars: Vec<(ModelArm, f64)>,
    /// The value at full length; the largest where `None`.
    full: Option<f64>,
    /// Where guessing lies.
    chance: Option<f64>,
    format: fn(f64) -> String,
}

/// The row of headline cards, as HTML.
pub(super) fn cards(report: &Report) -> String {
    let mut cards = vec![size_card(report), nll_card(report)];
    let to_teacher = [
        student_card(
            report,
            "KL to the teacher",
            "nats per token, lower is better",
            None,
            |s| s.kl_to_teacher,
        ),
        student_card(
            report,
            "Agreement",
            "same most probable token",
            Some(1.0),
            |s| s.top1_agreement,
        ),
    ];
    cards.extend(to_teacher.into_iter().flatten());
    cards.extend(accuracy_card(report));
    let html: String = cards.iter().map(card_html).collect();
    format!("<section class=\"cards\" aria-label=\"Headline figures\">\n{html}</section>\n")
}

fn size_card(report: &Report) -> Card {
    let teacher = report.teacher.parameters as f64;
    let student = report.student.parameters as f64;
    Card {
        title: "Size",
        value: quantity::ratio(teacher / student.max(1.0)),
        meaning: "fewer parameters",
        bars: vec![(ModelArm::Teacher, teacher), (ModelArm::Distilled, student)],
        full: None,
        chance: None,
        format: quantity::count,
    }
}

/// Negative log-likelihood, per token where all models have the same tokens.
fn nll_card(report: &Report) -> Card {
    let (teacher, student) = (&report.teacher, &report.student);
    let figure: fn(&StudentMetrics) -> f64 = match student.top1_agreement {
        Some(_) => |student| student.nll,
        None => |student| student.bits_per_byte,
    };
    let (title, meaning, of_teacher) = match student.top1_agreement {
        Some(_) => ("NLL", "nats per token, lower is better", teacher.nll),
        None => (
            "Bits per byte",
            "of text, lower is better",
            teacher.bits_per_byte,
        ),
    };
    let mut bars = vec![
        (ModelArm::Teacher, of_teacher),
        (ModelArm::Distilled, figure(student)),
    ];
    let baseline = report.baseline.as_ref();
    bars.extend(baseline.map(|baseline| (ModelArm::HardLabels, figure(baseline))));
    Card {
        title,
        value: quantity::thousandths(figure(student)),
        meaning,
        bars,
        full: None,
        chance: None,
        format: quantity::thousandths,
    }
}

/// A figure that only students have, if it was measured.
fn student_card(
    report: &Report,
    title: &'static str,
    meaning: &'static str,
    full: Option<f64>,
    figure: fn(&StudentMetrics) -> Option<f64>,
) -> Option<Card> {
    let student = figure(&report.student)?;
    let baseline = report.baseline.as_ref().and_then(figure);
    let mut bars = vec![(ModelArm::Distilled, student)];
    bars.extend(baseline.map(|value| (ModelArm::HardLabels, value)));
    let format = if full.is_some() {
        quantity::percent
    } else {
        quantity::thousandths
    };
    Some(Card {
        title,
        value: format(student),
        meaning,
        bars,
        full,
        chance: None,
        format,
    })
}

fn accuracy_card(report: &Report) -> Option<Card> {
    let student = report.student.answer_accuracy?;
    let baseline = report.baseline.as_ref().and_then(|b| b.answer_accuracy);
    let bars = [
        (ModelArm::Teacher, report.teacher.answer_accuracy),
        (ModelArm::Distilled, Some(student)),
        (ModelArm::HardLabels, baseline),
    ];
    Some(Card {
        title: "Answers",
        value: quantity::percent(student),
        meaning: match report.chance_accuracy {
            Some(_) => "answered exactly; line: guessing",
            None => "answered exactly",
        },
        bars: bars
            .into_iter()
            .filter_map(|(arm, a)| Some((arm, a?)))
            .collect(),
        full: Some(1.0),
        chance: report.chance_accuracy,
        format: quantity::percent,
    })
}

fn card_html(card: &Card) -> String {
    let largest = card.bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
    let full = card.full.unwrap_or(largest);
    let percent = |value: f64| {
        if full > 0.0 {
            (100.0 * value / full).clamp(0.0, 100.0)
        } else {
            0.0
        }
    };
    let chance = card.chance.map_or_else(String::new, |chance| {
        format!(
            "<i class=\"chance\" style=\"left:{:.1}%\"></i>",
            percent(chance)
        )
    });
    let bar = |&(arm, value): &(ModelArm, f64)| {
        let (name, class) = name_and_class(arm);
        format!(
            "<div class=\"{class}\"><dt>{name}</dt><dd>{}</dd>\
             <dd class=\"bar\"><i style=\"width:{:.1}%\"></i>{chance}</dd></div>\n",
            (card.format)(value),
            percent(value),
        )
    };
    format!(
        "<article class=\"card\">\n<h2>{}</h2>\n<p class=\"value\">{}</p>\n\
         <p class=\"meaning\">{}</p>\n<dl>\n{}</dl>\n</article>\n",
        card.title,
        card.value,
        card.meaning,
        card.bars.iter().map(bar).collect::<String>(),
    )
}
