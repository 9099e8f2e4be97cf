//! One attempt at one request.

use std::error::Error;
use std::time::{Duration, SystemTime};

use alambic_text::{ChatTemplate, GenerationPrompt};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};

use super::api_key::ApiKey;
use super::budget::Purse;
use super::config::{EndpointApi, EndpointConfig};
use super::failure::Failure;
use super::pace::Pace;
use super::wire::{self, Unreadable};
use crate::SynthError;
use crate::answer::{Answer, Usage};
use crate::request::AnswerRequest;

/// The longest reply that is read.
const MOST_REPLY_BYTES: usize = 64 << 20;
/// The most tokens that a server's template adds to a conversation.
const TEMPLATE_TOKENS: u64 = 1024;

/// What all attempts share.
#[derive(Debug)]
pub(super) struct Attempts {
    config: EndpointConfig,
    client: Client,
    url: String,
    key: Option<ApiKey>,
    template: Option<ChatTemplate>,
    pace: Pace,
    purse: Purse,
}

impl Attempts {
    pub(super) fn new(
        config: EndpointConfig,
        client: Client,
        taken: Usage,
    ) -> Result<Self, SynthError> {
        let call = match config.api {
            EndpointApi::Chat => "chat/completions",
            EndpointApi::Completions { .. } => "completions",
        };
        let url = format!("{}/{call}", config.base_url.trim_end_matches('/'));
        let key = config.key_variable.as_deref();
        let key = key.map(|variable| ApiKey::from_variable(variable, &url));
        let template = match &config.api {
            EndpointApi::Chat => None,
            EndpointApi::Completions {
                template,
                bos_token,
                eos_token,
            } => {
                let text = std::fs::read_to_string(template)
                    .map_err(|source| SynthError::file("read", template, source))?;
                Some(ChatTemplate::new(&text, bos_token, eos_token)?)
            }
        };
        Ok(Self {
            client,
            key: key.transpose()?,
            url,
            template,
            pace: Pace::new(config.requests_per_minute),
            purse: Purse::new(config.budget.clone(), taken),
            config,
        })
    }

    pub(super) fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// An error of the endpoint as a whole.
    pub(super) fn problem(&self, problem: String) -> SynthError {
        SynthError::Endpoint {
            url: self.url.clone(),
            problem,
        }
    }

    /// Asks once; says what it took.
    pub(super) async fn attempt(
        &self,
        request: &AnswerRequest,
    ) -> (Result<Answer, Failure>, Usage) {
        let prompt = match self.render(request) {
            Ok(prompt) => prompt,
            Err(reason) => return (Err(Failure::OfRequest(reason)), Usage::default()),
        };
        let bound = bound(request);
        if !self.purse.reserve(bound) {
            return (Err(Failure::NoBudget), Usage::default());
        }
        self.pace.turn().await;
        let (result, usage) = self.exchange(request, prompt, bound).await;
        self.purse.settle(bound, usage);
        (result, usage)
    }

