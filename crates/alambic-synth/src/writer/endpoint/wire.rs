//! Requests and answers as the protocol writes them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::{EndpointApi, EndpointConfig};
use crate::answer::{Answer, Finish, ServedToken, TokenLogProb, Usage};
use crate::request::AnswerRequest;

/// The body of a request. `prompt` is the rendered conversation, where the server applies no template.
pub(super) fn body(
    config: &EndpointConfig,
    request: &AnswerRequest,
    prompt: Option<String>,
) -> Value {
    let mut body = config.body.clone();
    let sampling = &request.sampling;
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("model", json!(config.model));
    match prompt {
        Some(prompt) => set("prompt", json!(prompt)),
        None => set("messages", json!(request.messages)),
    };
    set("temperature", json!(sampling.temperature));
    set("max_tokens", json!(sampling.max_new_tokens));
    set("seed", json!(sampling.seed_of(request.sample)));
    if let Some(top_p) = sampling.top_p {
        set("top_p", json!(top_p));
    }
    if let Some(top_k) = sampling.top_k {
        set("top_k", json!(top_k));
    }
    if !sampling.stop.is_empty() {
        set("stop", json!(sampling.stop));
    }
    match (config.top_log_probs, &config.api) {
        (Some(count), EndpointApi::Chat) => {
            set("logprobs", json!(true));
            set("top_logprobs", json!(count));
        }
        (Some(count), EndpointApi::Completions { .. }) => {
            set("logprobs", json!(count));
        }
        (None, _) => {}
    }
    Value::Object(body)
}

