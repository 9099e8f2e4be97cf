//! The chat template among a model's files.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use crate::error::TextError;

/// What a model directory says about its chat template.
pub(super) struct TemplateFiles {
    pub(super) source: String,
    pub(super) bos_token: String,
    pub(super) eos_token: String,
}

/// Reads `chat_template.jinja` and `tokenizer_config.json`, as far as they are there.
pub(super) fn read(directory: &Path) -> Result<Option<TemplateFiles>, TextError> {
    let config_path = directory.join("tokenizer_config.json");
    let config = match read_if_present(&config_path)? {
        Some(text) => parse(&config_path, &text)?,
        None => Value::Null,
    };
    let source = match read_if_present(&directory.join("chat_template.jinja"))? {
        Some(source) => source,
        None => match template_in_config(&config_path, &config)? {
            Some(source) => source,
            None => return Ok(None),
        },
    };
    Ok(Some(TemplateFiles {
        source,
        bos_token: token(&config_path, &config, "bos_token")?,
        eos_token: token(&config_path, &config, "eos_token")?,
    }))
}

fn read_if_present(path: &Path) -> Result<Option<String>, TextError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TextError::File {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

fn parse(path: &Path, text: &str) -> Result<Value, TextError> {
    let config: Value = serde_json::from_str(text)
        .map_err(|error| unexpected(path, format!("JSON, found an error: {error}")))?;
    if config.is_object() {
        Ok(config)
    } else {
        Err(unexpected(path, "a JSON object".to_owned()))
    }
}

/// The template in the field `chat_template`: a string, or `default` of a list of named ones.
fn template_in_config(path: &Path, config: &Value) -> Result<Option<String>, TextError> {
    let templates = match config.get("chat_template") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(source)) => return Ok(Some(source.clone())),
        Some(Value::Array(templates)) => templates,
        Some(_) => {
            let expected = "`chat_template` to be a string or a list of named templates";
            return Err(unexpected(path, expected.to_owned()));
        }
    };
    let default = templates.iter().find(|entry| entry["name"] == "default");
    match default.and_then(|entry| entry["template"].as_str()) {
        Some(source) => Ok(Some(source.to_owned())),
        None => {
            let names: Vec<&Value> = templates.iter().map(|entry| &entry["name"]).collect();
            let names = Value::from_iter(names.into_iter().cloned());
            let expected = format!("a chat template named \"default\", found {names}");
            Err(unexpected(path, expected))
        }
    }
}

/// A special token: a string, or an object with the string `content`; empty if not set.
fn token(path: &Path, config: &Value, name: &str) -> Result<String, TextError> {
    match config.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(token)) => Ok(token.clone()),
        Some(token) => match token["content"].as_str() {
            Some(content) => Ok(content.to_owned()),
            None => Err(unexpected(
                path,
                format!("`{name}` to be a string or an object with `content`, found {token}"),
            )),
        },
    }
}

fn unexpected(path: &Path, expected: String) -> TextError {
    TextError::TokenizerConfig {
        path: path.to_owned(),
        expected,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn directory(files: &[(&str, &str)]) -> TempDir {
        let directory = TempDir::new().unwrap();
        for (name, content) in files {
            fs::write(directory.path().join(name), content).unwrap();
        }
        directory
    }

    fn read_files(files: &[(&str, &str)]) -> Result<Option<TemplateFiles>, TextError> {
        read(directory(files).path())
    }

    #[test]
    fn the_template_file_comes_before_the_configuration() {
        let config = r#"{"chat_template": "old", "bos_token": "<s>",
                         "eos_token": {"__type": "AddedToken", "content": "</s>"}}"#;
        let found = read_files(&[
            ("tokenizer_config.json", config),
            ("chat_template.jinja", "new"),
        ]);
        let found = found.unwrap().unwrap();
        assert_eq!(found.source, "new");
        assert_eq!((&*found.bos_token, &*found.eos_token), ("<s>", "</s>"));
    }

    #[test]
    fn among_named_templates_the_default_is_taken() {
        let config = r#"{"chat_template": [{"name": "tool_use", "template": "t"},
                                           {"name": "default", "template": "d"}]}"#;
        let found = read_files(&[("tokenizer_config.json", config)])
            .unwrap()
            .unwrap();
        assert_eq!((&*found.source, &*found.bos_token), ("d", ""));
    }

    #[test]
    fn a_directory_without_a_template_has_none() {
        assert!(read_files(&[]).unwrap().is_none());
        let config = r#"{"chat_template": null}"#;
        assert!(
            read_files(&[("tokenizer_config.json", config)])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_configuration_with_wrong_types_is_an_error_that_names_it() {
        for config in [
            "{",
            "[]",
            r#"{"chat_template": 7}"#,
            r#"{"chat_template": [{"name": "tool_use", "template": "t"}]}"#,
            r#"{"chat_template": "t", "bos_token": 1}"#,
        ] {
            let message = match read_files(&[("tokenizer_config.json", config)]) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("expected an error for {config}"),
            };
            assert!(
                message.contains("tokenizer_config.json: expected"),
                "{message}"
            );
        }
    }
}
