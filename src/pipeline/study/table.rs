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
            let mut size = format!("{:.1}", studied.bytes_per_token);
            if studied.head_bytes > 0 {
                size += &format!(" and {:.1} MB", studied.head_bytes as f64 / 1e6);
            }
            let mut cells = vec![name.to_owned(), size];
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
             standard deviation over windows of text. Bytes: of the shards, everything included; the teacher's head \
             comes once to the hidden states.",
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pipeline::{StudiedVariant, Variant};

    fn run(variant: Option<&str>, seed: u64, nll: f64) -> StudyRun {
        StudyRun {
            variant: variant.map(str::to_owned),
            seed,
            tokens: 10,
            seconds: 1.0,
            nll,
            kl_to_teacher: nll / 2.0,
            top1_agreement: 0.5,
        }
    }

    fn studied(name: &str, bytes_per_token: f64) -> StudiedVariant {
        StudiedVariant {
            variant: Variant {
                name: name.to_owned(),
                family: "all".to_owned(),
                set: Vec::new(),
            },
            bytes_per_token,
            head_bytes: 0,
            gradient_cosines: vec![0.9, 1.0],
            gradient_norm_ratios: Vec::new(),
        }
    }

    /// Hard labels 3.0, the reference 2.0, a variant three quarters of the way.
    fn study() -> Study {
        let mut runs = Vec::new();
        for (seed, by) in [(1, -0.1), (2, 0.1)] {
            runs.push(run(None, seed, 3.0 + by));
            runs.push(run(Some("whole"), seed, 2.0 + by));
            runs.push(run(Some("small"), seed, 2.25 + by));
        }
        Study {
            title: "a study".into(),
            reference: "whole".into(),
            teacher_nll: 1.5,
            variants: vec![studied("whole", 100.0), studied("small", 10.0)],
            runs,
        }
    }

    #[test]
    fn the_share_of_the_gain_is_that_of_the_means() {
        let study = study();
        let share = |variant| study.share_of_gain(variant, |run| run.nll).unwrap();
        assert!((share("small") - 0.75).abs() < 1e-12);
        assert!((share("whole") - 1.0).abs() < 1e-12);
        assert_eq!(study.share_of_gain("another", |run| run.nll), None);
    }

    #[test]
    fn the_table_shows_every_variant_with_its_mean_and_deviation() {
        let table = study().table();
        let row = table.lines().find(|line| line.starts_with("| small |"));
        let row = row.unwrap();
        for cell in [
            "| 10.0 |",
            "| 2.2500 ± 0.1414 |",
            "| 75.0 % |",
            "| 0.9500 ± 0.0707 |",
        ] {
            assert!(row.contains(cell), "{cell} in {row}");
        }
        assert!(table.contains("over 2 seeds"), "{table}");
    }

    #[test]
    fn the_plot_names_every_family_and_hard_labels() {
        let svg = study().plot().unwrap();
        for text in ["hard labels", "all", "bytes per token", "KL to the teacher"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("NaN"));
    }
}
