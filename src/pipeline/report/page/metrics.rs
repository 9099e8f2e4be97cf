//! Every figure of the report as a table.

use super::super::metric::{Better, MetricRow, metric_rows};
use super::super::model::Report;
use super::super::quantity::NOT_MEASURED;

/// The table of all figures, as HTML; the better of the two students is set in bold.
pub(super) fn metrics(report: &Report) -> String {
    let has_baseline = report.baseline.is_some();
    let rows: String = metric_rows(report)
        .iter()
        .filter(|row| row.teacher.or(row.student).or(row.baseline).is_some())
        .map(|row| row_html(row, has_baseline))
        .collect();
    let baseline = if has_baseline {
        "<th scope=\"col\">baseline</th>"
    } else {
        ""
    };
    format!(
        "<section>\n<h2>All figures</h2>\n<div class=\"scroll\"><table>\n<thead><tr>\
         <th scope=\"col\"><span class=\"quiet\">↓ lower, ↑ higher is better</span></th>\
         <th scope=\"col\">teacher</th><th scope=\"col\">student</th>{baseline}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )
}

fn row_html(row: &MetricRow, has_baseline: bool) -> String {
    let metric = &row.metric;
    let shown = |value: Option<f64>| value.map_or_else(|| NOT_MEASURED.to_owned(), metric.format);
    let (mut student, mut baseline) = (shown(row.student), shown(row.baseline));
    if student != baseline {
        match better(row) {
            Some(Winner::Student) => student = format!("<b>{student}</b>"),
            Some(Winner::Baseline) => baseline = format!("<b>{baseline}</b>"),
            None => {}
        }
    }
    let baseline = if has_baseline {
        format!("<td>{baseline}</td>")
    } else {
        String::new()
    };
    let unit = if metric.unit.is_empty() {
        String::new()
    } else {
        format!(" <span class=\"quiet\">{}</span>", metric.unit)
    };
    format!(
        "<tr><th scope=\"row\">{} {}{unit}</th><td>{}</td><td>{student}</td>{baseline}</tr>\n",
        metric.name,
        metric.better.arrow(),
        shown(row.teacher),
    )
}

enum Winner {
    Student,
    Baseline,
}

fn better(row: &MetricRow) -> Option<Winner> {
    let (student, baseline) = (row.student?, row.baseline?);
    match row.metric.better {
        Better::Neither => None,
        Better::Lower if student < baseline => Some(Winner::Student),
        Better::Higher if student > baseline => Some(Winner::Student),
        _ if student == baseline => None,
        _ => Some(Winner::Baseline),
    }
}
