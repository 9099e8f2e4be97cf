//! A value that is computed from the fields of a record.

use std::fmt;

use minijinja::Environment;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};

use super::{Record, environment, refuse};
use crate::error::TextError;

/// A Jinja expression over the fields of a record, with what [`RecordTemplate`](super::RecordTemplate) knows.
///
/// ```
/// use alambic_text::{RecordExpression, RecordFormat, read_records};
///
/// let line = br#"{"choices": [{"label": "A", "text": "ice"}, {"label": "B", "text": "fire"}], "key": "B"}"#;
/// let records = read_records(&RecordFormat::JsonLines, line, "some.jsonl")?;
/// let texts = RecordExpression::new("choices | map(attribute='text')")?;
/// assert_eq!(texts.evaluate(&records[0])?, serde_json::json!(["ice", "fire"]));
/// let right = RecordExpression::new("choices | map(attribute='label') | place_of(key)")?;
/// assert_eq!(right.evaluate(&records[0])?, 1);
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordExpression {
    environment: Environment<'static>,
    source: String,
}

impl RecordExpression {
    /// Parses an expression.
    ///
    /// # Errors
    /// [`TextError::RecordTemplate`] with the place of a syntax error.
    pub fn new(source: impl Into<String>) -> Result<Self, TextError> {
        let source = source.into();
        let environment = environment::new();
        environment.compile_expression(&source).map_err(refuse)?;
        Ok(Self {
            environment,
            source,
        })
    }

    /// The value for a record.
    ///
    /// # Errors
    /// [`TextError::RecordTemplate`] for a field that is missing or of another kind than the expression takes.
    pub fn evaluate(&self, record: &Record) -> Result<serde_json::Value, TextError> {
        let compiled = self.environment.compile_expression(&self.source);
        let fields = minijinja::Value::from(Serde(record));
        let value = compiled.and_then(|compiled| compiled.eval(fields));
        let value = value.map_err(refuse)?;
        if value.is_undefined() {
            return Err(refuse(format!(
                "`{}` is undefined for this record",
                self.source
            )));
        }
        serde_json::to_value(&value).map_err(refuse)
    }

    /// The values of a list.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`TextError::RecordTemplate`] if the value is no list.
    pub fn list(&self, record: &Record) -> Result<Vec<serde_json::Value>, TextError> {
        match self.evaluate(record)? {
            serde_json::Value::Array(values) => Ok(values),
            other => Err(refuse(format!("is no list, expected one, found {other}"))),
        }
    }

    /// The expression's source.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl TryFrom<String> for RecordExpression {
    type Error = TextError;

    fn try_from(source: String) -> Result<Self, TextError> {
        Self::new(source)
    }
}

impl From<RecordExpression> for String {
    fn from(expression: RecordExpression) -> Self {
        expression.source
    }
}

impl PartialEq for RecordExpression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for RecordExpression {}

impl fmt::Debug for RecordExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordExpression")
            .field(&self.source)
            .finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_give_values_of_every_kind() {
        let record = json!({"n": 3, "yes": true, "items": ["a", "b", "c"], "text": "x #### 1,5"});
        for (source, expected) in [
            ("n + 1", json!(4)),
            ("yes", json!(true)),
            ("items[:2]", json!(["a", "b"])),
            ("range(items | length)", json!([0, 1, 2])),
            ("text.split('#### ')[-1]", json!("1,5")),
            ("{'a': n}", json!({"a": 3})),
        ] {
            let expression = RecordExpression::new(source).unwrap();
            let found = expression.evaluate(record.as_object().unwrap()).unwrap();
            assert_eq!(found, expected, "{source}");
        }
    }

    #[test]
    fn what_is_missing_malformed_or_no_list_is_named() {
        let record = json!({"n": "abc"});
        let record = record.as_object().unwrap();
        let missing = RecordExpression::new("m").unwrap().evaluate(record);
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .contains("`m` is undefined")
        );
        assert!(RecordExpression::new("n.find(").is_err());
        let text = RecordExpression::new("n").unwrap().list(record);
        assert!(text.unwrap_err().to_string().contains("is no list"));
    }
}
