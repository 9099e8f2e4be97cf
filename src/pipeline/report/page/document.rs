//! The frame of a page, and text that is safe within it.

use super::super::quantity::{self, KeepLines};

/// The document around `body`; `title` is plain text, `body` is HTML.
///
/// The content security policy forbids every load, so that the page cannot reach the network
/// whatever stands in it.
pub(super) fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    let css = include_str!("report.css");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{css}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Plain text as HTML, for content and for quoted attributes.
///
/// Control characters become pictures; line feeds and tabs stay.
pub(in super::super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in quantity::visible(text, KeepLines::Yes).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}
