//! Tasks: how records become questions.

use std::path::Path;
use std::str::FromStr;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::records::{RecordFormat, read_records};

/// Name of the template inside of its environment.
const PROMPT: &str = "prompt";

/// A benchmark: where its records are, and how they become questions. A TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// A short name, as in tables.
    pub name: String,
    /// What is asked, and where the records come from.
    pub description: String,
    /// How files hold the records.
    pub records: RecordFormat,
    /// How a record becomes a question with choices.
    pub choice: ChoiceTemplates,
}

/// How a record becomes a question with choices. Templates are Jinja, expressions too; both see the record's fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceTemplates {
    /// The template of the prompt.
    pub prompt: String,
    /// The expression of the choices: a list of texts.
    pub choices: String,
    /// The expression of the right one: its place, counted from 0.
    pub answer: String,
    /// What stands between prompt and choice, and counts as the choice's: a space if not given.
    #[serde(default = "space")]
    pub delimiter: String,
    /// What stands before a choice where its likelihood without the question is wanted, such as "Answer:".
    #[serde(default)]
    pub unconditional_prompt: Option<String>,
}

fn space() -> String {
    " ".to_owned()
}

/// A question with choices, of which one is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceQuestion {
    /// Names it in results and errors: its file and place.
    pub id: String,
    /// What the model reads.
    pub prompt: String,
    /// What may follow, with the delimiter before it; at least two.
    pub choices: Vec<String>,
    /// The place of the right choice, counted from 0.
    pub right: usize,
    /// What stands before a choice where its likelihood without the question is wanted.
    pub unconditional_prompt: Option<String>,
}

impl FromStr for Task {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self, EvalError> {
        let task: Self = toml::from_str(text).map_err(|error| EvalError::Task {
            task: "the task".into(),
            problem: error.to_string(),
        })?;
        task.environment()?;
        Ok(task)
    }
}

impl Task {
    /// Reads a task's TOML file.
    ///
    /// # Errors
    /// [`EvalError::File`] and [`EvalError::Task`].
    pub fn from_file(path: &Path) -> Result<Self, EvalError> {
        let text = read(path)?;
        let text = String::from_utf8_lossy(&text);
        text.parse().map_err(|error| match error {
            EvalError::Task { problem, .. } => EvalError::Task {
                task: path.display().to_string(),
                problem,
            },
            other => other,
        })
    }

    /// The questions of a file of records, in their order.
    ///
    /// # Errors
    /// [`EvalError::File`], and those of [`questions`](Self::questions).
    pub fn questions_of_file(&self, path: &Path) -> Result<Vec<ChoiceQuestion>, EvalError> {
        let name = path.file_name().unwrap_or(path.as_os_str());
        self.questions(&read(path)?, &name.to_string_lossy())
    }

    /// The questions of records; `file` names them.
    ///
    /// # Errors
    /// [`EvalError::Record`] for a record without a field that the task reads, with fewer than two choices, or without a right
    /// one; [`EvalError::NoRecords`]. Equal choices are taken, since published files have some; the first of them counts.
    pub fn questions(&self, bytes: &[u8], file: &str) -> Result<Vec<ChoiceQuestion>, EvalError> {
        let environment = self.environment()?;
        let records = read_records(&self.records, bytes, file)?;
        let question = |(index, record)| {
            let question = self.question(&environment, &Value::from(Serde(&record)));
            let id = format!("{file}:{}", index + 1);
            let question = question.map_err(|problem| EvalError::Record {
                file: file.to_owned(),
                record: index + 1,
                problem,
            });
            question.map(|question| ChoiceQuestion { id, ..question })
        };
        records.into_iter().enumerate().map(question).collect()
    }

