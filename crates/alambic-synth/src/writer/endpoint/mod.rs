//! A server that speaks OpenAI's protocol.

mod api_key;
mod attempt;
mod budget;
mod config;
mod failure;
mod pace;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use rustls::crypto::{CryptoProvider, ring};
use tokio::task::JoinSet;

use self::attempt::Attempts;
use self::failure::Failure;
use super::{AnswerWriter, WriteEnd};
use crate::SynthError;
use crate::answer::{Delivery, Outcome, Usage};
use crate::request::AnswerRequest;

pub use config::{Budget, EndpointApi, EndpointConfig, Prices, Retries};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that speaks OpenAI's protocol, asked over HTTP.
///
/// Several requests are under way at a time, at a limited rate. Failures that may pass are tried again; a request that fails for
/// good is handed over with its reason. A budget counts what the server says it took; where it does not say, or an attempt ends
/// without an answer, the most that it can have been counts: a token for each byte of the prompt, and the longest answer.
#[derive(Debug)]
pub struct Endpoint {
    attempts: Arc<Attempts>,
}

impl Endpoint {
    /// Prepares the client; nothing is asked yet. `taken` is what earlier runs took of the budget
    /// ([`AnswerRun::usage`](crate::AnswerRun::usage)).
    ///
    /// # Errors
    /// [`SynthError::Settings`]; [`SynthError::Endpoint`] if the key's variable is not set; [`SynthError::File`] and
    /// [`SynthError::Text`] for the template.
    pub fn new(config: EndpointConfig, taken: Usage) -> Result<Self, SynthError> {
        config.validate()?;
        if CryptoProvider::get_default().is_none() {
            // Another thread may have been faster, which is as good.
            let _ = ring::default_provider().install_default();
        }
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_secs_f64(config.timeout_secs))
            // A key goes to the host that was named, and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|error| SynthError::Endpoint {
            url: config.base_url.clone(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            attempts: Arc::new(Attempts::new(config, client, taken)?),
        })
    }
}

impl AnswerWriter for Endpoint {
    fn identity(&self) -> String {
        let config = self.attempts.config();
        match config.body.is_empty() {
            true => config.model.clone(),
            false => {
                let body = serde_json::to_string(&config.body);
                let body = body.expect("JSON can be written as JSON");
                format!("{} with {body}", config.model)
            }
        }
    }

    fn write(
        &mut self,
        requests: &mut dyn Iterator<Item = AnswerRequest>,
        deliver: &mut dyn FnMut(Delivery) -> Result<(), SynthError>,
    ) -> Result<WriteEnd, SynthError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| self.attempts.problem(format!("no runtime: {error}")))?;
        runtime.block_on(self.write_all(requests, deliver))
    }
}

impl Endpoint {
    async fn write_all(
        &self,
        requests: &mut dyn Iterator<Item = AnswerRequest>,
        deliver: &mut dyn FnMut(Delivery) -> Result<(), SynthError>,
    ) -> Result<WriteEnd, SynthError> {
        let mut under_way = JoinSet::new();
        // What ends the run; requests under way are finished all the same.
        let mut end: Option<Failure> = None;
        loop {
            while end.is_none() && under_way.len() < self.attempts.config().concurrency {
                let Some(request) = requests.next() else {
                    break;
                };
                under_way.spawn(answer(self.attempts.clone(), request));
            }
            let Some(finished) = under_way.join_next().await else {
                break;
            };
            match finished.expect("a request does not panic") {
                Ok(delivery) => deliver(delivery)?,
                Err(failure) => {
                    end.get_or_insert(failure);
                }
            }
        }
        match end {
            None => Ok(WriteEnd::NoMoreRequests),
            Some(Failure::OfEndpoint(problem)) => Err(self.attempts.problem(problem)),
            Some(_) => Ok(WriteEnd::BudgetSpent),
        }
    }
}

/// Tries a request until it is answered or has failed for good. An error is what ends the run: the request stays open.
async fn answer(attempts: Arc<Attempts>, request: AnswerRequest) -> Result<Delivery, Failure> {
    let retries = &attempts.config().retries;
    let longest = Duration::from_secs_f64(retries.longest_wait_secs);
    let waits = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_secs_f64(retries.first_wait_secs))
        .with_max_delay(longest)
        .with_max_times(retries.attempts as usize - 1);
    let taken = Mutex::new((0u32, Usage::default()));
    let attempt = || async {
        let (result, usage) = attempts.attempt(&request).await;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.0 += 1;
        taken.1 += usage;
        result
    };
    let result = attempt
        .retry(waits)
        .when(Failure::may_pass)
        .adjust(|failure, wait| wait.map(|wait| wait.max(failure.wait())))
        .await;
    let (tried, usage) = taken.into_inner().unwrap_or_else(PoisonError::into_inner);
    let outcome = match result {
        Ok(answer) => Outcome::Answer(answer),
        Err(Failure::OfRequest(reason) | Failure::Passing { reason, .. }) => {
            Outcome::Failure(reason)
        }
        Err(end) => return Err(end),
    };
    Ok(Delivery {
        request,
        outcome,
        attempts: tried,
        usage,
    })
}
