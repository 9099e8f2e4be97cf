//! The charts with their captions.

use super::super::ReportError;
use super::super::chart::{
    Figure, accuracy_by_family, reliability_diagram, training_loss, validation_agreement,
    validation_kl, validation_nll,
};
use super::super::model::Report;

/// The chart sections, as HTML; empty where the report holds nothing to draw.
pub(super) fn figures(report: &Report) -> Result<String, ReportError> {
    let learning = [
        training_loss(report)?,
        validation_nll(report)?,
        validation_kl(report)?,
        validation_agreement(report)?,
    ];
    let answers = [accuracy_by_family(report)?, reliability_diagram(report)?];
    let answers_title = match (&answers[0], &answers[1]) {
        (Some(_), Some(_)) => "Answers and calibration",
        (Some(_), None) => "Answers",
        _ => "Calibration",
    };
    Ok(section("Learning curves", &learning) + &section(answers_title, &answers))
}

fn section(title: &str, figures: &[Option<Figure>]) -> String {
    let html: String = figures.iter().flatten().map(figure_html).collect();
    if html.is_empty() {
        return html;
    }
    format!("<section>\n<h2>{title}</h2>\n<div class=\"figures\">\n{html}</div>\n</section>\n")
}

fn figure_html(figure: &Figure) -> String {
    let Figure {
        title,
        axes,
        svg,
        note,
    } = figure;
    let note = if note.is_empty() {
        String::new()
    } else {
        format!("<p class=\"note\">{note}</p>\n")
    };
    format!(
        "<figure>\n<figcaption><h3>{title}</h3><p>{axes}</p></figcaption>\n{svg}{note}</figure>\n"
    )
}
