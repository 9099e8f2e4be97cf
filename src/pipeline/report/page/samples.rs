//! The same prompts continued by each model, side by side.

use super::super::model::{Report, Sample};
use super::escape;

/// The samples, as HTML; empty where there are none.
pub(super) fn samples(report: &Report) -> String {
    if report.samples.is_empty() {
        return String::new();
    }
    let samples: String = report.samples.iter().map(sample_html).collect();
    format!("<section>\n<h2>Samples</h2>\n{samples}</section>\n")
}

fn sample_html(sample: &Sample) -> String {
    let expected = sample
        .expected
        .as_ref()
        .map_or_else(String::new, |expected| {
            format!(
                "<p class=\"expected\">expected <b dir=\"auto\">{}</b></p>\n",
                escape(expected)
            )
        });
    let baseline = sample
        .baseline
        .as_ref()
        .map_or_else(String::new, |text| answer("baseline", text));
    format!(
        "<article class=\"sample\">\n<div class=\"prompt\"><p class=\"text\" dir=\"auto\">{}</p>\n{expected}</div>\n\
         <div class=\"answers\">\n{}{}{baseline}</div>\n</article>\n",
        escape(&sample.prompt),
        answer("teacher", &sample.teacher),
        answer("student", &sample.student),
    )
}

fn answer(model: &str, text: &str) -> String {
    let text = escape(text);
    format!(
        "<div class=\"{model}\"><h3>{model}</h3><p class=\"text\" dir=\"auto\">{text}</p></div>\n"
    )
}