    /// Templates and expressions, checked.
    fn environment(&self) -> Result<Environment<'_>, EvalError> {
        let mut environment = Environment::new();
        // A field that is missing is an error, not an empty text.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
        let wrong = |field: &str, error: minijinja::Error| EvalError::Task {
            task: self.name.clone(),
            problem: format!("choice.{field}: {error}"),
        };
        let prompt = environment.add_template(PROMPT, &self.choice.prompt);
        prompt.map_err(|error| wrong("prompt", error))?;
        for (field, expression) in [
            ("choices", &self.choice.choices),
            ("answer", &self.choice.answer),
        ] {
            let compiled = environment.compile_expression(expression);
            compiled.map_err(|error| wrong(field, error))?;
        }
        Ok(environment)
    }

    fn question(
        &self,
        environment: &Environment<'_>,
        record: &Value,
    ) -> Result<ChoiceQuestion, String> {
        let template = environment.get_template(PROMPT);
        let prompt = template.and_then(|template| template.render(record));
        let prompt = prompt.map_err(|error| format!("choice.prompt: {error}"))?;
        let value = |field: &str, expression: &str| {
            let compiled = environment.compile_expression(expression);
            let value = compiled.and_then(|compiled| compiled.eval(record));
            value.map_err(|error| format!("choice.{field}: {error}"))
        };
        let listed = value("choices", &self.choice.choices)?;
        // A part of a list is an iterable; a text is neither.
        let is_list = matches!(listed.kind(), ValueKind::Seq | ValueKind::Iterable);
        let listed = listed.try_iter().ok().filter(|_| is_list);
        let listed = listed.ok_or("choice.choices is no list, expected a list of texts")?;
        let choices: Vec<String> = listed
            .map(|choice| format!("{}{choice}", self.choice.delimiter))
            .collect();
        if choices.len() < 2 {
            return Err(format!("{} choices, expected at least two", choices.len()));
        }
        let answer = value("answer", &self.choice.answer)?;
        let right = usize::try_from(answer.clone()).ok();
        let right = right.filter(|&right| right < choices.len());
        let right = right.ok_or_else(|| {
            let last = choices.len() - 1;
            format!("choice.answer is {answer}, expected a place from 0 to {last}")
        })?;
        Ok(ChoiceQuestion {
            id: String::new(),
            prompt,
            choices,
            right,
            unconditional_prompt: self.choice.unconditional_prompt.clone(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EvalError> {
    std::fs::read(path).map_err(|source| EvalError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TASK: &str = r#"
        name = "letters"
        description = "Letters for answers"
        [records]
        format = "json_lines"
        [choice]
        prompt = "{{ question }}{% for option in options %}\n{{ option }}{% endfor %}\nAnswer:"
        choices = "['A', 'B', 'C']"
        answer = "'ABC'.find(label)"
        unconditional_prompt = "Answer:"
    "#;

    #[test]
    fn templates_and_expressions_see_the_fields_of_a_record() {
        let task: Task = TASK.parse().unwrap();
        let record =
            br#"{"question": "Which?", "options": ["(A) x", "(B) y", "(C) z"], "label": "C"}"#;
        let questions = task.questions(record, "some.jsonl").unwrap();
        let expected = ChoiceQuestion {
            id: "some.jsonl:1".into(),
            prompt: "Which?\n(A) x\n(B) y\n(C) z\nAnswer:".into(),
            choices: vec![" A".into(), " B".into(), " C".into()],
            right: 2,
            unconditional_prompt: Some("Answer:".into()),
        };
        assert_eq!(questions, [expected]);
        let written = toml::to_string(&task).unwrap();
        assert_eq!(written.parse::<Task>().unwrap(), task);
    }

    #[test]
    fn a_record_that_makes_no_question_is_named() {
        let task: Task = TASK.parse().unwrap();
        for (record, told) in [
            (r#"{"question": "x", "options": []}"#, "choice.answer"),
            (r#"{"options": [], "label": "A"}"#, "choice.prompt"),
            (
                r#"{"question": "x", "options": [], "label": "D"}"#,
                "choice.answer is -1, expected a place from 0 to 2",
            ),
        ] {
            let lines =
                format!("{{\"question\": \"\", \"options\": [], \"label\": \"A\"}}\n{record}");
            let error = task.questions(lines.as_bytes(), "f").unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("f, record 2: ") && error.contains(told),
                "{error}"
            );
        }
        let mut single = task.clone();
        single.choice.choices = "['A']".into();
        let mut text = task;
        text.choice.choices = "'ABC'".into();
        for (task, told) in [
            (single, "1 choices, expected at least two"),
            (text, "is no list"),
        ] {
            let record = br#"{"question": "", "options": [], "label": "A"}"#;
            let error = task.questions(record, "f").unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_task_that_cannot_work_is_refused_when_it_is_read() {
        for (from, to, told) in [
            ("{{ question }}", "{{ question", "choice.prompt"),
            ("'ABC'.find(label)", "'ABC'.find(", "choice.answer"),
            ("json_lines", "xml", "xml"),
            ("delimiter", "delimiter", ""),
            ("answer =", "anser =", "anser"),
        ] {
            let changed = TASK.replacen(from, to, 1);
            let result = changed.parse::<Task>();
            match changed == TASK {
                true => assert!(result.is_ok()),
                false => {
                    let error = result.unwrap_err().to_string();
                    assert!(error.contains(told), "{error}");
                }
            }
        }
    }
}
