//! A server that speaks OpenAI's protocol and misbehaves when it is told to.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The model that it serves.
pub const MODEL: &str = "stand-in-7b";
/// The key that it wants.
pub const KEY: &str = "sk-stand-in-5f0c2a";

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Status 429 with `Retry-After`.
    TooManyRequests,
    /// Status 500, with the key in the explanation.
    ServerError,
    /// Bytes that never end.
    SlowBytes,
    /// The connection ends in the middle of the answer.
    CutConnection,
    /// An answer that stops in the middle.
    BrokenJson,
    /// Tokens that cannot have been.
    WrongTokenCounts,
    /// An answer of another model.
    OtherModel,
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::TooManyRequests,
        Self::ServerError,
        Self::SlowBytes,
        Self::CutConnection,
        Self::BrokenJson,
        Self::WrongTokenCounts,
        Self::OtherModel,
    ];
}

/// What was done about a request, once it was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    pub path: String,
    pub body: Value,
    pub fault: Option<Fault>,
}

/// What is answered: a status and a body. None: the square that is asked for, as the protocol has it.
type Script = dyn Fn(&Value) -> Option<(u16, Value)> + Send + Sync;

/// The server; it ends with the process.
pub struct StandIn {
    pub address: SocketAddr,
    served: Arc<Mutex<Vec<Served>>>,
}

struct State {
    fault_share: f64,
    script: Box<Script>,
    attempts: Mutex<HashMap<String, u64>>,
    served: Arc<Mutex<Vec<Served>>>,
}

impl StandIn {
    /// A server that shows each fault in this share of its answers.
    pub fn faulty(fault_share: f64) -> Self {
        Self::start(fault_share, Box::new(|_| None))
    }

    /// A server that answers as it is told.
    pub fn scripted(
        script: impl Fn(&Value) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Self {
        Self::start(0.0, Box::new(script))
    }

    fn start(fault_share: f64, script: Box<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let state = Arc::new(State {
            fault_share,
            script,
            attempts: Mutex::default(),
            served: served.clone(),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                // A client that hangs up ends its thread.
                thread::spawn(move || serve(&state, &stream));
            }
        });
        Self { address, served }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn served(&self) -> Vec<Served> {
        self.served.lock().unwrap().clone()
    }
}

fn serve(state: &State, stream: &TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (path, key, body) = request(&mut reader)?;
        let body: Value = serde_json::from_slice(&body).ok()?;
        let done = |fault| {
            let (path, body) = (path.clone(), body.clone());
            state
                .served
                .lock()
                .unwrap()
                .push(Served { path, body, fault });
        };
        if key
            .as_deref()
            .is_some_and(|key| key != format!("Bearer {KEY}"))
        {
            let error = json!({"error": {"message": format!("wrong key: {}", key.unwrap())}});
            respond(stream, 401, "", error.to_string().as_bytes())?;
            done(None);
            continue;
        }
        if let Some((status, answer)) = (state.script)(&body) {
            let header = answer["header"].as_str().unwrap_or_default().to_owned();
            respond(stream, status, &header, answer.to_string().as_bytes())?;
            done(None);
            continue;
        }
        let fault = fault(state, &body);
        let mut answer = square(&body);
        match fault {
            None => {}
            Some(Fault::TooManyRequests) => {
                let error = json!({"error": {"message": "slow down"}}).to_string();
                respond(stream, 429, "retry-after: 0.02\r\n", error.as_bytes())?;
            }
            Some(Fault::ServerError) => {
                let error = json!({"error": {"message": format!("no luck for {KEY}")}});
                respond(stream, 500, "", error.to_string().as_bytes())?;
            }
            Some(Fault::SlowBytes) => {
                done(fault);
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
                (&*stream).write_all(head.as_bytes()).ok()?;
                loop {
                    (&*stream).write_all(b" ").ok()?;
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Some(Fault::CutConnection) => {
                done(fault);
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\": [";
                (&*stream).write_all(head.as_bytes()).ok()?;
                return None;
            }
            Some(Fault::BrokenJson) => {
                let text = answer.to_string();
                respond(stream, 200, "", &text.as_bytes()[..text.len() / 2])?;
            }
            Some(Fault::WrongTokenCounts) => {
                answer["usage"]["total_tokens"] = json!(7);
            }
            Some(Fault::OtherModel) => answer["model"] = json!("other-1b"),
        }
        if matches!(
            fault,
            None | Some(Fault::WrongTokenCounts | Fault::OtherModel)
        ) {
            respond(stream, 200, "", answer.to_string().as_bytes())?;
        }
        done(fault);
    }
}

/// Path, authorisation and body of the next request.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Option<String>, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut key) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => key = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, key, body))
}

fn respond(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8]) -> Option<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\n{headers}content-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).ok()
}

/// Which fault an attempt meets: a function of the prompt and of how often it was asked.
fn fault(state: &State, body: &Value) -> Option<Fault> {
    let prompt = prompt(body);
    let mut attempts = state.attempts.lock().unwrap();
    let attempt = attempts.entry(prompt.clone()).or_default();
    *attempt += 1;
    let mut hasher = DefaultHasher::new();
    (prompt, *attempt).hash(&mut hasher);
    let draw = hasher.finish() as f64 / u64::MAX as f64;
    Fault::ALL.get((draw / state.fault_share) as usize).copied()
}

/// The last words of a request.
pub fn prompt(body: &Value) -> String {
    let chat = body["messages"]
        .as_array()
        .and_then(|messages| messages.last());
    let text = chat.map_or(&body["prompt"], |message| &message["content"]);
    text.as_str().unwrap().to_owned()
}

/// The question of a number's square, and its answer.
pub fn question(number: u64) -> String {
    format!("What is the square of {number}?")
}

pub fn answer(number: u64) -> String {
    format!("It is {}.", number * number)
}

fn square(body: &Value) -> Value {
    let digits: String = prompt(body).chars().filter(char::is_ascii_digit).collect();
    let text = digits.parse().map_or("What?".to_owned(), answer);
    let choice = match body.get("messages") {
        Some(_) => {
            json!({"message": {"role": "assistant", "content": text}, "finish_reason": "stop"})
        }
        None => json!({"text": text, "finish_reason": "stop"}),
    };
    let usage = json!({"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17});
    json!({"id": "1", "model": MODEL, "choices": [choice], "usage": usage})
}
