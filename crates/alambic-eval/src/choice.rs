//! Multiple choice: how probable a model holds each choice.

use alambic_text::Tokenizer;
use alambic_transformer::{Decoder, continuation_log_probs_batch};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::encoding::encode_pair;
use crate::task::ChoiceQuestion;

/// How texts are given to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScoringOptions {
    /// The token that begins every text, if one does. A prompt without any token needs it.
    pub begin_token: Option<u32>,
    /// What becomes of texts that are longer than the model reads.
    pub too_long: TooLong,
    /// Whether choices are also scored without their question, for [`Normalisation::Unconditional`](crate::Normalisation);
    /// questions without an unconditional prompt are then refused.
    pub unconditional: bool,
}

/// What becomes of a text that is longer than the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLong {
    /// It is refused.
    #[default]
    Error,
    /// It loses its first tokens, behind the one that begins every text; the question says so
    /// ([`ScoredQuestion::cut`]).
    CutFront,
}

/// How probable a model holds one choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChoiceScores {
    /// Its log-likelihood behind the prompt, in nats.
    pub log_likelihood: f64,
    /// Its log-likelihood behind the unconditional prompt, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconditional: Option<f64>,
    /// Its tokens.
    pub tokens: usize,
    /// Its bytes in UTF-8, without the delimiter's.
    pub bytes: usize,
}

/// A question with the scores of its choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredQuestion {
    /// The question's identity.
    pub id: String,
    /// The place of the right choice, counted from 0.
    pub right: usize,
    /// In the order of the choices.
    pub choices: Vec<ChoiceScores>,
    /// Whether a text lost its first tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Tokens that the model is asked about.
struct Request {
    prompt: Vec<u32>,
    continuation: Vec<u32>,
}

/// Lets a model score every choice of every question (Brown et al. 2020, arXiv:2005.14165, section 2.4).
///
/// # Errors
/// [`EvalError::TooLong`] and [`EvalError::NoTokens`] naming the question; the tokenizer's and the model's.
pub fn score_choices(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    questions: &[ChoiceQuestion],
    options: &ScoringOptions,
) -> Result<Vec<ScoredQuestion>, EvalError> {
    let mut requests = Vec::new();
    let mut scored = Vec::new();
    for question in questions {
        let mut cut = false;
        let mut request = |prompt: &str, choice: &str| -> Result<usize, EvalError> {
            let (request, was_cut) =
                encode(decoder, tokenizer, question, [prompt, choice], options)?;
            cut |= was_cut;
            let tokens = request.continuation.len();
            requests.push(request);
            Ok(tokens)
        };
        let mut choices = Vec::new();
        for choice in &question.choices {
            let tokens = request(&question.prompt, choice)?;
            choices.push(ChoiceScores {
                log_likelihood: 0.0,
                unconditional: None,
                tokens,
                bytes: choice.trim_start().len(),
            });
        }
        if options.unconditional {
            let prompt = question.unconditional_prompt.as_ref();
            let prompt = prompt.ok_or_else(|| EvalError::NoTokens {
                question: question.id.clone(),
                problem: "it has no unconditional prompt, expected one in its task \
                          (choice.unconditional_prompt)"
                    .into(),
            })?;
            for choice in &question.choices {
                request(prompt, choice)?;
            }
        }
        scored.push(ScoredQuestion {
            id: question.id.clone(),
            right: question.right,
            choices,
            cut,
        });
    }
    let pairs = requests.iter();
    let pairs: Vec<(&[u32], &[u32])> = pairs
        .map(|request| (&request.prompt[..], &request.continuation[..]))
        .collect();
    let sums = continuation_log_probs_batch(decoder, &pairs)?;
    let mut sums = sums
        .iter()
        .map(|log_probs| log_probs.iter().map(|&it| f64::from(it)).sum::<f64>());
    let mut next = || sums.next().expect("one for each request");
    for question in &mut scored {
        for choice in &mut question.choices {
            choice.log_likelihood = next();
        }
        if options.unconditional {
            for choice in &mut question.choices {
                choice.unconditional = Some(next());
            }
        }
    }
    Ok(scored)
}

/// The tokens of a prompt and a choice, and whether some were cut.
fn encode(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    question: &ChoiceQuestion,
    [prompt, choice]: [&str; 2],
    options: &ScoringOptions,
) -> Result<(Request, bool), EvalError> {
    let refuse = |problem: String| EvalError::NoTokens {
        question: question.id.clone(),
        problem,
    };
    let pair = encode_pair(tokenizer, prompt, choice)?;
    if pair.continuation.is_empty() {
        return Err(refuse(format!(
            "the choice {choice:?} has no token of its own behind the prompt, expected at least one"
        )));
    }
    let begin = options.begin_token.as_slice();
    let limit = decoder.config().max_batched_tokens();
    let found = begin.len() + pair.prompt.len() + pair.continuation.len();
    let excess = found.saturating_sub(limit);
    if excess > 0 && (options.too_long == TooLong::Error || excess > pair.prompt.len()) {
        return Err(EvalError::TooLong {
            question: question.id.clone(),
            found,
            limit,
        });
    }
    let prompt = [begin, &pair.prompt[excess..]].concat();
    if prompt.is_empty() {
        return Err(refuse(
            "nothing stands before a choice, expected a prompt or a begin_token".into(),
        ));
    }
    let request = Request {
        prompt,
        continuation: pair.continuation,
    };
    Ok((request, excess > 0))
}
