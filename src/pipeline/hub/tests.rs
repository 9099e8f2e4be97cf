//! A server that stands in for the Hub, and what is fetched from it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::fetch::Hub;
use super::*;
use crate::pipeline::NoProgress;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "a token";

/// A file as the Hub has it.
#[derive(Clone)]
struct Served {
    content: Vec<u8>,
    etag: String,
    /// How many bytes are sent before the connection breaks, once.
    breaks_after: Option<usize>,
}

/// What the server has and what it was asked.
#[derive(Default)]
struct State {
    files: BTreeMap<String, Served>,
    requests: Vec<String>,
    /// Whether the token has to be given.
    is_private: bool,
    /// A further revision that is taken for the commit.
    alias: Option<String>,
}

struct Server {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// A small model in two pieces, with files that no model is made of.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = shared.clone();
                // A client that goes away is no failure of the server.
                thread::spawn(move || drop(answer(stream.unwrap(), &state)));
            }
        });
        let server = Self { endpoint, state };
        server.put("config.json", b"{}".to_vec());
        server.put("tokenizer.json", b"{ }".to_vec());
        server.put("tokenizer_config.json", b"{\"eos_token\": null}".to_vec());
        server.put("README.md", b"# A model".to_vec());
        server.put("pytorch_model.bin", vec![1; 100]);
        let index = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
        server.put("model.safetensors.index.json", index.as_bytes().to_vec());
        server.put(
            "model-00001-of-00002.safetensors",
            (0..=255).cycle().take(300_000).collect(),
        );
        server.put("model-00002-of-00002.safetensors", vec![7; 1000]);
        server
    }

    fn put(&self, name: &str, content: Vec<u8>) {
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let etag = match name.ends_with(".safetensors") {
            true => hex(&Sha256::digest(&content)),
            false => hex(&Sha1::digest(
                [format!("blob {}\0", content.len()).as_bytes(), &content].concat(),
            )),
        };
        let served = Served {
            content,
            etag,
            breaks_after: None,
        };
        self.state
            .lock()
            .unwrap()
            .files
            .insert(name.to_owned(), served);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Served)) {
        change(self.state.lock().unwrap().files.get_mut(name).unwrap());
    }

    /// What was asked since the last time.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    fn hub(&self, cache: &Path) -> Hub {
        Hub {
            cache: cache.to_owned(),
            endpoint: Some(self.endpoint.clone()),
            token: None,
            offline: false,
        }
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let headers: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_ascii_lowercase())
        .collect();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let range = headers
        .iter()
        .find_map(|line| line.strip_prefix("range: bytes="));
    let mut state = state.lock().unwrap();
    state
        .requests
        .push(format!("{path} {}", range.unwrap_or("all")));
    let is_allowed = headers.contains(&format!("authorization: bearer {TOKEN}"));
    let mut stream = stream;
    let mut send = |status: &str, headers: &str, body: &[u8]| -> std::io::Result<()> {
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        )?;
        stream.write_all(body)
    };
    if state.is_private && !is_allowed {
        return send("401 Unauthorized", "", b"");
    }
    if let Some(revision) = path.strip_prefix("/api/models/org/small/revision/") {
        if revision != "main" && revision != COMMIT && Some(revision) != state.alias.as_deref() {
            return send("404 Not Found", "", b"");
        }
        let names = state
            .files
            .keys()
            .map(|name| format!("{{\"rfilename\": {name:?}}}"));
        let names: Vec<String> = names.collect();
        let body = format!(
            "{{\"sha\": {COMMIT:?}, \"siblings\": [{}]}}",
            names.join(", ")
        );
        return send(
            "200 OK",
            "content-type: application/json\r\n",
            body.as_bytes(),
        );
    }
    let name = path.strip_prefix(&format!("/org/small/resolve/{COMMIT}/"));
    let Some(served) = name.and_then(|name| state.files.get_mut(name)) else {
        return send("404 Not Found", "", b"");
    };
    let total = served.content.len();
    let (start, end) = range.unwrap_or("0-").split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(total, |last: usize| last + 1).min(total);
    if start >= total {
        return send("416 Range Not Satisfiable", "", b"");
    }
    let headers = format!(
        "x-repo-commit: {COMMIT}\r\netag: \"{}\"\r\ncontent-range: bytes {start}-{}/{total}\r\n",
        served.etag,
        end - 1
    );
    let body = served.content[start..end].to_vec();
    if body.len() > 1
        && let Some(sent) = served.breaks_after.take()
    {
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\ncontent-length: {length}\r\n{headers}\r\n"
        )?;
        return stream.write_all(&body[..sent]);
    }
    send("206 Partial Content", &headers, &body)
}

