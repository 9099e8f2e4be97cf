//! Given continuations: how probable they are, and whether a model would write them.

use alambic_text::Tokenizer;
use alambic_transformer::{Decoder, continuation_scores_batch};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::choice::ScoringOptions;
use crate::continuation_question::ContinuationQuestion;
use crate::encoding::EncodedText;

/// A text with the scores of its given continuation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredContinuation {
    /// The question's identity.
    pub id: String,
    /// The log-likelihood of the continuation, in nats.
    pub log_likelihood: f64,
    /// Whether each of its tokens is the most probable one, so that the model would write it greedily.
    pub is_greedy: bool,
    /// Its tokens.
    pub tokens: usize,
    /// Whether the prompt lost its first tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Lets a model score the given continuation of every text, as LAMBADA asks for the last word of a passage (Paperno et al.
/// 2016, arXiv:1606.06031). [`ScoringOptions::unconditional`] says nothing here.
///
/// # Errors
/// [`EvalError::TooLong`] and [`EvalError::NoTokens`] naming the question; the tokenizer's and the model's.
pub fn score_continuations(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    questions: &[ContinuationQuestion],
    options: &ScoringOptions,
) -> Result<Vec<ScoredContinuation>, EvalError> {
    let encoder = options.encoder(decoder, tokenizer);
    let encode = |question: &ContinuationQuestion| {
        encoder.pair(&question.id, &question.prompt, &question.continuation)
    };
    let texts: Vec<EncodedText> = questions.iter().map(encode).collect::<Result<_, _>>()?;
    let pairs = texts.iter();
    let pairs: Vec<(&[u32], &[u32])> = pairs
        .map(|text| (&text.prompt[..], &text.continuation[..]))
        .collect();
    let scores = continuation_scores_batch(decoder, &pairs)?;
    let scored = questions.iter().zip(&texts).zip(scores);
    let scored = scored.map(|((question, text), tokens)| ScoredContinuation {
        id: question.id.clone(),
        log_likelihood: tokens.iter().map(|token| f64::from(token.log_prob)).sum(),
        is_greedy: tokens.iter().all(|token| token.is_most_probable),
        tokens: tokens.len(),
        cut: text.cut,
    });
    Ok(scored.collect())
}
