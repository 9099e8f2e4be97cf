//! The report as a table for the terminal.

use super::metric::{Metric, metric_rows};
use super::model::Report;
use super::quantity::{self, KeepLines, NOT_MEASURED};
use super::text_table::text_table;

impl Report {
    /// The figures of the report as aligned columns: metric, teacher, student and, where there
    /// is one, baseline.
    ///
    /// Arrows point into the better direction; `–` was not measured. Control characters of the
    /// title and of names are shown as pictures.
    pub fn table(&self) -> String {
        let shown = |value: Option<f64>, metric: &Metric| {
            value.map_or_else(|| NOT_MEASURED.to_owned(), metric.format)
        };
        let mut header: Vec<String> = ["metric", "", "teacher", "student"]
            .map(str::to_owned)
            .to_vec();
        if self.baseline.is_some() {
            header.push("baseline".to_owned());
        }
        let mut rows = Vec::new();
        for row in metric_rows(self) {
            if row.teacher.or(row.student).or(row.baseline).is_none() {
                continue;
            }
            let metric = &row.metric;
            let unit = if metric.unit.is_empty() {
                String::new()
            } else {
                format!(" ({})", metric.unit)
            };
            let mut cells = vec![
                format!("{}{unit}", metric.name),
                metric.better.arrow().to_owned(),
                shown(row.teacher, metric),
                shown(row.student, metric),
            ];
            if self.baseline.is_some() {
                cells.push(shown(row.baseline, metric));
            }
            rows.push(cells);
        }
        let title = quantity::visible(&self.title, KeepLines::No);
        format!(
            "{title}\n\n{}\n{}",
            text_table(&header, &rows),
            self.table_notes()
        )
    }

    /// The lines below the table: legend, chance, cache.
    fn table_notes(&self) -> String {
        let mut notes = String::from("↓ lower is better, ↑ higher is better");
        if self.baseline.is_some() {
            notes.push_str("; baseline: the same student trained on hard labels alone");
        }
        notes.push('\n');
        if let Some(chance) = self.chance_accuracy {
            notes.push_str(&format!(
                "guessing answers {} of the problems\n",
                quantity::percent(chance)
            ));
        }
        notes.push_str(&match &self.cache {
            Some(cache) => format!(
                "cache: {} tokens, {}, {:.1} bytes/token, {}{}\n",
                quantity::count(cache.tokens as f64),
                quantity::bytes(cache.bytes as f64),
                cache.bytes_per_token,
                cache.kept,
                cache.mean_tail_mass.map_or_else(String::new, |mass| {
                    format!(", mean tail mass {}", quantity::percent(mass))
                }),
            ),
            None => "no cache: the teacher, with a tokenizer of its own, answered while the student trained; \
                     compare the two by bits per byte\n"
                .to_owned(),
        });
        notes.push_str(&format!(
            "teacher {} on {}, seed {}\n",
            quantity::visible(&self.teacher.name, KeepLines::No),
            quantity::visible(&self.device, KeepLines::No),
            self.seed,
        ));
        notes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{bare_report, realistic_report};

    #[test]
    fn the_table_aligns_its_columns() {
        let table = realistic_report(17).table();
        let lines: Vec<&str> = table.lines().skip(2).take(15).collect();
        assert!(lines[0].starts_with("metric"), "{table}");
        assert!(lines[0].ends_with("baseline"), "{table}");
        let width = lines[0].chars().count();
        for line in &lines {
            assert_eq!(line.chars().count(), width, "{line:?} in\n{table}");
        }
        assert!(table.contains("NLL (nats/token)"), "{table}");
    }

    #[test]
    fn without_a_baseline_there_is_no_such_column() {
        let table = bare_report().table();
        assert!(!table.contains("baseline"), "{table}");
        assert!(!table.contains("answer accuracy"), "{table}");
    }

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        let mut report = bare_report();
        report.title = "\u{1b}[2Jgone".into();
        assert!(report.table().starts_with("␛[2Jgone\n"));
    }
}