fn small(revision: &str) -> HubModel {
    HubModel::parse(Path::new(&format!("hub:org/small@{revision}")))
        .unwrap()
        .unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_a_model_is_made_of_is_fetched_once_into_the_shared_layout() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = server.hub(cache.path());
    let directory = hub.fetch(&small("main"), &NoProgress).unwrap();
    assert_eq!(
        directory,
        cache
            .path()
            .join("models--org--small/snapshots")
            .join(COMMIT)
    );
    assert_eq!(
        names(&directory),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ]
    );
    let weights = fs::read(directory.join("model-00001-of-00002.safetensors")).unwrap();
    assert_eq!(weights.len(), 300_000);
    let reference = fs::read_to_string(cache.path().join("models--org--small/refs/main"));
    assert_eq!(reference.unwrap(), COMMIT);
    // Again, the branch is asked where it stands, and nothing is sent.
    server.requests();
    assert_eq!(hub.fetch(&small("main"), &NoProgress).unwrap(), directory);
    assert_eq!(
        server.requests(),
        ["/api/models/org/small/revision/main all"]
    );
    // So is a commit. What is asked for offline needs no network at all.
    assert_eq!(hub.fetch(&small(COMMIT), &NoProgress).unwrap(), directory);
    assert_eq!(
        server.requests(),
        [format!("/api/models/org/small/revision/{COMMIT} all")]
    );
    let offline = Hub {
        offline: true,
        ..hub
    };
    for revision in ["main", COMMIT] {
        let found = offline.fetch(&small(revision), &NoProgress);
        assert_eq!(found.unwrap(), directory);
    }
    assert!(server.requests().is_empty());
    let error = offline.fetch(&small("other"), &NoProgress).unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
}

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let name = "model-00001-of-00002.safetensors";
    server.change(name, |served| served.breaks_after = Some(123_456));
    let hub = server.hub(cache.path());
    let error = hub.fetch(&small("main"), &NoProgress).unwrap_err();
    assert!(matches!(error, PipelineError::Hub { .. }), "{error:?}");
    assert!(error.to_string().contains("to resume"), "{error}");
    server.requests();
    let directory = hub.fetch(&small("main"), &NoProgress).unwrap();
    let ranges: Vec<String> = server
        .requests()
        .into_iter()
        .filter(|it| it.contains(name))
        .collect();
    let resumed = ranges.last().unwrap().split(' ').nth(1).unwrap().to_owned();
    let start: usize = resumed.trim_end_matches('-').parse().unwrap();
    assert!(start > 0 && start <= 123_456, "{ranges:?}");
    let expected: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    assert!(fs::read(directory.join(name)).unwrap() == expected);
}

#[test]
fn a_file_that_is_whole_but_has_no_name_yet_is_fetched_again() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let blobs = cache.path().join("models--org--small/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let name = "model-00002-of-00002.safetensors";
    let etag = server.state.lock().unwrap().files[name].etag.clone();
    fs::write(blobs.join(etag).with_extension("part"), vec![7; 1000]).unwrap();
    let directory = server
        .hub(cache.path())
        .fetch(&small("main"), &NoProgress)
        .unwrap();
    assert_eq!(fs::read(directory.join(name)).unwrap(), vec![7; 1000]);
}

#[test]
fn content_that_another_revision_brought_is_not_fetched_again() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = server.hub(cache.path());
    let directory = hub.fetch(&small("main"), &NoProgress).unwrap();
    // As after a new commit: no file has a name there yet, and one link has lost its file.
    let gone = "tokenizer.json";
    for name in names(&directory) {
        if name != gone {
            fs::remove_file(directory.join(name)).unwrap();
        }
    }
    fs::remove_file(directory.join(gone).canonicalize().unwrap()).unwrap();
    server.requests();
    hub.fetch(&small("main"), &NoProgress).unwrap();
    let sent: Vec<String> = server
        .requests()
        .into_iter()
        .filter(|it| it.ends_with(" 0-"))
        .collect();
    assert_eq!(sent, [format!("/org/small/resolve/{COMMIT}/{gone} 0-")]);
    assert!(directory.join(gone).exists());
}

