//! Settings of other kinds than the recipe of a run, from a file and overrides.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::load::{Document, read_text};
use super::source_tree::{Node, NodeValue};
use super::{RecipeError, RecipeText};

/// Settings, and where their relative paths start.
pub(crate) struct Settings<T> {
    /// The settings; paths are as they were written.
    pub(crate) value: T,
    document: Document,
}

impl<T: DeserializeOwned> Settings<T> {
    /// Reads a file and applies overrides as [`Recipe::load`](super::Recipe::load) does.
    ///
    /// # Errors
    /// Those of [`Recipe::load`](super::Recipe::load); [`RecipeError::Settings`] for the first key that does not fit.
    pub(crate) fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let (name, text) = read_text(path)?;
        let source = RecipeText {
            name: &name,
            text: &text,
            directory: path.parent().unwrap_or(Path::new("")),
        };
        let (document, problems) = Document::parse(&source, overrides)?;
        if !problems.is_empty() {
            return Err(RecipeError::Invalid { name, problems });
        }
        let read = match overrides.is_empty() {
            // The text knows its lines.
            true => toml::from_str(&text),
            false => T::deserialize(toml_value(&document.tree)),
        };
        match read {
            Ok(value) => Ok(Self { value, document }),
            Err(error) => Err(RecipeError::Settings {
                name,
                problem: error.to_string().trim_end().to_owned(),
            }),
        }
    }

    /// Makes the path at a key absolute: it starts at the file's directory, or at the current one if an override gives it.
    pub(crate) fn resolve(&self, path: &mut PathBuf, key: &str) {
        self.document.resolve(path, key);
    }
}

/// The tree as the TOML library has it; what an override has unset is left out.
fn toml_value(node: &Node) -> toml::Value {
    match &node.value {
        NodeValue::String(text) | NodeValue::Datetime(text) => text.clone().into(),
        NodeValue::Integer { value, text } => match value {
            Some(value) => (*value).into(),
            None => text.clone().into(),
        },
        NodeValue::Float { value, .. } => (*value).into(),
        NodeValue::Boolean(value) => (*value).into(),
        NodeValue::Array(items) => items.iter().map(toml_value).collect::<Vec<_>>().into(),
        NodeValue::Table(entries) => {
            let set = entries
                .iter()
                .filter(|(_, entry)| entry.value.value != NodeValue::Nothing);
            let members = set.map(|(key, entry)| (key.clone(), toml_value(&entry.value)));
            toml::Value::Table(members.collect())
        }
        NodeValue::Nothing => toml::Value::String(String::new()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wine {
        year: u32,
        grapes: BTreeMap<String, f64>,
        #[serde(default)]
        notes: Vec<String>,
        cellar: Option<PathBuf>,
    }

    fn load(text: &str, overrides: &[&str]) -> Result<Settings<Wine>, RecipeError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wine.toml");
        std::fs::write(&path, text).unwrap();
        let overrides: Vec<String> = overrides.iter().map(|it| (*it).to_owned()).collect();
        Settings::load(&path, &overrides)
    }

    const WINE: &str = "year = 1998\ncellar = \"low\"\n[grapes]\nmerlot = 0.6\n";

    #[test]
    fn overrides_change_what_the_file_says() {
        let settings = load(WINE, &["grapes.merlot=0.5", "year=1999", "notes=[\"dry\"]"]).unwrap();
        let wine = &settings.value;
        assert_eq!((wine.year, wine.grapes["merlot"]), (1999, 0.5));
        assert_eq!(wine.notes, ["dry"]);
        assert!(
            load(WINE, &["cellar=unset"])
                .unwrap()
                .value
                .cellar
                .is_none()
        );
        let mut cellar = wine.cellar.clone().unwrap();
        settings.resolve(&mut cellar, "cellar");
        assert!(cellar.is_absolute() && cellar.ends_with("low"));
    }

    #[test]
    fn a_key_that_does_not_fit_is_named_with_its_place() {
        for (text, overrides, told) in [
            (WINE.replace("1998", "\"old\"").as_str(), &[][..], "line 1"),
            (WINE.replace("year", "yaer").as_str(), &[], "yaer"),
            (WINE, &["grapes.merlot=much"], "merlot"),
            ("year = ", &[], "wine.toml is not valid TOML"),
        ] {
            let error = load(text, overrides).err().unwrap().to_string();
            assert!(
                error.contains(told) && error.contains("wine.toml"),
                "{error}"
            );
        }
    }
}
