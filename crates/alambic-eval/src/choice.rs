//! Multiple choice: how probable a model holds each choice.

use alambic_text::Tokenizer;
use alambic_transformer::{Decoder, continuation_log_probs_batch};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::choice_question::ChoiceQuestion;
use crate::encoding::{EncodedText, TextEncoder, TooLong};

/// How texts are given to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScoringOptions {
    /// The token that begins every text, if one does. A text that begins with it already gets no
    /// second one; a prompt without any token needs it.
    pub begin_token: Option<u32>,
    /// What becomes of texts that are longer than the model reads.
    pub too_long: TooLong,
    /// Whether choices are also scored without their question, for [`Normalisation::Unconditional`](crate::Normalisation);
    /// questions without an unconditional prompt are then refused.
    pub unconditional: bool,
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
    let encoder = options.encoder(decoder, tokenizer);
    let mut requests: Vec<EncodedText> = Vec::new();
    let mut scored = Vec::new();
    for question in questions {
        let mut cut = false;
        let mut request = |prompt: &str, choice: &str| -> Result<usize, EvalError> {
            let request = encoder.pair(&question.id, prompt, choice)?;
            cut |= request.cut;
            let tokens = request.continuation.len();
            requests.push(request);
            Ok(tokens)
        };
        let mut choices = Vec::new();
        for choice in &question.choices {
            let tokens = request(&choice.prompt, &choice.text)?;
            choices.push(ChoiceScores {
                log_likelihood: 0.0,
                unconditional: None,
                tokens,
                bytes: choice.text.trim_start().len(),
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
                request(prompt, &choice.text)?;
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

impl ScoringOptions {
    pub(crate) fn encoder<'a>(
        &self,
        decoder: &Decoder,
        tokenizer: &'a Tokenizer,
    ) -> TextEncoder<'a> {
        TextEncoder {
            tokenizer,
            begin_token: self.begin_token,
            limit: decoder.config().max_batched_tokens(),
            too_long: self.too_long,
        }
    }
}
