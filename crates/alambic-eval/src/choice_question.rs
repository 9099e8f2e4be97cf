//! Questions with choices.

use alambic_text::{Record, RecordExpression, RecordTemplate};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::prompting::Shot;

/// How a record becomes a question with choices. Templates are Jinja, expressions too; both see the record's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceTemplates {
    /// The template of the prompt.
    pub prompt: RecordTemplate,
    /// The expression of the choices: a list of texts.
    pub choices: RecordExpression,
    /// The expression of the right one: its place, counted from 0.
    pub answer: RecordExpression,
    /// What stands between prompt and choice, and counts as the choice's: a space if not given. In a chat nothing does.
    #[serde(default = "space")]
    pub delimiter: String,
    /// What stands before a choice where its likelihood without the question is wanted, such as "Answer:".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconditional_prompt: Option<String>,
}

pub(crate) fn space() -> String {
    " ".to_owned()
}

/// A question with choices, of which one is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceQuestion {
    /// Names it in results and errors: its file and place.
    pub id: String,
    /// At least two.
    pub choices: Vec<Choice>,
    /// The place of the right choice, counted from 0.
    pub right: usize,
    /// What stands before a choice where its likelihood without the question is wanted.
    pub unconditional_prompt: Option<String>,
}

/// What may follow a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What the model reads: of most questions the same for all choices.
    pub prompt: String,
    /// What is scored behind it, with the delimiter before it.
    pub text: String,
}

/// What a record says.
pub(crate) struct ChoiceParts<'a> {
    pub(crate) prompt: String,
    texts: Vec<String>,
    right: usize,
    templates: &'a ChoiceTemplates,
}

impl ChoiceTemplates {
    pub(crate) fn parts(&self, fields: &Record) -> Result<ChoiceParts<'_>, String> {
        let prompt = self.prompt.render(fields);
        let prompt = prompt.map_err(|error| format!("choice.prompt: {error}"))?;
        let texts = self.choices.list(fields);
        let texts = texts.map_err(|error| format!("choice.choices: {error}"))?;
        let texts: Vec<String> = texts.iter().map(spelled).collect();
        if texts.len() < 2 {
            let count = texts.len();
            return Err(format!(
                "choice.choices: {count} choices, expected at least two"
            ));
        }
        let right = right_place("choice.answer", &self.answer, fields, texts.len())?;
        Ok(ChoiceParts {
            prompt,
            texts,
            right,
            templates: self,
        })
    }
}

impl ChoiceParts<'_> {
    pub(crate) fn question(self, id: String, prompt: String, is_chat: bool) -> ChoiceQuestion {
        let delimiter = if is_chat {
            ""
        } else {
            &self.templates.delimiter
        };
        let choice = |text: &String| Choice {
            prompt: prompt.clone(),
            text: format!("{delimiter}{text}"),
        };
        ChoiceQuestion {
            id,
            choices: self.texts.iter().map(choice).collect(),
            right: self.right,
            unconditional_prompt: self.templates.unconditional_prompt.clone(),
        }
    }

    pub(crate) fn shot(mut self) -> Shot {
        Shot {
            prompt: self.prompt,
            delimiter: self.templates.delimiter.clone(),
            answer: self.texts.swap_remove(self.right),
        }
    }
}

/// A value as a text: a text itself, other values as JSON.
pub(crate) fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The place that an expression gives, which may be spelled as a text or a decimal such as `1.0`.
pub(crate) fn right_place(
    name: &str,
    expression: &RecordExpression,
    fields: &Record,
    count: usize,
) -> Result<usize, String> {
    let value = expression.evaluate(fields);
    let value = value.map_err(|error| format!("{name}: {error}"))?;
    let place = value.as_u64().and_then(|place| usize::try_from(place).ok());
    place.filter(|&place| place < count).ok_or_else(|| {
        let last = count - 1;
        format!("{name} is {value}, expected a place from 0 to {last}")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Prompting, Task};

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

    fn questions(task: &Task, lines: &str) -> Result<Vec<ChoiceQuestion>, crate::EvalError> {
        let records = task.records(lines.as_bytes(), None, "f")?;
        let questions = task.questions(&records, &Prompting::default())?;
        Ok(questions.choices().unwrap())
    }

    #[test]
    fn templates_and_expressions_see_the_fields_of_a_record() {
        let task: Task = TASK.parse().unwrap();
        let record =
            r#"{"question": "Which?", "options": ["(A) x", "(B) y", "(C) z"], "label": "C"}"#;
        let choice = |text: &str| Choice {
            prompt: "Which?\n(A) x\n(B) y\n(C) z\nAnswer:".into(),
            text: text.into(),
        };
        let expected = ChoiceQuestion {
            id: "f:1".into(),
            choices: vec![choice(" A"), choice(" B"), choice(" C")],
            right: 2,
            unconditional_prompt: Some("Answer:".into()),
        };
        assert_eq!(questions(&task, record).unwrap(), [expected]);
    }

    #[test]
    fn a_record_that_makes_no_question_is_named() {
        let sound = r#"{"question": "", "options": [], "label": "A"}"#;
        for (from, to, record, told) in [
            (
                "",
                "",
                r#"{"question": "x", "options": []}"#,
                "choice.answer",
            ),
            ("", "", r#"{"options": [], "label": "A"}"#, "choice.prompt"),
            (
                "",
                "",
                r#"{"question": "x", "options": [], "label": "D"}"#,
                "choice.answer is -1, expected a place from 0 to 2",
            ),
            (
                "['A', 'B', 'C']",
                "['A', 'B', 'C'][label | length - 1:]",
                r#"{"question": "x", "options": [], "label": "BCD"}"#,
                "1 choices, expected at least two",
            ),
            (
                "['A', 'B', 'C']",
                "question or ['A', 'B']",
                r#"{"question": "x", "options": [], "label": "A"}"#,
                "is no list",
            ),
        ] {
            let task: Task = TASK.replace(from, to).parse().unwrap();
            let error = questions(&task, &format!("{sound}\n{record}")).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("f, record 2: ") && error.contains(told),
                "{error}"
            );
        }
    }
}
