//! A study as a Markdown table.

use std::fmt::Write;

use super::{Study, StudyRun};
use crate::pipeline::report::Statistic;

/// One figure of a run.
pub(super) type Figure = fn(&StudyRun) -> f64;

const FIGURES: [(&str, Figure); 3] = [
    ("NLL (nats/token)", |run| run.nll),
    ("KL to teacher (nats/token)", |run| run.kl_to_teacher),
    ("top-1 agreement", |run| run.top1_agreement),
];

impl Study {
    /// Mean ± sample standard deviation over the seeds, as Markdown.
    pub fn table(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        let mut line = |cells: Vec<String>| {
            text += "| ";
            text += &cells.join(" | ");
            text += " |\n";
        };
        let names = FIGURES.map(|(name, _)| name.to_owned());
        let mut header = vec!["targets".to_owned(), "bytes/token".into()];
        header.extend(names);
        header.extend(
            [
                "gain kept, NLL",
                "gain kept, KL",
                "gradient cosine",
                "gradient norm",
            ]
            .map(str::to_owned),
        );
        line(header.clone());
        line(vec!["---".into(); header.len()]);
        let figures = |variant| FIGURES.map(|(_, figure)| cell(self.statistic(variant, figure), 4));
        let mut hard = vec!["hard labels".to_owned(), String::new()];
        hard.extend(figures(None));
        hard.resize(header.len(), String::new());
        line(hard);
        for studied in &self.variants {
            let name = studied.variant.name.as_str();
            let mut cells = vec![name.to_owned(), format!("{:.1}", studied.bytes_per_token)];
            cells.extend(figures(Some(name)));
            let kept = |figure| {
                let share = self.share_of_gain(name, figure);
                share.map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share))
            };
            cells.push(kept(FIGURES[0].1));
            cells.push(kept(FIGURES[1].1));
            cells.push(cell(Statistic::of(&studied.gradient_cosines), 4));
            cells.push(cell(Statistic::of(&studied.gradient_norm_ratios), 4));
            line(cells);
        }
        let seeds = self.runs.iter().filter(|run| run.variant.is_none()).count();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\nMean ± sample standard deviation over {seeds} seeds on the test split; the teacher's NLL there is {:.4}. \
             Gain kept: the share of what {} gains over hard labels. Gradients: against those of {}, mean ± sample \
             standard deviation over windows of text.",
            self.teacher_nll, self.reference, self.reference
        );
        text
    }
}

fn cell(value: Option<Statistic>, digits: usize) -> String {
    match value {
        None => String::new(),
        Some(Statistic {
            mean,
            standard_deviation: Some(deviation),
            ..
        }) => format!("{mean:.digits$} ± {deviation:.digits$}"),
        Some(Statistic { mean, .. }) => format!("{mean:.digits$}"),
    }
}
