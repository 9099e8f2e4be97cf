//! An experiment as a Markdown table.

use std::fmt::Write;

use super::{Contender, ContenderRun, Experiment};
use crate::pipeline::report::Statistic;

/// One figure of a run.
pub(super) type Figure = fn(&ContenderRun) -> Option<f64>;

const COLUMNS: [(&str, Figure, usize); 6] = [
    ("NLL (nats/token)", |run| Some(run.nll), 4),
    // What models of unlike tokens are compared by.
    (
        "bits per byte",
        |run| match run.kl_to_teacher {
            Some(_) => None,
            None => Some(run.bits_per_byte),
        },
        4,
    ),
    ("KL to teacher (nats/token)", |run| run.kl_to_teacher, 4),
    ("top-1 agreement", |run| run.top1_agreement, 4),
    ("labels", |run| Some(run.tokens as f64), 0),
    ("seconds", |run| Some(run.seconds), 0),
];

/// The sides in the order in which they are shown.
pub(super) const ROWS: [(Contender, &str); 3] = [
    (Contender::Distilled, "distilled"),
    (
        Contender::HardLabelsEqualTokens,
        "hard labels, equal tokens",
    ),
    (Contender::HardLabelsEqualTime, "hard labels, equal time"),
];

impl Experiment {
    /// Mean ± sample standard deviation over the seeds, as Markdown.
    pub fn table(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        let mut line = |cells: &[String]| {
            text += "| ";
            text += &cells.join(" | ");
            text += " |\n";
        };
        let mut header = vec!["student".to_owned(), "learning rate".to_owned()];
        let is_measured = |figure: Figure| self.runs.iter().any(|run| figure(run).is_some());
        let columns: Vec<_> = COLUMNS
            .iter()
            .filter(|(_, figure, _)| is_measured(*figure))
            .collect();
        header.extend(columns.iter().map(|(name, _, _)| (*name).to_owned()));
        line(&header);
        line(&vec!["---".to_owned(); header.len()]);
        for (contender, name) in ROWS {
            let Some(first) = self.runs.iter().find(|run| run.contender == contender) else {
                continue;
            };
            let mut cells = vec![name.to_owned(), format!("{:e}", first.learning_rate)];
            cells.extend(columns.iter().map(|(_, figure, digits)| {
                self.statistic(contender, *figure)
                    .map_or_else(String::new, |value| cell(&value, *digits))
            }));
            line(&cells);
        }
        let seeds = self
            .runs
            .iter()
            .filter(|run| run.contender == Contender::Distilled)
            .count();
        // Writing to a string cannot fail.
        let teacher = match self.runs.iter().any(|run| run.kl_to_teacher.is_some()) {
            true => format!(
                "The teacher's NLL there is {:.4}; capture took {:.0} s.",
                self.teacher_nll, self.capture_seconds
            ),
            false => format!(
                "The teacher, with tokens of its own, needs {:.4} bits per byte.",
                self.teacher_bits_per_byte
            ),
        };
        let _ = writeln!(
            text,
            "\nMean ± sample standard deviation over {seeds} seeds on the test split. {teacher}\n"
        );
        for (contender, tried) in &self.search {
            let tried: Vec<String> = tried
                .iter()
                .map(|(rate, nll)| format!("{rate:e}: {nll:.4}"))
                .collect();
            let _ = writeln!(
                text,
                "Search, {contender} (validation NLL by learning rate): {}",
                tried.join(", ")
            );
        }
        text
    }
}

fn cell(value: &Statistic, digits: usize) -> String {
    match value.standard_deviation {
        Some(deviation) => format!("{:.digits$} ± {deviation:.digits$}", value.mean),
        None => format!("{:.digits$}", value.mean),
    }
}
