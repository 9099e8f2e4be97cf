//! The page `report.html`: one file, no script, no network.

mod cards;
mod comparison;
mod cost;
mod document;
mod figures;
mod lede;
mod metrics;
mod samples;

pub(super) use comparison::render_comparison;
pub(super) use document::escape;

use super::ReportError;
use super::model::{ModelArm, Report};

/// The page of one report.
///
/// Sections without data are left out.
///
/// # Errors
/// [`ReportError::Chart`] if a chart cannot be drawn.
pub(super) fn render(report: &Report) -> Result<String, ReportError> {
    let title = escape(&report.title);
    let body = [
        format!(
            "<header>\n<p class=\"eyebrow\">Alambic · distillation report</p>\n<h1>{title}</h1>\n\
             <p class=\"lede\">{}</p>\n{}</header>\n",
            lede::lede(report),
            legend(report),
        ),
        cards::cards(report),
        figures::figures(report)?,
        samples::samples(report),
        metrics::metrics(report),
        cost::cost(report),
        cost::reproduce(report),
    ];
    Ok(document::document(&report.title, &body.concat()))
}

/// What the models of a report are called on the page, and the class that colours them.
fn name_and_class(arm: ModelArm) -> (&'static str, &'static str) {
    match arm {
        ModelArm::Teacher => ("teacher", "teacher"),
        ModelArm::Distilled => ("student", "student"),
        ModelArm::HardLabels => ("baseline", "baseline"),
    }
}

/// The key to the colours, shared by all charts.
fn legend(report: &Report) -> String {
    let mut items = vec![
        (
            "teacher",
            format!("teacher <b>{}</b>", escape(&report.teacher.name)),
        ),
        ("student", "student, distilled".to_owned()),
    ];
    if report.baseline.is_some() {
        items.push((
            "baseline",
            "baseline, the same student on hard labels alone".to_owned(),
        ));
    }
    let item = |(class, text): &(&str, String)| {
        format!("<li class=\"{class}\"><span class=\"dot\"></span><span>{text}</span></li>\n")
    };
    format!(
        "<ul class=\"legend\">\n{}</ul>\n",
        items.iter().map(item).collect::<String>()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