    async fn exchange(
        &self,
        request: &AnswerRequest,
        prompt: Option<String>,
        bound: Usage,
    ) -> (Result<Answer, Failure>, Usage) {
        let body = wire::body(&self.config, request, prompt);
        let mut call = self.client.post(&self.url).json(&body);
        if let Some(key) = &self.key {
            match HeaderValue::from_str(&key.bearer()) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    call = call.header(AUTHORIZATION, value);
                }
                Err(_) => {
                    let reason = "the key holds characters that no header can".into();
                    return (Err(Failure::OfEndpoint(reason)), Usage::default());
                }
            }
        }
        let response = match call.send().await {
            Ok(response) => response,
            // A server that was never reached has not answered; one that was may have.
            Err(error) if error.is_connect() => {
                return (Err(self.lost(error)), Usage::default());
            }
            Err(error) => return (Err(self.lost(error)), bound),
        };
        let status = response.status();
        let wait = retry_after(response.headers(), SystemTime::now());
        let bytes = match read_bytes(response).await {
            Ok(bytes) => bytes,
            Err(failure) if status.is_success() => return (Err(self.hidden(failure)), bound),
            Err(_) => Vec::new(),
        };
        if !status.is_success() {
            let body = String::from_utf8_lossy(&bytes);
            let failure = Failure::of_status(status.as_u16(), wait, &body);
            return (Err(self.hold(self.hidden(failure))), Usage::default());
        }
        match wire::read(&self.config, &bytes, bound) {
            Ok(reply) => (Ok(reply.answer), reply.usage),
            Err(Unreadable::Passing(reason, usage)) => {
                (Err(self.hidden(Failure::passing(reason))), usage)
            }
            Err(Unreadable::Final(reason, usage)) => {
                (Err(self.hidden(Failure::OfRequest(reason))), usage)
            }
        }
    }

    /// Lets all requests wait as long as the server wants; one that wants too much ends the run.
    fn hold(&self, failure: Failure) -> Failure {
        let wait = failure.wait();
        let longest = self.config.retries.longest_wait_secs;
        if wait.as_secs_f64() > longest {
            let secs = wait.as_secs();
            return Failure::OfEndpoint(format!(
                "it wants to be left alone for {secs} s, but `retries.longest_wait_secs` is {longest}"
            ));
        }
        if !wait.is_zero() {
            self.pace.hold(wait);
        }
        failure
    }

    /// A connection that did not serve.
    fn lost(&self, error: reqwest::Error) -> Failure {
        self.hidden(Failure::passing(words(&error.without_url())))
    }

    /// The failure without the key, whatever the server wrote.
    fn hidden(&self, failure: Failure) -> Failure {
        let Some(key) = &self.key else {
            return failure;
        };
        match failure {
            Failure::Passing { reason, wait } => Failure::Passing {
                reason: key.hide(&reason),
                wait,
            },
            Failure::OfRequest(reason) => Failure::OfRequest(key.hide(&reason)),
            Failure::OfEndpoint(reason) => Failure::OfEndpoint(key.hide(&reason)),
            Failure::NoBudget => Failure::NoBudget,
        }
    }

    /// The conversation as text, if the server applies no template.
    fn render(&self, request: &AnswerRequest) -> Result<Option<String>, String> {
        let Some(template) = &self.template else {
            return Ok(None);
        };
        let rendered = template.render(&request.messages, GenerationPrompt::Append);
        rendered.map(Some).map_err(|error| words(&error))
    }
}

/// The most that a request can take: a token for each byte, and the longest answer.
fn bound(request: &AnswerRequest) -> Usage {
    let bytes = request.messages.iter().map(|message| message.content.len());
    let prompt_tokens = bytes.sum::<usize>() as u64 + TEMPLATE_TOKENS;
    let answer_tokens = u64::from(request.sampling.max_new_tokens);
    Usage {
        prompt_tokens,
        answer_tokens,
        bounded_tokens: prompt_tokens + answer_tokens,
    }
}

async fn read_bytes(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Err(error) => return Err(Failure::passing(words(&error.without_url()))),
            Ok(None) => return Ok(bytes),
            Ok(Some(chunk)) if bytes.len() + chunk.len() > MOST_REPLY_BYTES => {
                let reason = format!("the reply is longer than {MOST_REPLY_BYTES} bytes");
                return Err(Failure::OfRequest(reason));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
        }
    }
}

/// How long the server wants to be left alone: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse::<f64>() {
        Ok(secs) => Duration::try_from_secs_f64(secs).ok(),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// An error with its causes.
fn words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text += ": ";
            text += &words;
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT");
        let now = now.expect("a date");
        for (value, expected) in [
            ("3", Some(3)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            assert_eq!(
                retry_after(&headers, now),
                expected.map(Duration::from_secs)
            );
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
