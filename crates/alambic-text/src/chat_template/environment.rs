//! Jinja as Hugging Face transformers sets it up.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind};

use super::fixed_date::FixedDate;
use super::json::to_json;

/// An environment for templates that were written for Python.
pub(super) fn new() -> Result<Environment<'static>, Error> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", to_json);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", refuse_clock);
    Ok(environment)
}

/// Makes `strftime_now` answer with one date.
pub(super) fn set_date(environment: &mut Environment<'static>, date: FixedDate) {
    environment.add_function("strftime_now", move |format: &str| date.format(format));
}

fn raise_exception(message: &str) -> Result<String, Error> {
    Err(Error::new(
        ErrorKind::InvalidOperation,
        format!("the template refuses these messages: {message}"),
    ))
}

fn refuse_clock(_format: &str) -> Result<String, Error> {
    Err(Error::new(
        ErrorKind::InvalidOperation,
        "the template asks for today's date, which would change the text from day to day; \
         give it a fixed date",
    ))
}

/// Turns the tags of `{% generation %}` blocks into blocks that are always rendered.
///
/// transformers marks assistant turns with them; here prefixes locate the turns.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        result.push_str(before);
        // Behind the opening, with which `{%}` shares its percent sign.
        let Some(end) = tag[2..].find("%}").map(|end| end + 2) else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end);
        match tag[2..].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+') {
            "generation" => result.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => result.push_str(&tag.replace("endgeneration", "endif")),
            _ => result.push_str(tag),
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_become_blocks_that_are_always_rendered() {
        assert_eq!(
            without_generation_tags("a{%- generation -%}{{ b }}{% endgeneration +%}{% if c %}"),
            "a{%- if true -%}{{ b }}{% endif +%}{% if c %}"
        );
        for unchanged in [
            "",
            "{% set generation = 1 %}",
            "{% generation",
            "100 %}",
            "{%}",
            "{%}%}",
        ] {
            assert_eq!(without_generation_tags(unchanged), unchanged);
        }
    }
}
