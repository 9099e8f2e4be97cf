//! Text in the cells of Markdown tables.

/// `text` so that it stays in its cell.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
