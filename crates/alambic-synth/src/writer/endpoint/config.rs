//! How an endpoint is asked.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::SynthError;
use crate::error::Problems;

/// A server that speaks OpenAI's protocol (vLLM, SGLang, llama.cpp's server, `transformers serve`, hosted ones), and how it is
/// asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Up to and without `/chat/completions`, such as `http://127.0.0.1:8000/v1`. A key never stands in it.
    pub base_url: String,
    /// The model's name, as the server knows it.
    pub model: String,
    /// Which of the protocol's calls is made.
    pub api: EndpointApi,
    /// The environment variable that holds the key, if the server wants one.
    #[serde(default)]
    pub key_variable: Option<String>,
    /// Other names under which the server may answer, such as a dated version; an answer of any other model is refused.
    #[serde(default)]
    pub accepted_models: Vec<String>,
    /// Requests at a time.
    pub concurrency: usize,
    /// The most requests that begin in a minute.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// How long one attempt may take, until the answer's last byte.
    pub timeout_secs: f64,
    /// What is done about failures that may pass.
    pub retries: Retries,
    /// The most that all runs of a directory may take together.
    #[serde(default)]
    pub budget: Budget,
    /// Ask for the log-probabilities of this many tokens in each place of the answer.
    #[serde(default)]
    pub top_log_probs: Option<u32>,
    /// Further fields of the request's body, such as `chat_template_kwargs`. They are part of the writer's identity.
    #[serde(default)]
    pub body: Map<String, Value>,
}

/// Which call of the protocol is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EndpointApi {
    /// `/chat/completions`: the server applies the model's template.
    Chat,
    /// `/completions`: the messages are rendered with the template of this file, with a generation prompt. Where both the template
    /// and the server begin a text with a token, tell the server not to (vLLM: `body = { add_special_tokens = false }`).
    Completions {
        /// A Jinja chat template.
        template: PathBuf,
        /// Its `bos_token`.
        bos_token: String,
        /// Its `eos_token`.
        eos_token: String,
    },
}

/// What is done about failures that may pass: time-outs, cut connections, answers that make no sense, and the codes 408, 425, 429
/// and 5xx.
///
/// The wait doubles with each attempt, and a random part of up to as much again is added. Where the server says how long to wait
/// (`Retry-After`), all requests wait that long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// How often a request is tried in all.
    pub attempts: u32,
    /// The wait behind the first failure.
    pub first_wait_secs: f64,
    /// The longest wait; a server that asks for more ends the run.
    pub longest_wait_secs: f64,
}

/// The most that may be taken. A request that could exceed it does not begin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Tokens read and written.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// In the currency of the prices.
    #[serde(default)]
    pub cost: Option<f64>,
    /// What tokens cost.
    #[serde(default)]
    pub prices: Option<Prices>,
}

/// What a million tokens cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Of prompts.
    pub million_prompt_tokens: f64,
    /// Of answers.
    pub million_answer_tokens: f64,
}

impl EndpointConfig {
    /// Checks all settings.
    ///
    /// # Errors
    /// [`SynthError::Settings`] with all problems at once.
    pub fn validate(&self) -> Result<(), SynthError> {
        let mut problems = Problems::default();
        let url = reqwest::Url::parse(&self.base_url).ok();
        let is_plain = url.is_some_and(|url| {
            ["http", "https"].contains(&url.scheme())
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
        });
        // The URL may hold a secret where none belongs: it is not repeated.
        problems.expect(
            is_plain,
            "base_url",
            "malformed",
            "http:// or https://, without a user, password or query",
        );
        let named = |text: &str| !text.trim().is_empty();
        problems.expect(named(&self.model), "model", "empty", "the model's name");
        problems.expect(self.concurrency > 0, "concurrency", 0, "at least 1");
        let rate = self.requests_per_minute;
        problems.expect(rate != Some(0), "requests_per_minute", 0, "at least 1");
        let retries = &self.retries;
        problems.expect(retries.attempts > 0, "retries.attempts", 0, "at least 1");
        for (key, secs) in [
            ("timeout_secs", self.timeout_secs),
            ("retries.first_wait_secs", retries.first_wait_secs),
            ("retries.longest_wait_secs", retries.longest_wait_secs),
        ] {
            let fits = secs > 0.0 && secs <= 86_400.0;
            problems.expect(fits, key, secs, "more than 0 and at most a day");
        }
        let budget = &self.budget;
        if let Some(cost) = budget.cost {
            problems.expect(cost > 0.0, "budget.cost", cost, "a number above 0");
            problems.expect(
                budget.prices.is_some(),
                "budget.prices",
                "missing",
                "the prices that a cost needs",
            );
        }
        if let Some(prices) = budget.prices {
            for (key, price) in [
                (
                    "budget.prices.million_prompt_tokens",
                    prices.million_prompt_tokens,
                ),
                (
                    "budget.prices.million_answer_tokens",
                    prices.million_answer_tokens,
                ),
            ] {
                problems.expect(price >= 0.0 && price.is_finite(), key, price, "0 or more");
            }
        }
        for key in ["model", "messages", "prompt", "n", "stream"] {
            let expected = "fields that are not set elsewhere; answers come one by one, and whole";
            problems.expect(
                !self.body.contains_key(key),
                &format!("body.{key}"),
                "given",
                expected,
            );
        }
        problems.into_result()
    }
}
