//! Prompts of other people's files.

use std::path::{Path, PathBuf};

use alambic_text::{
    AcceptedAnswers, Record, RecordExpression, RecordFormat, RecordTemplate, TextError,
    read_records,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SynthError;
use crate::prompt::{Prompt, Source};

/// How the records of files become prompts. Templates are Jinja over the fields of a record, expressions too.
///
/// ```
/// use alambic_synth::PromptFiles;
///
/// # #[derive(serde::Deserialize)] struct Recipe { prompts: PromptFiles }
/// let recipe: Recipe = toml::from_str(r#"
///     [prompts]
///     files = ["train.jsonl"]
///     records = { format = "json_lines" }
///     source = { name = "gsm8k", licence = "MIT" }
///     kind = "word_problem"
///     user = "{{ question }}"
///     reference = "answer.split('#### ')[1]"
/// "#)?;
/// let line = br#"{"question": "Ann has 3 pens and buys 4. How many?", "answer": "3 + 4 = 7\n#### 7"}"#;
/// let prompts = recipe.prompts.prompts(line, "train.jsonl")?;
/// assert_eq!((prompts[0].id.as_str(), prompts[0].kind.as_str()), ("gsm8k/train.jsonl:1", "word_problem"));
/// assert_eq!(prompts[0].accepted.as_ref().unwrap().answers, [["7"]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFiles {
    /// The files.
    pub files: Vec<PathBuf>,
    /// How they hold records.
    pub records: RecordFormat,
    /// Where the prompts come from.
    pub source: Source,
    /// The template of a prompt's kind.
    pub kind: RecordTemplate,
    /// The template of what the user says.
    pub user: RecordTemplate,
    /// The expression of the right answer, or of a list of answers that are all right.
    #[serde(default)]
    pub reference: Option<RecordExpression>,
    /// The expression of the choices, a list of texts, where the answer is one of them.
    #[serde(default)]
    pub choices: Option<RecordExpression>,
    /// The template of a prompt's identity; the source, the file's name and the record's place if not given.
    #[serde(default)]
    pub id: Option<RecordTemplate>,
}

impl PromptFiles {
    /// The prompts of all files, in their order.
    ///
    /// # Errors
    /// [`SynthError::File`], and those of [`prompts`](Self::prompts).
    pub fn read(&self) -> Result<Vec<Prompt>, SynthError> {
        let mut prompts = Vec::new();
        for path in &self.files {
            let bytes = std::fs::read(path);
            let bytes = bytes.map_err(|source| SynthError::file("read", path, source))?;
            let name = path.file_name().unwrap_or(path.as_os_str());
            prompts.extend(self.prompts(&bytes, &name.to_string_lossy())?);
        }
        Ok(prompts)
    }

    /// The prompts of a file's content; `file` names it.
    ///
    /// # Errors
    /// [`SynthError::Text`] for a file that is damaged; [`SynthError::Line`] for a record that makes no prompt.
    pub fn prompts(&self, bytes: &[u8], file: &str) -> Result<Vec<Prompt>, SynthError> {
        let records = read_records(&self.records, bytes, file)?;
        let prompts = records.iter().enumerate().map(|(index, record)| {
            let failed = |problem: String| SynthError::Record {
                path: Path::new(file).to_owned(),
                record: index as u64 + 1,
                problem,
            };
            self.prompt(record, file, index + 1).map_err(failed)
        });
        prompts.collect()
    }

    fn prompt(&self, record: &Record, file: &str, number: usize) -> Result<Prompt, String> {
        let render = |key: &str, template: &RecordTemplate| {
            let text = template
                .render(record)
                .map_err(|error| in_words(key, &error))?;
            match text.trim().is_empty() {
                true => Err(format!("{key} is empty, expected some text")),
                false => Ok(text),
            }
        };
        let evaluate = |key: &str, expression: &RecordExpression| {
            expression
                .evaluate(record)
                .map_err(|error| in_words(key, &error))
        };
        let accepted = match &self.reference {
            None => None,
            Some(reference) => {
                let answers = texts("reference", evaluate("reference", reference)?)?;
                let choices = self.choices.as_ref();
                let choices =
                    choices.map(|choices| texts("choices", evaluate("choices", choices)?));
                Some(AcceptedAnswers {
                    answers: answers.into_iter().map(|answer| vec![answer]).collect(),
                    choices: choices.transpose()?.unwrap_or_default(),
                })
            }
        };
        Ok(Prompt {
            id: match &self.id {
                Some(id) => render("id", id)?,
                None => format!("{}/{file}:{number}", self.source.name),
            },
            kind: render("kind", &self.kind)?.trim().to_owned(),
            labels: Vec::new(),
            user: render("user", &self.user)?,
            accepted,
            source: self.source.clone(),
        })
    }
}

/// One text or several; numbers and truth values as they are written.
fn texts(key: &str, value: Value) -> Result<Vec<String>, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => Err(format!(
            "{key} is {other}, expected a text or a list of texts"
        )),
    };
    match &value {
        Value::Array(values) if !values.is_empty() => values.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn in_words(key: &str, error: &TextError) -> String {
    format!("{key}: {error}")
}