#[test]
fn an_answer_about_another_commit_is_refused() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = server.hub(cache.path());
    let other = "f".repeat(40);
    server.state.lock().unwrap().alias = Some(other.clone());
    let error = hub
        .fetch(&small(&other), &NoProgress)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("the commit {other}")) && error.contains(COMMIT),
        "{error}"
    );
    let upper = HubModel::parse(Path::new(&format!(
        "hub:org/small@{}",
        COMMIT.to_uppercase()
    )));
    assert_eq!(upper.unwrap().unwrap(), small(COMMIT));
}

#[test]
fn a_file_that_is_not_what_the_hub_has_is_removed_by_name() {
    for name in ["tokenizer.json", "model-00002-of-00002.safetensors"] {
        let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
        server.change(name, |served| served.content[1] ^= 1);
        let hub = server.hub(cache.path());
        let error = hub
            .fetch(&small("main"), &NoProgress)
            .unwrap_err()
            .to_string();
        assert!(error.contains(name) && error.contains("removed"), "{error}");
        let snapshot = cache
            .path()
            .join("models--org--small/snapshots")
            .join(COMMIT);
        assert!(!names(&snapshot).contains(&name.to_owned()));
        server.change(name, |served| served.content[1] ^= 1);
        hub.fetch(&small("main"), &NoProgress).unwrap();
    }
}

#[test]
fn what_is_not_there_or_not_open_is_said() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = server.hub(cache.path());
    let message = |hub: &Hub, revision| {
        let error = hub.fetch(&small(revision), &NoProgress).unwrap_err();
        assert!(error.is_bad_input(), "{error:?}");
        error.to_string()
    };
    let found = message(&hub, "nowhere");
    assert!(
        found.contains("hub:org/small@nowhere") && found.contains("404"),
        "{found}"
    );
    server.state.lock().unwrap().is_private = true;
    let found = message(&hub, "main");
    assert!(
        found.contains("401") && found.contains("HF_TOKEN"),
        "{found}"
    );
    let with_token = Hub {
        token: Some(TOKEN.to_owned()),
        ..hub.clone()
    };
    with_token.fetch(&small("main"), &NoProgress).unwrap();
    server.state.lock().unwrap().is_private = false;
    let others = tempfile::tempdir().unwrap();
    let hub = server.hub(others.path());
    server
        .state
        .lock()
        .unwrap()
        .files
        .remove("model-00002-of-00002.safetensors");
    let found = message(&hub, "main");
    assert!(
        found.contains("model-00002-of-00002.safetensors"),
        "{found}"
    );
    // Without a server at all.
    let nowhere = Hub {
        endpoint: Some("http://127.0.0.1:9".into()),
        ..hub
    };
    let error = nowhere.fetch(&small("main"), &NoProgress).unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE=1"), "{error}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = server.hub(cache.path());
    for file in ["../../config.json", "/etc/passwd", "a/b.safetensors", ""] {
        let index = format!("{{\"weight_map\": {{\"a\": {file:?}}}}}");
        server.put("model.safetensors.index.json", index.into_bytes());
        let error = hub
            .fetch(&small("main"), &NoProgress)
            .unwrap_err()
            .to_string();
        assert!(error.contains("beside it"), "{file}: {error}");
        fs::remove_dir_all(cache.path().join("models--org--small")).unwrap();
    }
    // A hash becomes the name of a file as well.
    server.change("config.json", |served| {
        served.etag = "../../../stolen".into()
    });
    let error = hub
        .fetch(&small("main"), &NoProgress)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("stolen") && error.contains("HF_ENDPOINT"),
        "{error}"
    );
    for odd in [
        "hub:",
        "hub:a/b/c",
        "hub:../x",
        "hub:a/..",
        "hub:a b/c",
        "hub:a/b@",
        "hub:a/b@../x",
    ] {
        let error = HubModel::parse(Path::new(odd)).unwrap_err().to_string();
        assert!(error.contains("hub:ORG/NAME"), "{odd}: {error}");
    }
    let named = |text: &str| {
        HubModel::parse(Path::new(text))
            .unwrap()
            .map(|model| model.to_string())
    };
    assert_eq!(named("hub:gpt2").unwrap(), "hub:gpt2@main");
    assert_eq!(named("hub:a/b@refs/pr/1").unwrap(), "hub:a/b@refs/pr/1");
    assert_eq!(named("models/hub"), None);
    assert_eq!(
        find_model(Path::new("models/x"), &NoProgress).unwrap(),
        PathBuf::from("models/x")
    );
}