/// What a server sends; fields that are not read may be there too.
#[derive(Deserialize)]
struct Reply {
    model: Option<String>,
    choices: Vec<Choice>,
    usage: Option<ReplyUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<ReplyMessage>,
    text: Option<String>,
    finish_reason: Option<String>,
    logprobs: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct ReplyMessage {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
struct ReplyUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: Option<u64>,
}

/// An answer that was read, and what it took.
#[derive(Debug, PartialEq)]
pub(super) struct ReadReply {
    pub(super) answer: Answer,
    pub(super) usage: Usage,
}

/// Why a reply is no answer.
#[derive(Debug, PartialEq)]
pub(super) enum Unreadable {
    /// Another attempt may give an answer. What this one took.
    Passing(String, Usage),
    /// The model gave none.
    Final(String, Usage),
}

/// Reads a reply. `bound` is the most that the request can have taken: what it counts as where the server does not say, or says
/// what cannot be.
pub(super) fn read(
    config: &EndpointConfig,
    bytes: &[u8],
    bound: Usage,
) -> Result<ReadReply, Unreadable> {
    let passing = |reason: String, usage| Unreadable::Passing(reason, usage);
    let mut reply: Reply = serde_json::from_slice(bytes)
        .map_err(|error| passing(format!("no answer of the protocol: {error}"), bound))?;
    let count = reply.choices.len();
    let choice = match (reply.choices.pop(), count) {
        (Some(choice), 1) => choice,
        _ => return Err(passing(format!("{count} choices, expected 1"), bound)),
    };
    let usage = usage(reply.usage, bound);
    let model = reply.model.unwrap_or_else(|| config.model.clone());
    if model != config.model && !config.accepted_models.contains(&model) {
        let accepted = "expected it, or one of `accepted_models`";
        let reason = format!("asked {}, but {model} answered, {accepted}", config.model);
        return Err(passing(reason, usage));
    }
    let (text, reasoning) = match (choice.message, choice.text) {
        (Some(message), _) => {
            let reasoning = message.reasoning_content.or(message.reasoning);
            match (message.content, message.refusal) {
                (Some(text), _) => (text, reasoning),
                (None, Some(refusal)) => {
                    return Err(Unreadable::Final(format!("refused: {refusal}"), usage));
                }
                (None, None) => {
                    return Err(Unreadable::Final("an answer without content".into(), usage));
                }
            }
        }
        (None, Some(text)) => (text, None),
        (None, None) => return Err(passing("a choice without an answer".into(), usage)),
    };
    let log_probs = match (config.top_log_probs, choice.logprobs) {
        (None, _) | (Some(_), None) => None,
        (Some(_), Some(log_probs)) => {
            let read = log_probs_of(&log_probs);
            Some(read.map_err(|problem| passing(format!("logprobs: {problem}"), usage))?)
        }
    };
    Ok(ReadReply {
        answer: Answer {
            text,
            reasoning: reasoning.filter(|text| !text.is_empty()),
            finish: match choice.finish_reason.as_deref() {
                Some("stop") | None => Finish::Stop,
                Some("length") => Finish::Length,
                Some(other) => Finish::Other(other.to_owned()),
            },
            model,
            log_probs,
        },
        usage,
    })
}

/// What the server says that it took, if that can be.
fn usage(said: Option<ReplyUsage>, bound: Usage) -> Usage {
    let is_possible = |said: &ReplyUsage| {
        let total = said.prompt_tokens.checked_add(said.completion_tokens);
        said.prompt_tokens <= bound.prompt_tokens
            && said.prompt_tokens > 0
            && said.completion_tokens <= bound.answer_tokens
            && said.total_tokens.is_none_or(|said| Some(said) == total)
    };
    match said.filter(is_possible) {
        Some(said) => Usage {
            prompt_tokens: said.prompt_tokens,
            answer_tokens: said.completion_tokens,
            bounded_tokens: 0,
        },
        None => bound,
    }
}

/// Log-probabilities of either call of the protocol.
fn log_probs_of(log_probs: &Map<String, Value>) -> Result<Vec<TokenLogProb>, String> {
    if let Some(content) = log_probs.get("content").and_then(Value::as_array) {
        return content.iter().map(chat_token).collect();
    }
    let list = |key: &str| {
        let list = log_probs.get(key).and_then(Value::as_array);
        list.ok_or_else(|| format!("`{key}` is no list"))
    };
    let (tokens, values) = (list("tokens")?, list("token_logprobs")?);
    if tokens.len() != values.len() {
        return Err(format!(
            "{} tokens, but {} values",
            tokens.len(),
            values.len()
        ));
    }
    let tops = log_probs.get("top_logprobs").and_then(Value::as_array);
    let rows = tokens.iter().zip(values).enumerate();
    rows.map(|(place, (token, value))| {
        let top = tops
            .and_then(|tops| tops.get(place))
            .and_then(Value::as_object);
        let top = top.into_iter().flatten().map(|(text, value)| {
            let token = ServedToken {
                text: text.clone(),
                bytes: None,
            };
            Ok((token, number(value)?))
        });
        Ok(TokenLogProb {
            token: ServedToken {
                text: token.as_str().ok_or("a token is no text")?.to_owned(),
                bytes: None,
            },
            log_prob: number(value)?,
            top: top.collect::<Result<_, String>>()?,
        })
    })
    .collect()
}

fn chat_token(entry: &Value) -> Result<TokenLogProb, String> {
    let (token, log_prob) = served_token(entry)?;
    let top = entry["top_logprobs"].as_array();
    let top = top.into_iter().flatten().map(served_token);
    Ok(TokenLogProb {
        token,
        log_prob,
        top: top.collect::<Result<_, _>>()?,
    })
}

fn served_token(entry: &Value) -> Result<(ServedToken, f64), String> {
    let bytes = entry["bytes"].as_array().map(|bytes| {
        let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
        bytes.iter().map(byte).collect::<Option<Vec<u8>>>()
    });
    let token = ServedToken {
        text: entry["token"]
            .as_str()
            .ok_or("a token is no text")?
            .to_owned(),
        bytes: bytes
            .map(|bytes| bytes.ok_or("a byte is none"))
            .transpose()?,
    };
    Ok((token, number(&entry["logprob"])?))
}

fn number(value: &Value) -> Result<f64, String> {
    value
        .as_f64()
        .ok_or_else(|| format!("{value}, expected a number"))
}
