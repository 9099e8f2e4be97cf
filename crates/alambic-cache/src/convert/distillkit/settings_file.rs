//! `compression_config.yaml`: as much of YAML as DistillKit writes.

use std::path::Path;

use serde_json::{Map, Value};

use super::compression::Compression;
use crate::CacheError;

/// Reads the settings: keys with scalars, and lists of scalars or of small tables, a line each.
pub(super) fn parse(text: &str, path: &Path) -> Result<Compression, CacheError> {
    let refuse = |field: &str, expected: String, found: String| CacheError::Foreign {
        path: path.to_owned(),
        what: format!("the settings: {field}"),
        expected,
        found,
    };
    let mut settings = Map::new();
    let mut last_key = String::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        read_line(line, &mut settings, &mut last_key).ok_or_else(|| {
            let expected = "`key: value`, `- value` or `- key: value`";
            refuse(
                &format!("line {}", number + 1),
                expected.into(),
                line.into(),
            )
        })?;
    }
    let compression: Compression =
        serde_json::from_value(Value::Object(settings)).map_err(|error| {
            let expected = "the settings of DistillKit's compression of distributions";
            refuse("the file", expected.into(), error.to_string())
        })?;
    match compression.broken() {
        Some((field, expected, found)) => Err(refuse(field, expected, found)),
        None => Ok(compression),
    }
}

/// Adds one line to the settings; `None` if it is of no kind that is known.
fn read_line(line: &str, settings: &mut Map<String, Value>, last_key: &mut String) -> Option<()> {
    let content = line.trim_start();
    if let Some(item) = content.strip_prefix("- ") {
        let list = settings.get_mut(last_key.as_str())?;
        if list.is_null() {
            *list = Value::Array(Vec::new());
        }
        let item = match item.split_once(':') {
            Some((key, value)) => Value::Object(Map::from_iter([pair(key, value)])),
            None => scalar(item),
        };
        list.as_array_mut()?.push(item);
        return Some(());
    }
    let (key, value) = pair_of(content)?;
    if content.len() == line.len() {
        last_key.clone_from(&key);
        settings.insert(key, value);
        return Some(());
    }
    // Indented: one more key of the last table of a list.
    let list = settings.get_mut(last_key.as_str())?.as_array_mut()?;
    list.last_mut()?.as_object_mut()?.insert(key, value);
    Some(())
}

fn pair_of(content: &str) -> Option<(String, Value)> {
    content.split_once(':').map(|(key, value)| pair(key, value))
}

fn pair(key: &str, value: &str) -> (String, Value) {
    (key.trim().to_owned(), scalar(value))
}

/// A number, a truth value, an empty list, nothing or a word.
fn scalar(text: &str) -> Value {
    let text = text.trim();
    match text {
        "" | "null" | "~" => Value::Null,
        _ => serde_json::from_str(text)
            .unwrap_or_else(|_| Value::String(text.trim_matches('\'').to_owned())),
    }
}
