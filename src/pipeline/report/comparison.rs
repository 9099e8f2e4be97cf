//! Runs set side by side: mean and standard deviation by title and model.

use super::metric::{Metric, metric_rows};
use super::model::{ModelArm, Report};
use super::page;
use super::quantity::{self, KeepLines, NOT_MEASURED};
use super::text_table::text_table;

/// The models of a report in the order of its columns.
const ARMS: [ModelArm; 3] = [ModelArm::Teacher, ModelArm::Distilled, ModelArm::HardLabels];

/// Mean of one figure over runs, with its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistic {
    /// Arithmetic mean over the runs that measured the figure.
    pub mean: f64,
    /// Sample standard deviation, divisor `runs − 1`; `None` for a single run.
    pub standard_deviation: Option<f64>,
    /// Number of runs that measured the figure.
    pub runs: usize,
}

impl Statistic {
    /// Mean and sample standard deviation of `values`; `None` where there are none.
    ///
    /// ```
    /// use alambic::pipeline::report::Statistic;
    ///
    /// let statistic = Statistic::of(&[1.0, 2.0, 3.0]).expect("three values");
    /// assert_eq!(statistic.mean, 2.0);
    /// assert_eq!(statistic.standard_deviation, Some(1.0));
    /// assert_eq!(Statistic::of(&[]), None);
    /// ```
    pub fn of(values: &[f64]) -> Option<Self> {
        let runs = values.len();
        if runs == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / runs as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_deviation = (runs > 1).then(|| (squares / (runs as f64 - 1.0)).sqrt());
        Some(Self {
            mean,
            standard_deviation,
            runs,
        })
    }
}

/// One model of the runs that share a title.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonGroup {
    /// The runs' title.
    pub title: String,
    /// Which model.
    pub arm: ModelArm,
    /// Number of runs that have this model.
    pub runs: usize,
    /// One entry per column of the comparison; `None` was measured in no run.
    pub statistics: Vec<Option<Statistic>>,
}

/// Runs set side by side.
#[derive(Debug, Clone)]
pub struct Comparison {
    groups: Vec<ComparisonGroup>,
    metrics: Vec<Metric>,
}

/// Gathers reports that share a title into means and sample standard deviations.
///
/// Groups come in the order in which titles first appear, models in the order teacher, student,
/// baseline. A model that no run of the title has is left out, as is a figure that no run
/// measured. No reports give an empty comparison.
pub fn compare(reports: &[Report]) -> Comparison {
    let rows: Vec<_> = reports
        .iter()
        .map(|report| (report, metric_rows(report)))
        .collect();
    let mut titles: Vec<&str> = Vec::new();
    for report in reports {
        if !titles.contains(&report.title.as_str()) {
            titles.push(&report.title);
        }
    }
    let metrics: Vec<Metric> = rows.first().map_or_else(Vec::new, |(_, rows)| {
        rows.iter().map(|row| row.metric).collect()
    });
    let mut groups = Vec::new();
    for title in titles {
        for arm in ARMS {
            let runs: Vec<_> = rows
                .iter()
                .filter(|(report, _)| report.title == title && has(report, arm))
                .map(|(_, rows)| rows)
                .collect();
            if runs.is_empty() {
                continue;
            }
            let statistic = |column: usize| {
                let values: Vec<f64> = runs
                    .iter()
                    .filter_map(|rows| rows[column].of(arm))
                    .collect();
                Statistic::of(&values)
            };
            let statistics = (0..metrics.len()).map(statistic).collect();
            groups.push(ComparisonGroup {
                title: title.to_owned(),
                arm,
                runs: runs.len(),
                statistics,
            });
        }
    }
    Comparison { groups, metrics }.without_empty_columns()
}

fn has(report: &Report, arm: ModelArm) -> bool {
    arm != ModelArm::HardLabels || report.baseline.is_some()
}

impl Comparison {
    /// The groups in the order of the table.
    pub fn groups(&self) -> &[ComparisonGroup] {
        &self.groups
    }

    /// Names of the figures, with unit where the values carry none, in the order of
    /// [`ComparisonGroup::statistics`].
    pub fn columns(&self) -> Vec<String> {
        let name = |metric: &Metric| match metric.unit {
            "" => metric.name.to_owned(),
            unit => format!("{} ({unit})", metric.name),
        };
        self.metrics.iter().map(name).collect()
    }

