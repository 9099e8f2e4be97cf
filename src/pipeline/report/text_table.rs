//! Aligned columns of plain text: the first to the left, the others to the right.

/// Sets `rows` under `header`, with a rule between; every row has as many cells as the header.
///
/// Widths count characters. Lines carry no trailing spaces and end in a line feed.
pub(crate) fn text_table(header: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| &row[column]).chain([&header[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
    let lines = [header, &rule]
        .into_iter()
        .chain(rows.iter().map(Vec::as_slice));
    lines.map(|cells| line(cells, &widths)).collect()
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        if column == 0 {
            text.push_str(&format!("{cell:<width$}"));
        } else {
            text.push_str(&format!("  {cell:>width$}"));
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_characters_not_bytes() {
        let cells = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        let rows = [cells(&["KL ↓", "0.1"]), cells(&["agreement", "84.2%"])];
        let table = text_table(&cells(&["metric", "student"]), &rows);
        let expected = "\
metric     student
─────────  ───────
KL ↓           0.1
agreement    84.2%
";
        assert_eq!(table, expected);
    }
}
