//! A file of answers that exist already.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::{AnswerWriter, WriteEnd};
use crate::SynthError;
use crate::answer::{Answer, Delivery, Finish, Outcome, Usage};
use crate::request::AnswerRequest;

/// One line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadyAnswer {
    prompt: String,
    #[serde(default)]
    strategy: Option<String>,
    #[serde(default)]
    sample: u32,
    answer: String,
}

/// Answers from a file of JSON lines: `{"prompt": "p7", "answer": "12"}`, with `"strategy"` and `"sample"` where a prompt has
/// several. An answer without a strategy is taken for every strategy that has none of its own.
///
/// A request without an answer in the file fails; the rest of the file is not used.
#[derive(Debug)]
pub struct ReadyAnswers {
    model: String,
    answers: HashMap<(String, Option<String>, u32), String>,
}

impl ReadyAnswers {
    /// Reads the file; `model` names who wrote the answers.
    ///
    /// # Errors
    /// [`SynthError::File`]; [`SynthError::Line`] for a line that is no answer, or is a second answer to one request.
    pub fn from_file(path: &Path, model: &str) -> Result<Self, SynthError> {
        let failed = |source| SynthError::file("read", path, source);
        let mut answers = HashMap::new();
        for (index, line) in BufReader::new(File::open(path).map_err(failed)?)
            .lines()
            .enumerate()
        {
            let line = line.map_err(failed)?;
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |problem| SynthError::Line {
                path: path.to_owned(),
                line: index as u64 + 1,
                problem,
            };
            let ready: ReadyAnswer =
                serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
            let key = (ready.prompt, ready.strategy, ready.sample);
            if answers.contains_key(&key) {
                let (prompt, strategy, sample) = key;
                let strategy = strategy.map_or(String::new(), |name| format!(", strategy {name}"));
                let problem = format!(
                    "prompt {prompt}{strategy}, sample {sample} has an answer already, expected one"
                );
                return Err(wrong(problem));
            }
            answers.insert(key, ready.answer);
        }
        Ok(Self {
            model: model.to_owned(),
            answers,
        })
    }

    fn answer(&self, request: &AnswerRequest) -> Option<&str> {
        let found = |strategy: Option<String>| {
            let key = (request.prompt.clone(), strategy, request.sample);
            self.answers.get(&key)
        };
        let answer = found(request.strategy.clone()).or_else(|| found(None));
        answer.map(String::as_str)
    }
}

impl AnswerWriter for ReadyAnswers {
    fn identity(&self) -> String {
        self.model.clone()
    }

    fn write(
        &mut self,
        requests: &mut dyn Iterator<Item = AnswerRequest>,
        deliver: &mut dyn FnMut(Delivery) -> Result<(), SynthError>,
    ) -> Result<WriteEnd, SynthError> {
        for request in requests {
            let outcome = match self.answer(&request) {
                Some(text) => Outcome::Answer(Answer {
                    text: text.to_owned(),
                    reasoning: None,
                    finish: Finish::Stop,
                    model: self.model.clone(),
                    log_probs: None,
                }),
                None => Outcome::Failure("the file has no answer to it".into()),
            };
            deliver(Delivery {
                request,
                outcome,
                attempts: 1,
                usage: Usage::default(),
            })?;
        }
        Ok(WriteEnd::NoMoreRequests)
    }
}