    /// The comparison for the terminal: one block per title, one row per figure, one column per
    /// model, each cell `mean ± sample standard deviation`.
    ///
    /// A cell that fewer runs measured than its column counts says how many in brackets.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for groups in self.blocks() {
            let title = quantity::visible(&groups[0].title, KeepLines::No);
            let mut header = vec!["metric".to_owned(), String::new()];
            header.extend(groups.iter().map(|group| group.heading()));
            let rows: Vec<Vec<String>> = self
                .block_rows(groups)
                .into_iter()
                .map(|(metric, cells)| {
                    let unit = if metric.unit.is_empty() {
                        String::new()
                    } else {
                        format!(" ({})", metric.unit)
                    };
                    let mut row = vec![
                        format!("{}{unit}", metric.name),
                        metric.better.arrow().to_owned(),
                    ];
                    row.extend(cells);
                    row
                })
                .collect();
            text.push_str(&format!("{title}\n\n{}\n", text_table(&header, &rows)));
        }
        text.push_str(
            "mean ± sample standard deviation over runs; ↓ lower is better, ↑ higher is better\n",
        );
        text
    }

    /// The comparison as one page that needs no other file.
    pub fn html(&self) -> String {
        page::render_comparison(self)
    }

    /// The groups of each title.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[ComparisonGroup]> {
        self.groups.chunk_by(|a, b| a.title == b.title)
    }

    /// The figures that any of `groups` has, with one cell per group.
    pub(super) fn block_rows(&self, groups: &[ComparisonGroup]) -> Vec<(Metric, Vec<String>)> {
        let measured = |column: &usize| groups.iter().any(|g| g.statistics[*column].is_some());
        (0..self.metrics.len())
            .filter(measured)
            .map(|column| {
                let metric = self.metrics[column];
                (
                    metric,
                    groups
                        .iter()
                        .map(|group| group.cell(column, &metric))
                        .collect(),
                )
            })
            .collect()
    }

    /// The figures of all groups, for a table across titles.
    pub(super) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    fn without_empty_columns(mut self) -> Self {
        let kept: Vec<bool> = (0..self.metrics.len())
            .map(|column| {
                self.groups
                    .iter()
                    .any(|group| group.statistics[column].is_some())
            })
            .collect();
        let mut keep = kept.iter();
        self.metrics
            .retain(|_| keep.next().copied().unwrap_or(true));
        for group in &mut self.groups {
            let mut keep = kept.iter();
            group
                .statistics
                .retain(|_| keep.next().copied().unwrap_or(true));
        }
        self
    }
}

impl ComparisonGroup {
    /// What the model is called.
    pub(super) fn model(&self) -> &'static str {
        match self.arm {
            ModelArm::Teacher => "teacher",
            ModelArm::Distilled => "student",
            ModelArm::HardLabels => "baseline",
        }
    }

    fn heading(&self) -> String {
        let runs = if self.runs == 1 { "run" } else { "runs" };
        format!("{}, {} {runs}", self.model(), self.runs)
    }

    /// `mean ± standard deviation`; the number of runs where some did not measure the figure.
    pub(super) fn cell(&self, column: usize, metric: &Metric) -> String {
        let Some(statistic) = self.statistics[column] else {
            return NOT_MEASURED.to_owned();
        };
        let mut cell = (metric.format)(statistic.mean);
        if let Some(deviation) = statistic.standard_deviation {
            cell.push_str(&format!(" ± {}", (metric.format)(deviation)));
        }
        if statistic.runs < self.runs {
            cell.push_str(&format!(" [{}]", statistic.runs));
        }
        cell
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{bare_report, realistic_report};
    use super::*;

    #[test]
    fn runs_that_share_a_title_are_averaged() {
        let mut reports = [
            realistic_report(1),
            realistic_report(2),
            realistic_report(3),
        ];
        for (report, nll) in reports.iter_mut().zip([1.0, 2.0, 3.0]) {
            report.student.nll = nll;
        }
        let comparison = compare(&reports);
        let arms: Vec<_> = comparison
            .groups()
            .iter()
            .map(|group| (group.arm, group.runs))
            .collect();
        assert_eq!(arms, ARMS.map(|arm| (arm, 3)));
        let nll = comparison
            .columns()
            .iter()
            .position(|name| name.starts_with("NLL"))
            .unwrap();
        let student = comparison.groups()[1].statistics[nll].unwrap();
        assert_eq!(
            student,
            Statistic {
                mean: 2.0,
                standard_deviation: Some(1.0),
                runs: 3
            }
        );
        assert!(
            comparison.table().contains("2.000 ± 1.000"),
            "{}",
            comparison.table()
        );
    }

    #[test]
    fn titles_stay_apart_in_their_first_order() {
        let comparison = compare(&[realistic_report(1), bare_report(), realistic_report(2)]);
        let titles: Vec<_> = comparison
            .groups()
            .iter()
            .map(|g| (g.title.as_str(), g.arm))
            .collect();
        assert_eq!(titles.len(), 5);
        assert_eq!(titles[4], ("Student alone", ModelArm::Distilled));
    }

    #[test]
    fn a_single_run_has_no_deviation() {
        let table = compare(&[realistic_report(1)]).table();
        assert!(table.contains("student, 1 run"), "{table}");
        assert_eq!(table.matches('±').count(), 1, "{table}");
    }

    #[test]
    fn a_figure_that_some_runs_lack_says_how_many_have_it() {
        let mut lacking = realistic_report(2);
        lacking.student.answer_accuracy = None;
        let table = compare(&[realistic_report(1), lacking]).table();
        assert!(table.contains("% [1]"), "{table}");
    }

    #[test]
    fn nothing_compares_to_nothing() {
        let comparison = compare(&[]);
        assert!(comparison.groups().is_empty());
        assert!(comparison.html().contains("<main>"));
    }
}
