//! Jinja over the fields of a record.

use std::borrow::Cow;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use regex::RegexBuilder;

/// What one rendering may cost, in instructions, or in 64 bytes of data for each of them: far more than a record of
/// megabytes takes.
const FUEL: u64 = 20_000_000;
/// The largest compiled pattern, in bytes.
const MOST_PATTERN_BYTES: usize = 1 << 20;

/// An environment in which a field that is missing is an error, not an empty text; nothing is escaped, and the methods
/// of Python's texts, lists and dictionaries work.
pub(super) fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    environment.set_fuel(Some(FUEL));
    environment.add_filter("regex_replace", regex_replace);
    environment.add_filter("place_of", place_of);
    environment
}

/// Replaces every match of a pattern; in the replacement `$1` stands for the first group, `$$` for a dollar sign.
fn regex_replace(text: Cow<'_, str>, pattern: &str, replacement: &str) -> Result<String, Error> {
    let built = RegexBuilder::new(pattern)
        .size_limit(MOST_PATTERN_BYTES)
        .build();
    let built = built.map_err(|error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("regex_replace: {error}"),
        )
    })?;
    Ok(built.replace_all(&text, replacement).into_owned())
}

/// The place of an item in a list, counted from 0; -1 if it is not there.
fn place_of(list: &Value, item: &Value) -> Result<i64, Error> {
    let place = list.try_iter()?.position(|other| other == *item);
    Ok(place.map_or(-1, |place| place as i64))
}
