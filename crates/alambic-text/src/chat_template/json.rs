//! The `tojson` filter as transformers defines it: Python's `json.dumps` without escapes.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// The widest indentation, in spaces.
const MOST_INDENT: usize = 64;
/// The most lists and objects inside each other; a value may contain itself.
const MOST_DEPTH: usize = 128;

/// Bytes that cost as much as an instruction of the template, as in minijinja itself.
const BYTES_PER_FUEL: usize = 64;

/// Writes a value as JSON: `", "` and `": "` between items unless `indent` (spaces) is given.
pub(super) fn to_json(state: &State, value: &Value, options: Kwargs) -> Result<String, Error> {
    let pay = |fuel| state.consume_fuel(fuel);
    written(value, &options, &pay)
}

fn written(value: &Value, options: &Kwargs, pay: &Pay<'_>) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    if let Some(indent) = indent.filter(|&indent| indent > MOST_INDENT) {
        return Err(refused(format!(
            "tojson with an indent of {indent}, expected at most {MOST_INDENT}"
        )));
    }
    // Python's default is true, transformers' is false; only text that is not ASCII differs.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut writer = Writer {
        json: String::new(),
        indent,
        pay,
    };
    writer.write(value, 0)?;
    Ok(writer.json)
}

/// Takes fuel, or says that there is no more.
type Pay<'a> = dyn Fn(u64) -> Result<(), Error> + 'a;

struct Writer<'a> {
    json: String,
    indent: Option<usize>,
    /// A small template can make values that are very large as text.
    pay: &'a Pay<'a>,
}

impl Writer<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        (self.pay)(1)?;
        if depth > MOST_DEPTH {
            return Err(refused(format!(
                "tojson of more than {MOST_DEPTH} lists and objects inside each other"
            )));
        }
        match value.kind() {
            ValueKind::None | ValueKind::Undefined => self.put("null"),
            ValueKind::Bool => self.put(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.put(&value.to_string()),
            ValueKind::String => self.put(&quoted(value.as_str().unwrap_or_default())),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.map(|item| Ok((None, item)));
                self.write_items(["[", "]"], items, depth)
            }
            ValueKind::Map => {
                let items = value
                    .try_iter()?
                    .map(|key| Ok((Some(quoted(&key.to_string())), value.get_item(&key)?)));
                self.write_items(["{", "}"], items, depth)
            }
            kind => Err(refused(format!(
                "tojson cannot write a value of kind {kind}"
            ))),
        }
    }

    fn write_items(
        &mut self,
        [open, close]: [&str; 2],
        items: impl Iterator<Item = Result<(Option<String>, Value), Error>>,
        depth: usize,
    ) -> Result<(), Error> {
        let mut is_empty = true;
        self.put(open)?;
        for item in items {
            let (key, item) = item?;
            if !is_empty {
                self.put(if self.indent.is_some() { "," } else { ", " })?;
            }
            is_empty = false;
            self.line_break(depth + 1)?;
            if let Some(key) = key {
                self.put(&key)?;
                self.put(": ")?;
            }
            self.write(&item, depth + 1)?;
        }
        if !is_empty {
            self.line_break(depth)?;
        }
        self.put(close)
    }

    fn line_break(&mut self, depth: usize) -> Result<(), Error> {
        match self.indent {
            Some(width) => self.put(&format!("\n{}", " ".repeat(width * depth))),
            None => Ok(()),
        }
    }

    fn put(&mut self, text: &str) -> Result<(), Error> {
        (self.pay)((text.len() / BYTES_PER_FUEL) as u64)?;
        self.json.push_str(text);
        Ok(())
    }
}

fn refused(reason: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
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
        written(&value, &options, &|_| Ok(())).unwrap()
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
        assert!(written(&Value::from(1), &options, &|_| Ok(())).is_err());
    }
}
