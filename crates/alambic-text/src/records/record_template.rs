//! A text with places for the fields of a record.

use std::fmt;

use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::{Deserialize, Serialize};

use super::{Record, environment, refuse};
use crate::error::TextError;

const NAME: &str = "template";

/// A Jinja template over the fields of a record.
///
/// A field that is missing is an error, not an empty text; nothing is escaped, and a line break at the end stays. The
/// methods of Python's texts, lists and dictionaries work, and two filters more than Jinja's own:
/// `text | regex_replace(pattern, replacement)`, and `list | place_of(item)`, which is -1 where the item is missing. In a
/// file it is its source.
///
/// ```
/// use alambic_text::{RecordFormat, RecordTemplate, read_records};
///
/// let records = read_records(&RecordFormat::JsonLines, br#"{"a": 7, "b": "[x] five"}"#, "sums.jsonl")?;
/// let template = RecordTemplate::new(r"{{ a }} + {{ b | regex_replace('\\[.*?\\] ', '') }} =")?;
/// assert_eq!(template.render(&records[0])?, "7 + five =");
/// assert!(RecordTemplate::new("{{ c }}")?.render(&records[0]).is_err());
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordTemplate {
    environment: Environment<'static>,
    source: String,
}

impl RecordTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// [`TextError::RecordTemplate`] with the line of a syntax error.
    pub fn new(source: impl Into<String>) -> Result<Self, TextError> {
        let source = source.into();
        let mut environment = environment::new();
        environment
            .add_template_owned(NAME, source.clone())
            .map_err(refuse)?;
        Ok(Self {
            environment,
            source,
        })
    }

    /// The text of a record.
    ///
    /// # Errors
    /// [`TextError::RecordTemplate`] for a field that is missing or of another kind than the template takes.
    pub fn render(&self, record: &Record) -> Result<String, TextError> {
        let template = self.environment.get_template(NAME);
        let fields = Value::from(Serde(record));
        let text = template.and_then(|template| template.render(fields));
        text.map_err(refuse)
    }

    /// The template's source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl TryFrom<String> for RecordTemplate {
    type Error = TextError;

    fn try_from(source: String) -> Result<Self, TextError> {
        Self::new(source)
    }
}

impl From<RecordTemplate> for String {
    fn from(template: RecordTemplate) -> Self {
        template.source
    }
}

impl PartialEq for RecordTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for RecordTemplate {}

impl fmt::Debug for RecordTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordTemplate").field(&self.source).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rendered(source: &str, record: serde_json::Value) -> Result<String, TextError> {
        let template = RecordTemplate::new(source)?;
        template.render(record.as_object().unwrap())
    }

    #[test]
    fn templates_see_the_fields_and_nothing_is_escaped_or_trimmed() {
        let record = json!({"a": "<b> & c", "list": ["x", "y"], "deep": {"n": 2}, "none": null});
        for (source, expected) in [
            ("{{ a }}\n", "<b> & c\n"),
            ("{{ list | join(', ') }} {{ deep.n }}", "x, y 2"),
            ("{% if none %}no{% endif %}{{ a.split(' ')[0] }}", "<b>"),
            (
                "{{ list | place_of('y') }}{{ list | place_of('z') }}",
                "1-1",
            ),
            (
                "{{ list | map('regex_replace', '[xy]', 'z') | join }}",
                "zz",
            ),
        ] {
            assert_eq!(rendered(source, record.clone()).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        for (source, told) in [
            ("{{ b }}", "undefined"),
            ("{{ a", "expected end of"),
            ("{{ a | regex_replace('(', '') }}", "regex_replace"),
            (
                "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
                "fuel",
            ),
        ] {
            let error = rendered(source, json!({"a": "x"})).unwrap_err().to_string();
            assert!(error.contains(told), "{source}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_source_brings_a_template_down(source in r"(\{\{|\}\}|\{%|%\}|if |for |in |end|a|\||~|'|\(|\)|\[|\]|[ 0-9.+*-]){0,30}") {
            let _ = rendered(&source, json!({"a": ["x", "y"]}));
            let _ = rendered(&format!("{{{{ {source} }}}}"), json!({"a": "x"}));
        }
    }
}
