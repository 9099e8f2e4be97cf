//! Answers in the model's own words.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use alambic_text::{SpecialTokensInText, TextError, TextStream, Tokenizer};
use alambic_transformer::{DecodeSession, Decoder, FinishReason, GenerationConfig, Slot};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::encoding::{EncodedText, TextEncoder, TooLong};
use crate::generation_question::{GenerationQuestion, GenerationTemplates};

/// How a model is asked for answers in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationOptions {
    /// The token that begins every text, if one does. A prompt that begins with it already gets no second one.
    pub begin_token: Option<u32>,
    /// Tokens that end an answer.
    pub stop_tokens: Vec<u32>,
    /// What becomes of prompts that leave no place for the longest answer.
    pub too_long: TooLong,
    /// How many answers are written beside each other, at least one; it does not change them, but for the last bits of sums.
    pub batch: usize,
}

/// A question with what a model answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratedAnswer {
    /// The question's identity.
    pub id: String,
    /// What the model wrote, without what ended it.
    pub text: String,
    /// The answer in it, if one was found.
    pub extracted: Option<String>,
    /// What was accepted, spans of one answer with `", "` between them.
    pub accepted: Vec<String>,
    /// How right it is, from 0 to 1; 0 without an answer.
    pub score: f64,
    /// Whether it ended by itself, before the longest answer.
    pub finished: bool,
    /// Whether the prompt lost its first tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Lets a model answer questions in its own words, greedily, and judges the answers as the task says.
///
/// An answer ends before the first of the task's stop texts, at a stop token, or with the longest number of tokens. Questions of
/// any lengths are answered beside each other; one that ends makes place for the next.
///
/// # Errors
/// [`EvalError::TooLong`] and [`EvalError::NoTokens`] naming the question; the tokenizer's and the model's.
///
/// # Panics
/// If `batch` is 0.
pub fn generate_answers(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    task: &GenerationTemplates,
    questions: &[GenerationQuestion],
    options: &GenerationOptions,
) -> Result<Vec<GeneratedAnswer>, EvalError> {
    assert!(options.batch > 0, "a batch of no answers");
    let encoder = TextEncoder {
        tokenizer,
        begin_token: options.begin_token,
        limit: decoder.config().max_batched_tokens(),
        too_long: options.too_long,
    };
    let prompt = |question: &GenerationQuestion| {
        encoder.prompt(&question.id, &question.prompt, task.max_new_tokens)
    };
    let prompts: Vec<EncodedText> = questions.iter().map(prompt).collect::<Result<_, _>>()?;
    let texts = write(decoder, tokenizer, task, &prompts, options)?;
    let answers = questions.iter().zip(&prompts).zip(texts);
    let answer = |((question, prompt), written): ((&GenerationQuestion, &EncodedText), Written)| {
        let extracted = task.extraction.extract(&written.text);
        let score = |answer: &String| task.comparison.score(answer, &question.accepted);
        let accepted = question.accepted.answers.iter();
        GeneratedAnswer {
            id: question.id.clone(),
            score: extracted.as_ref().map_or(0.0, score),
            extracted,
            accepted: accepted.map(|spans| spans.join(", ")).collect(),
            text: written.text,
            finished: written.finished,
            cut: prompt.cut,
        }
    };
    Ok(answers.map(answer).collect())
}

/// What was written behind a prompt.
#[derive(Clone)]
struct Written {
    text: String,
    finished: bool,
}

/// Writes behind all prompts, the longest first, so that memory does not run out late.
fn write(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    task: &GenerationTemplates,
    prompts: &[EncodedText],
    options: &GenerationOptions,
) -> Result<Vec<Written>, EvalError> {
    let config = GenerationConfig {
        stop_tokens: options.stop_tokens.clone(),
        ..GenerationConfig::greedy(task.max_new_tokens)
    };
    let mut waiting: Vec<usize> = (0..prompts.len()).collect();
    // Taken from the end.
    waiting.sort_by_key(|&index| prompts[index].prompt.len());
    let mut session = DecodeSession::new(decoder);
    let mut running: BTreeMap<Slot, Answer<'_>> = BTreeMap::new();
    let mut written: Vec<Option<Written>> = vec![None; prompts.len()];
    loop {
        while session.num_running() < options.batch {
            let Some(index) = waiting.pop() else { break };
            let slot = session.start(&prompts[index].prompt, &config)?;
            running.insert(slot, Answer::new(index, tokenizer));
        }
        let mut failed = None;
        if session.num_running() > 0 {
            session.step(|slot, token| {
                let answer = running.get_mut(&slot).expect("every slot has an answer");
                match answer.push(token, &task.stop) {
                    Ok(true) => ControlFlow::Break(()),
                    Ok(false) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        for (slot, generated) in session.take_finished() {
            let answer = running.remove(&slot).expect("every slot has an answer");
            let text = tokenizer.decode(&generated.token_ids, SpecialTokensInText::Skip)?;
            written[answer.index] = Some(Written {
                text: before_stop(&text, &task.stop).to_owned(),
                finished: !matches!(
                    generated.finish,
                    FinishReason::MaxNewTokens | FinishReason::ContextFull
                ),
            });
        }
        if waiting.is_empty() && session.num_running() == 0 {
            break;
        }
    }
    let written = written.into_iter();
    Ok(written.map(|it| it.expect("all answers ended")).collect())
}

/// An answer while it is being written.
struct Answer<'a> {
    index: usize,
    stream: TextStream<'a>,
    text: String,
}

impl<'a> Answer<'a> {
    fn new(index: usize, tokenizer: &'a Tokenizer) -> Self {
        Self {
            index,
            stream: tokenizer.decode_stream(SpecialTokensInText::Skip),
            text: String::new(),
        }
    }

    /// Takes a token; whether one of the stop texts is there now.
    fn push(&mut self, token: u32, stop: &[String]) -> Result<bool, TextError> {
        let Some(piece) = self.stream.push(token)? else {
            return Ok(false);
        };
        let longest = stop.iter().map(String::len).max().unwrap_or(0);
        let mut from = self.text.len().saturating_sub(longest);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        self.text += &piece;
        let end = &self.text[from..];
        Ok(stop.iter().any(|stop| end.contains(stop.as_str())))
    }
}

/// What stands before the first of some texts.
fn before_stop<'a>(text: &'a str, stop: &[String]) -> &'a str {
    let places = stop.iter().filter(|stop| !stop.is_empty());
    let places = places.filter_map(|stop| text.find(stop.as_str()));
    &text[..places.min().unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_before_the_first_stop_text() {
        let stop = ["\n\n", "Q:"].map(str::to_owned);
        for (text, expected) in [
            ("a\n\nQ: b", "a"),
            ("aQ:\n\n", "a"),
            ("a b", "a b"),
            ("", ""),
        ] {
            assert_eq!(before_stop(text, &stop), expected);
        }
        assert_eq!(before_stop("a", &[String::new()]), "a");
    }
}
