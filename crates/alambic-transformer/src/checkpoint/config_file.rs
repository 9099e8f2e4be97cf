//! Reading `config.json` field by field, with errors that name the field.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::TransformerError;

/// A parsed `config.json`; fields inside an object are addressed with a dot.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl ConfigFile {
    pub(crate) fn read(path: &Path) -> Result<Self, TransformerError> {
        let text = std::fs::read(path).map_err(|source| TransformerError::Io {
            action: "read",
            path: path.to_path_buf(),
            source,
        })?;
        let fields = serde_json::from_slice(&text).map_err(|source| TransformerError::Json {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            fields,
        })
    }

    /// Fields that are to be written to `path`.
    pub(crate) fn of_fields(path: PathBuf, fields: Map<String, Value>) -> Self {
        Self { path, fields }
    }

    /// The value of a field, null included.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        let mut path = field.split('.');
        let first = self.fields.get(path.next()?);
        path.try_fold(first?, |value, key| value.get(key))
    }

    fn get_stated(&self, field: &str) -> Option<&Value> {
        self.get(field).filter(|value| !value.is_null())
    }

    /// The field holds something other than what is expected.
    pub(crate) fn wrong_field(&self, field: &str, expected: &str) -> TransformerError {
        TransformerError::ConfigField {
            path: self.path.clone(),
            field: field.to_string(),
            found: self.found(field),
            expected: expected.to_string(),
        }
    }

    /// The field holds something that is not computed.
    pub(crate) fn unsupported(&self, setting: &str, supported: &str) -> TransformerError {
        TransformerError::UnsupportedModel {
            path: self.path.clone(),
            setting: setting.to_string(),
            found: self.found(setting),
            supported: supported.to_string(),
        }
    }

    fn found(&self, field: &str) -> String {
        self.get(field)
            .map_or_else(|| "missing".to_string(), Value::to_string)
    }

    /// Refuses a field unless it is absent, null, or equal to `only` (numbers by value).
    pub(crate) fn refuse_other_than(
        &self,
        field: &str,
        only: &Value,
    ) -> Result<(), TransformerError> {
        match self.get_stated(field) {
            None => Ok(()),
            Some(value) if value == only => Ok(()),
            Some(value) if value.is_number() && value.as_f64() == only.as_f64() => Ok(()),
            Some(_) => Err(self.unsupported(field, &only.to_string())),
        }
    }

    pub(crate) fn required_str(&self, field: &str) -> Result<&str, TransformerError> {
        self.get(field)
            .and_then(Value::as_str)
            .ok_or_else(|| self.wrong_field(field, "a text"))
    }

    pub(crate) fn required_usize(&self, field: &str) -> Result<usize, TransformerError> {
        self.optional_usize(field)?
            .ok_or_else(|| self.wrong_field(field, "a whole number"))
    }

    pub(crate) fn optional_usize(&self, field: &str) -> Result<Option<usize>, TransformerError> {
        self.optional(field, "a whole number", |value| {
            value.as_u64().and_then(|number| number.try_into().ok())
        })
    }

    pub(crate) fn required_f64(&self, field: &str) -> Result<f64, TransformerError> {
        self.optional_f64(field)?
            .ok_or_else(|| self.wrong_field(field, "a number"))
    }

    pub(crate) fn optional_f64(&self, field: &str) -> Result<Option<f64>, TransformerError> {
        self.optional(field, "a number", Value::as_f64)
    }

    pub(crate) fn optional_bool(&self, field: &str) -> Result<Option<bool>, TransformerError> {
        self.optional(field, "true or false", Value::as_bool)
    }

    /// A list with one item for each of `length` places.
    pub(crate) fn optional_list<T>(
        &self,
        field: &str,
        length: usize,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, TransformerError> {
        self.optional(field, expected, |value| {
            let items = value.as_array().filter(|items| items.len() == length)?;
            items.iter().map(&read).collect()
        })
    }

    pub(crate) fn optional_str(&self, field: &str) -> Result<Option<&str>, TransformerError> {
        match self.get_stated(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_field(field, "a text")),
        }
    }

    /// Whether the field holds an object.
    pub(crate) fn has_object(&self, field: &str) -> bool {
        self.get(field).is_some_and(Value::is_object)
    }

    pub(crate) fn optional_token(&self, field: &str) -> Result<Option<u32>, TransformerError> {
        self.optional(field, "a token id", token)
    }

    /// A token id of the vocabulary, a list of them, or nothing.
    pub(crate) fn tokens(
        &self,
        field: &str,
        vocab_size: usize,
    ) -> Result<Vec<u32>, TransformerError> {
        let tokens = self.optional(field, "a token id or a list of them", |value| match value {
            Value::Array(ids) => ids.iter().map(token).collect(),
            single => token(single).map(|id| vec![id]),
        })?;
        let tokens = tokens.unwrap_or_default();
        if tokens.iter().any(|&id| id as usize >= vocab_size) {
            return Err(self.wrong_field(field, "token ids below vocab_size"));
        }
        Ok(tokens)
    }

    fn optional<T>(
        &self,
        field: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, TransformerError> {
        self.get_stated(field)
            .map(|value| read(value).ok_or_else(|| self.wrong_field(field, expected)))
            .transpose()
    }
}

fn token(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| id.try_into().ok())
}
