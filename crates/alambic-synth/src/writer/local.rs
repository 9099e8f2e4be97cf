//! A model in this process.

use std::sync::Arc;

use alambic_text::{ChatTemplate, GenerationPrompt, SpecialTokens, SpecialTokensInText, Tokenizer};
use alambic_transformer::{
    Decoder, FinishReason, Generated, GenerationConfig, Sampling as Draw, generate_batch,
};

use super::{AnswerWriter, WriteEnd};
use crate::SynthError;
use crate::answer::{Answer, Delivery, Finish, Outcome, Usage};
use crate::request::{AnswerRequest, Sampling};

/// A model in this process, which answers many requests at a time.
///
/// The answer to a request is the same in every batch: each starts from its own seed.
#[derive(Debug)]
pub struct LocalModel {
    /// What it is called in records.
    pub name: String,
    /// The weights.
    pub decoder: Decoder,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Renders conversations; with the token that begins a text, if there is one.
    pub template: ChatTemplate,
    /// Tokens that end an answer.
    pub stop_tokens: Vec<u32>,
    /// Requests that are taken at a time.
    pub batch_requests: usize,
}

/// A request as tokens.
struct Encoded {
    request: AnswerRequest,
    token_ids: Vec<u32>,
}

impl AnswerWriter for LocalModel {
    fn identity(&self) -> String {
        self.name.clone()
    }

    fn write(
        &mut self,
        requests: &mut dyn Iterator<Item = AnswerRequest>,
        deliver: &mut dyn FnMut(Delivery) -> Result<(), SynthError>,
    ) -> Result<WriteEnd, SynthError> {
        loop {
            let batch: Vec<AnswerRequest> = requests.take(self.batch_requests.max(1)).collect();
            if batch.is_empty() {
                return Ok(WriteEnd::NoMoreRequests);
            }
            let mut encoded = Vec::with_capacity(batch.len());
            for request in batch {
                match self.encode(&request) {
                    Ok(token_ids) => encoded.push(Encoded { request, token_ids }),
                    Err(reason) => deliver(failed(request, reason))?,
                }
            }
            while let Some(first) = encoded.first() {
                let (sampling, sample) = (first.request.sampling.clone(), first.request.sample);
                let (alike, others) = encoded.into_iter().partition(|other| {
                    other.request.sampling == sampling && other.request.sample == sample
                });
                encoded = others;
                self.answer(alike, &sampling, sampling.seed_of(sample), deliver)?;
            }
        }
    }
}

impl LocalModel {
    fn encode(&self, request: &AnswerRequest) -> Result<Vec<u32>, String> {
        let text = self
            .template
            .render(&request.messages, GenerationPrompt::Append);
        let text = text.map_err(|error| error.to_string())?;
        let encoding = self.tokenizer.encode(&text, SpecialTokens::Omit);
        let token_ids = encoding.map_err(|error| error.to_string())?.ids;
        let limit = self.decoder.config().max_position_embeddings;
        match token_ids.len() {
            0 => Err("the prompt has no tokens".into()),
            found if found >= limit => Err(format!(
                "the prompt has {found} tokens, but the model reads at most {limit}, with the answer"
            )),
            _ => Ok(token_ids),
        }
    }

    /// Answers requests that are drawn alike.
    fn answer(
        &self,
        requests: Vec<Encoded>,
        sampling: &Sampling,
        seed: u64,
        deliver: &mut dyn FnMut(Delivery) -> Result<(), SynthError>,
    ) -> Result<(), SynthError> {
        let config = GenerationConfig {
            max_new_tokens: sampling.max_new_tokens as usize,
            sampling: draw(sampling),
            repetition_penalty: None,
            stop_tokens: self.stop_tokens.clone(),
            seed,
        };
        let prompts: Vec<Vec<u32>> = requests.iter().map(|it| it.token_ids.clone()).collect();
        let generated = generate_batch(&self.decoder, &prompts, &config)?;
        for (encoded, generated) in requests.into_iter().zip(generated) {
            let usage = Usage {
                prompt_tokens: encoded.token_ids.len() as u64,
                answer_tokens: generated.token_ids.len() as u64,
                bounded_tokens: 0,
            };
            let (text, finish) = self.text(&generated, &sampling.stop)?;
            deliver(Delivery {
                request: encoded.request,
                outcome: Outcome::Answer(Answer {
                    text,
                    reasoning: None,
                    finish,
                    model: self.name.clone(),
                    log_probs: None,
                }),
                attempts: 1,
                usage,
            })?;
        }
        Ok(())
    }

    /// The text up to the first stop, and why it ends there.
    fn text(
        &self,
        generated: &Generated,
        stops: &[String],
    ) -> Result<(String, Finish), SynthError> {
        let skip = SpecialTokensInText::Skip;
        let mut text = self.tokenizer.decode(&generated.token_ids, skip)?;
        let ends = stops.iter().filter_map(|stop| text.find(stop.as_str()));
        if let Some(end) = ends.min() {
            text.truncate(end);
            return Ok((text, Finish::Stop));
        }
        let finish = match generated.finish {
            FinishReason::Stop(_) => Finish::Stop,
            FinishReason::MaxNewTokens | FinishReason::ContextFull => Finish::Length,
            FinishReason::Interrupted => Finish::Other("interrupted".into()),
        };
        Ok((text, finish))
    }
}

fn draw(sampling: &Sampling) -> Draw {
    match sampling.temperature == 0.0 {
        true => Draw::Greedy,
        false => Draw::Sample {
            temperature: sampling.temperature,
            top_k: sampling.top_k.map(|count| count as usize),
            top_p: sampling.top_p,
            min_p: None,
        },
    }
}

fn failed(request: AnswerRequest, reason: String) -> Delivery {
    Delivery {
        request,
        outcome: Outcome::Failure(reason),
        attempts: 1,
        usage: Usage::default(),
    }
}
