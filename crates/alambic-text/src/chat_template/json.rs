//! The `tojson` filter as transformers defines it: Python's `json.dumps` without escapes.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// Writes a value as JSON: `", "` and `": "` between items unless `indent` (spaces) is given.
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Python's default is true, transformers' is false; only text that is not ASCII differs.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut json = String::new();
    write(&mut json, value, indent, 0)?;
    Ok(json)
}

fn write(
    json: &mut String,
    value: &Value,
    indent: Option<usize>,
    depth: usize,
) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => json.push_str("null"),
        ValueKind::Bool => json.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => json.push_str(&value.to_string()),
        ValueKind::String => json.push_str(&quoted(value.as_str().unwrap_or_default())),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.map(|item| (None, item)).collect();
            write_items(json, ['[', ']'], items, indent, depth)?;
        }
        ValueKind::Map => {
            let items = value
                .try_iter()?
                .map(|key| Ok((Some(quoted(&key.to_string())), value.get_item(&key)?)))
                .collect::<Result<_, Error>>()?;
            write_items(json, ['{', '}'], items, indent, depth)?;
        }
        kind => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("tojson cannot write a value of kind {kind}"),
            ));
        }
    }
    Ok(())
}

fn write_items(
    json: &mut String,
    [open, close]: [char; 2],
    items: Vec<(Option<String>, Value)>,
    indent: Option<usize>,
    depth: usize,
) -> Result<(), Error> {
    let line_break = |json: &mut String, depth: usize| {
        if let Some(width) = indent {
            json.push('\n');
            json.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    let is_empty = items.is_empty();
    json.push(open);
    for (i, (key, item)) in items.into_iter().enumerate() {
        if i > 0 {
            json.push_str(if indent.is_some() { "," } else { ", " });
        }
        line_break(json, depth + 1);
        if let Some(key) = key {
            json.push_str(&key);
            json.push_str(": ");
        }
        write(json, &item, indent, depth + 1)?;
    }
    if !is_empty {
        line_break(json, depth);
    }
    json.push(close);
    Ok(())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use minijinja::context;

    use super::*;

    fn json(value: Value, options: Kwargs) -> String {
        to_json(&value, options).unwrap()
    }

    #[test]
    fn json_is_written_as_python_does_and_nothing_is_escaped_for_html() {
        let value = context! {
            name => "<b> \"\u{e9}\"\n",
            list => vec![1, 2],
            none => (),
            empty => Vec::<u32>::new(),
            half => 0.5,
            yes => true,
        };
        assert_eq!(
            json(value, Kwargs::from_iter::<[(&str, Value); 0]>([])),
            "{\"name\": \"<b> \\\"\u{e9}\\\"\\n\", \"list\": [1, 2], \"none\": null, \
             \"empty\": [], \"half\": 0.5, \"yes\": true}"
        );
    }

    #[test]
    fn indented_json_has_one_item_per_line() {
        let value = context! { list => vec![1, 2] };
        let options = Kwargs::from_iter([("indent", Value::from(2))]);
        assert_eq!(
            json(value, options),
            "{\n  \"list\": [\n    1,\n    2\n  ]\n}"
        );
    }

    #[test]
    fn unknown_options_are_refused() {
        let options = Kwargs::from_iter([("sort_keys", Value::from(true))]);
        assert!(to_json(&Value::from(1), options).is_err());
    }
}
