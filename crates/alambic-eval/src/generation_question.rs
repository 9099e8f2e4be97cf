//! Questions that are answered in the model's own words.

use alambic_text::{
    AcceptedAnswers, AnswerComparison, AnswerExtraction, Record, RecordExpression, RecordTemplate,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::choice_question::{space, spelled};
use crate::prompting::Shot;

/// How a record becomes a question that is answered in the model's own words, and how the answer is judged. Templates are
/// Jinja, expressions too; both see the record's fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerationTemplates {
    /// The template of the prompt.
    pub prompt: RecordTemplate,
    /// The accepted answers.
    pub answers: AnswerTemplates,
    /// The expression of the choices, a list of texts, where an answer may name one by its letter or its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<RecordExpression>,
    /// Where the answer stands in what the model writes.
    pub extraction: AnswerExtraction,
    /// How it is compared with the accepted ones.
    pub comparison: AnswerComparison,
    /// Texts that end what the model writes, none of them empty; they are no part of it.
    #[serde(default)]
    pub stop: Vec<String>,
    /// The longest answer, at least one token.
    pub max_new_tokens: usize,
    /// What stands between prompt and answer of an example before the question: a space if not given. In a chat nothing does.
    #[serde(default = "space")]
    pub delimiter: String,
}

/// The accepted answers: a text or a number, or a list of answers, of which each is a text, a number or a list of spans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnswerTemplates {
    /// An expression.
    Expression(RecordExpression),
    /// A template that writes them as JSON, where they are more than an expression.
    Json {
        /// The template.
        json: RecordTemplate,
    },
}

/// A question that is answered in the model's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationQuestion {
    /// Names it in results and errors: its file and place.
    pub id: String,
    /// What the model reads.
    pub prompt: String,
    /// What counts as right; at least one.
    pub accepted: AcceptedAnswers,
}

impl GenerationTemplates {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.stop.iter().any(String::is_empty) {
            return Err("generation.stop has an empty text, which would end every answer".into());
        }
        match self.max_new_tokens {
            0 => Err("generation.max_new_tokens is 0, expected at least 1".into()),
            _ => Ok(()),
        }
    }

    /// The prompt, and what counts as right.
    pub(crate) fn parts(&self, fields: &Record) -> Result<(String, AcceptedAnswers), String> {
        let prompt = self.prompt.render(fields);
        let prompt = prompt.map_err(|error| format!("generation.prompt: {error}"))?;
        let answers = self.answers.value(fields);
        let answers = answers.and_then(|value| accepted(&value));
        let answers = answers.map_err(|problem| format!("generation.answers: {problem}"))?;
        let choices = match &self.choices {
            None => Vec::new(),
            Some(choices) => {
                let choices = choices.list(fields);
                let choices = choices.map_err(|error| format!("generation.choices: {error}"))?;
                choices.iter().map(spelled).collect()
            }
        };
        Ok((prompt, AcceptedAnswers { answers, choices }))
    }

    pub(crate) fn shot(&self, fields: &Record) -> Result<Shot, String> {
        let (prompt, accepted) = self.parts(fields)?;
        Ok(Shot {
            prompt,
            delimiter: self.delimiter.clone(),
            answer: accepted.answers[0].join(", "),
        })
    }
}

impl AnswerTemplates {
    fn value(&self, fields: &Record) -> Result<Value, String> {
        match self {
            Self::Expression(expression) => {
                let value = expression.evaluate(fields);
                value.map_err(|error| error.to_string())
            }
            Self::Json { json } => {
                let text = json.render(fields).map_err(|error| error.to_string())?;
                let value = serde_json::from_str(&text);
                value.map_err(|error| format!("expected JSON, found {text}: {error}"))
            }
        }
    }
}

/// Lists of spans.
fn accepted(value: &Value) -> Result<Vec<Vec<String>>, String> {
    let span = |value: &Value| match value {
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(format!("expected a text or a number, found {value}"))
        }
        value => Ok(spelled(value)),
    };
    let answer = |value: &Value| match value {
        Value::Array(spans) => spans.iter().map(span).collect(),
        value => Ok(vec![span(value)?]),
    };
    let answers: Vec<Vec<String>> = match value {
        Value::Array(answers) => answers.iter().map(answer).collect::<Result<_, String>>()?,
        value => vec![answer(value)?],
    };
    match answers.iter().any(Vec::is_empty) || answers.is_empty() {
        true => Err(format!("expected at least one answer, found {value}")),
        false => Ok(answers),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_texts_numbers_and_lists_of_them() {
        let spans = |spans: &[&str]| spans.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        for (value, expected) in [
            (json!("72"), vec![spans(&["72"])]),
            (json!(7.5), vec![spans(&["7.5"])]),
            (json!(true), vec![spans(&["true"])]),
            (json!(["a", 3]), vec![spans(&["a"]), spans(&["3"])]),
            (
                json!([["a", "b"], "c"]),
                vec![spans(&["a", "b"]), spans(&["c"])],
            ),
        ] {
            assert_eq!(accepted(&value).unwrap(), expected);
        }
        for value in [
            json!(null),
            json!([]),
            json!([[]]),
            json!({"a": 1}),
            json!([[["a"]]]),
        ] {
            assert!(accepted(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_template_may_write_the_answers_as_json() {
        let json = RecordTemplate::new("[{% for a in all %}[{{ a | tojson }}],{% endfor %}\"-\"]");
        let templates = AnswerTemplates::Json {
            json: json.unwrap(),
        };
        let fields = json!({"all": ["x <y>", "\"z\""]});
        let value = templates.value(fields.as_object().unwrap()).unwrap();
        assert_eq!(value, json!([["x <y>"], ["\"z\""], "-"]));
        let broken = AnswerTemplates::Json {
            json: RecordTemplate::new("[").unwrap(),
        };
        let error = broken.value(fields.as_object().unwrap()).unwrap_err();
        assert!(error.contains("expected JSON, found ["), "{error}");
    }
}
