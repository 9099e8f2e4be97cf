//! The page of a comparison: students across titles, then every figure per title.

use super::super::comparison::{Comparison, ComparisonGroup};
use super::document::{document, escape};

/// The figures that decide between recipes, shown across titles.
const HEADLINES: [&str; 6] = [
    "NLL",
    "bits per byte",
    "KL to teacher",
    "top-1 agreement",
    "answer accuracy",
    "training time",
];

/// The page of several runs.
pub(in super::super) fn render_comparison(comparison: &Comparison) -> String {
    let title = "Comparison of runs";
    let mut body = format!(
        "<header>\n<p class=\"eyebrow\">Alambic · comparison</p>\n<h1>{title}</h1>\n\
         <p class=\"lede\">Mean ± sample standard deviation over the runs that share a title. \
         ↓ lower is better, ↑ higher is better; in brackets the number of runs where not all \
         measured a figure.</p>\n</header>\n"
    );
    if comparison.blocks().count() > 1 {
        body.push_str(&overview(comparison));
    }
    for groups in comparison.blocks() {
        body.push_str(&block(comparison, groups));
    }
    document(title, &body)
}

fn overview(comparison: &Comparison) -> String {
    let columns: Vec<_> = comparison
        .metrics()
        .iter()
        .enumerate()
        .filter(|(_, metric)| HEADLINES.contains(&metric.name))
        .collect();
    let heads: String = columns
        .iter()
        .map(|(_, m)| format!("<th scope=\"col\">{} {}</th>", m.name, m.better.arrow()))
        .collect();
    let mut rows = String::new();
    for groups in comparison.blocks() {
        rows.push_str(&format!(
            "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>\n",
            columns.len() + 2,
            escape(&groups[0].title),
        ));
        for group in groups {
            let cells: String = columns
                .iter()
                .map(|(column, metric)| format!("<td>{}</td>", group.cell(*column, metric)))
                .collect();
            rows.push_str(&format!(
                "<tr class=\"{model}\"><th scope=\"row\"><span class=\"dot inline\"></span> \
                 {model}</th><td>{}</td>{cells}</tr>\n",
                group.runs,
                model = group.model(),
            ));
        }
    }
    format!(
        "<section>\n<h2>Overview</h2>\n<div class=\"scroll\"><table>\n<thead><tr>\
         <th scope=\"col\">model</th><th scope=\"col\">runs</th>{heads}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )
}

fn block(comparison: &Comparison, groups: &[ComparisonGroup]) -> String {
    let heads: String = groups
        .iter()
        .map(|group| {
            format!(
                "<th scope=\"col\" class=\"{model}\"><span class=\"dot inline\"></span> {model} \
                 <span class=\"quiet\">n = {}</span></th>",
                group.runs,
                model = group.model(),
            )
        })
        .collect();
    let rows: String = comparison
        .block_rows(groups)
        .iter()
        .map(|(metric, cells)| {
            let cells: String = cells
                .iter()
                .map(|cell| format!("<td>{cell}</td>"))
                .collect();
            format!(
                "<tr><th scope=\"row\">{} {} <span class=\"quiet\">{}</span></th>{cells}</tr>\n",
                metric.name,
                metric.better.arrow(),
                metric.unit,
            )
        })
        .collect();
    format!(
        "<section>\n<h2>{}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>\
         <th scope=\"col\">figure</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n</section>\n",
        escape(&groups[0].title),
    )
}
