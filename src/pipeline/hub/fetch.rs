//! From the Hub into its cache.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use super::verify::ContentName;
use super::{COMMIT_LETTERS, HubModel, is_hex};
use crate::pipeline::language_model::TOKENIZER_FILE;
use crate::pipeline::{PipelineError, Progress};

/// The weights in one file.
const WEIGHTS: &str = "model.safetensors";
/// The list of the files of divided weights.
const INDEX: &str = "model.safetensors.index.json";
/// Files without which there is no model.
const NEEDED: [&str; 2] = ["config.json", TOKENIZER_FILE];
/// Files that are taken along where the repository has them.
const OPTIONAL: [&str; 4] = [
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

/// The HTTP status of an answer that is the part that was asked for.
const PARTIAL_CONTENT: u16 = 206;
const BUFFER_BYTES: usize = 1 << 18;

/// Where models come from and where they are kept.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    pub(super) cache: PathBuf,
    /// Without a slash at its end; the Hub itself if none is given.
    pub(super) endpoint: Option<String>,
    pub(super) token: Option<String>,
    /// Nothing is asked of the network.
    pub(super) offline: bool,
}

/// The model's directory in the cache that the environment names.
pub(super) fn from_environment(
    model: &HubModel,
    progress: &dyn Progress,
) -> Result<PathBuf, PipelineError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let shared = Cache::from_env();
    let hub = Hub {
        cache: variable("HF_HUB_CACHE").map_or_else(|| shared.path().clone(), PathBuf::from),
        endpoint: variable("HF_ENDPOINT").map(|text| text.trim_end_matches('/').to_owned()),
        token: variable("HF_TOKEN").or_else(|| shared.token()),
        offline: variable("HF_HUB_OFFLINE").is_some_and(|value| is_yes(&value)),
    };
    hub.fetch(model, progress)
}

fn is_yes(value: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&value.to_ascii_lowercase().as_str())
}

impl Hub {
    /// The directory with all files of a model; those that the cache lacks are fetched.
    pub(super) fn fetch(
        &self,
        model: &HubModel,
        progress: &dyn Progress,
    ) -> Result<PathBuf, PipelineError> {
        if self.offline {
            return self
                .cached(model, progress)
                .ok_or_else(|| PipelineError::Input {
                    what: model.to_string(),
                    expected: format!(
                        "its files in {}, because HF_HUB_OFFLINE is set",
                        self.cache.display()
                    ),
                    found: "no whole model".into(),
                    advice: "fetch it once with a network, or unset HF_HUB_OFFLINE".into(),
                });
        }
        let api = self.api().map_err(|source| failed(model, source))?;
        let info = api.repo(repo(model, &model.revision)).info();
        let info = info.map_err(|source| failed(model, source))?;
        if !is_hex(&info.sha, COMMIT_LETTERS) || model.is_commit() && info.sha != model.revision {
            let expected = match model.is_commit() {
                true => format!("the commit {}", model.revision),
                false => "the name of a commit".into(),
            };
            return Err(unexpected(model, &expected, &info.sha));
        }
        let listed: BTreeSet<String> = info
            .siblings
            .into_iter()
            .map(|file| file.rfilename)
            .collect();
        let commit = repo(model, &info.sha);
        let fetching = Fetching {
            model,
            cache: Cache::new(self.cache.clone()),
            api,
            commit,
            token: self.token.as_deref(),
            progress,
        };
        let directory = fetching.files(&listed)?;
        // Under this name other tools, and this one without a network, find the commit.
        let named = Cache::new(self.cache.clone()).repo(repo(model, &model.revision));
        if !model.is_commit() {
            let noted = named.create_ref(&info.sha);
            noted.map_err(|source| {
                PipelineError::io("write the revision in", &self.cache, source)
            })?;
        }
        Ok(directory)
    }

    /// The directory of a revision whose files are all there, as far as they tell.
    fn cached(&self, model: &HubModel, progress: &dyn Progress) -> Option<PathBuf> {
        let cache = Cache::new(self.cache.clone()).repo(repo(model, &model.revision));
        let directory = match model.is_commit() {
            true => cache.pointer_path(&model.revision),
            false => cache.get(NEEDED[0])?.parent()?.to_owned(),
        };
        let is_there = |name: &str| directory.join(name).exists();
        let weights = weight_files(&directory, is_there).ok()?;
        let mut needed = NEEDED.into_iter().map(str::to_owned).chain(weights);
        if !needed.all(|name| is_there(&name)) {
            return None;
        }
        // Whether the repository has the others, only the Hub knows.
        let absent: Vec<&str> = OPTIONAL
            .into_iter()
            .filter(|name| !is_there(name))
            .collect();
        if !absent.is_empty() {
            progress.note(&format!(
                "{model} is used offline, as cached: without {}",
                absent.join(", ")
            ));
        }
        Some(directory)
    }

    fn api(&self) -> Result<Api, ApiError> {
        let cache = Cache::new(self.cache.clone());
        let mut builder = ApiBuilder::from_cache(cache)
            .with_progress(false)
            .with_token(self.token.clone());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        builder.build()
    }
}

/// Files of one commit on their way.
struct Fetching<'a> {
    model: &'a HubModel,
    cache: Cache,
    api: Api,
    commit: Repo,
    token: Option<&'a str>,
    progress: &'a dyn Progress,
}

impl Fetching<'_> {
    /// All that a model is made of, of the files that the repository lists.
    fn files(&self, listed: &BTreeSet<String>) -> Result<PathBuf, PipelineError> {
        let mut config = None;
        for name in NEEDED {
            if !listed.contains(name) {
                return Err(self.lacks(name));
            }
            let path = self.file(name)?;
            config.get_or_insert(path);
        }
        let directory = config.and_then(|path| path.parent().map(Path::to_owned));
        let directory = directory.expect("a cached file lies in a directory");
        for name in OPTIONAL.into_iter().filter(|name| listed.contains(*name)) {
            self.file(name)?;
        }
        if listed.contains(INDEX) && !listed.contains(WEIGHTS) {
            self.file(INDEX)?;
        }
        let weights = weight_files(&directory, |name| listed.contains(name));
        for name in weights.map_err(|lacking| self.lacks(&lacking))? {
            if !listed.contains(&name) {
                return Err(self.lacks(&name));
            }
            self.file(&name)?;
        }
        Ok(directory)
    }

    fn lacks(&self, name: &str) -> PipelineError {
        PipelineError::Input {
            what: self.model.to_string(),
            expected: format!("a repository with {name}"),
            found: "none".into(),
            advice: "name a model in the Hugging Face layout with weights as safetensors".into(),
        }
    }

    /// One file in the cache, fetched and verified if it is not there yet.
    ///
    /// As in every tool of the Hub, its content lies under its hash, and a link under its name.
    fn file(&self, name: &str) -> Result<PathBuf, PipelineError> {
        let cached = self.cache.repo(self.commit.clone());
        let link = cached.pointer_path(self.commit.revision()).join(name);
        if link.exists() {
            return Ok(link);
        }
        let url = self.api.repo(self.commit.clone()).url(name);
        let metadata = self
            .api
            .metadata(&url)
            .map_err(|source| failed(self.model, source))?;
        // Both become names of files: nothing else may.
        let etag = metadata
            .etag()
            .trim_start_matches("W/")
            .to_ascii_lowercase();
        let Some(content) = ContentName::of(&etag) else {
            return Err(unexpected(
                self.model,
                "the hash of a file",
                metadata.etag(),
            ));
        };
        if metadata.commit_hash() != self.commit.revision() {
            let expected = format!("the commit {}", self.commit.revision());
            return Err(unexpected(self.model, &expected, metadata.commit_hash()));
        }
        let blob = cached.blob_path(&etag);
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| PipelineError::io(action, path, source)
        };
        for directory in [&blob, &link].into_iter().filter_map(|path| path.parent()) {
            fs::create_dir_all(directory).map_err(io("create", directory))?;
        }
        // Another revision may have brought the same content.
        let is_there = blob.exists() && content.of_file(&blob).map_err(io("read", &blob))? == etag;
        if !is_there {
            let part = blob.with_extension("part");
            self.transfer(name, &url, metadata.size() as u64, &part)?;
            let found = content.of_file(&part).map_err(io("read", &part))?;
            if found != etag {
                fs::remove_file(&part).map_err(io("remove", &part))?;
                return Err(self.altered(name, &etag, &found));
            }
            fs::rename(&part, &blob).map_err(io("rename to", &blob))?;
        }
        if fs::symlink_metadata(&link).is_ok() {
            // A link whose file is gone.
            fs::remove_file(&link).map_err(io("remove", &link))?;
        }
        link_to(&blob, &etag, &link).map_err(io("link", &link))?;
        Ok(link)
    }

    /// Appends what a part of a file lacks of it.
    fn transfer(&self, name: &str, url: &str, size: u64, part: &Path) -> Result<(), PipelineError> {
        let io = |action| move |source| PipelineError::io(action, part, source);
        let file = File::options().create(true).append(true).open(part);
        let mut file = file.map_err(io("open"))?;
        if file.try_lock().is_err() {
            return Err(PipelineError::Input {
                what: format!("{name} of {}", self.model),
                expected: "one process that fetches it".into(),
                found: format!("another one, which holds {}", part.display()),
                advice: "wait for it, and run the command again".into(),
            });
        }
        let mut start = file.metadata().map_err(io("read"))?.len();
        if start > size {
            file.set_len(0).map_err(io("write"))?;
            start = 0;
        }
        if start == size {
            return Ok(());
        }
        let interrupted = |source: Box<dyn std::error::Error + Send + Sync>| PipelineError::Hub {
            model: self.model.to_string(),
            source,
        };
        let mut request = agent().get(url).header("Range", format!("bytes={start}-"));
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request
            .call()
            .map_err(|error| failed(self.model, ApiError::from(Box::new(error))))?;
        if start > 0 && response.status().as_u16() != PARTIAL_CONTENT {
            // The server sends all of it again.
            file.set_len(0).map_err(io("write"))?;
            start = 0;
        }
        self.progress
            .stage("fetch", &format!("{name} of {}", self.model));
        self.progress.begin("bytes", Some(size));
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut done = start;
        let copied = loop {
            match body.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(read) => {
                    file.write_all(&buffer[..read]).map_err(io("write"))?;
                    done += read as u64;
                    self.progress.advance(done, "");
                }
                Err(error) => break Err(error.into()),
            }
        };
        self.progress.end();
        copied.map_err(interrupted)?;
        match done == size {
            true => file.sync_all().map_err(io("write")),
            false => Err(interrupted(
                format!("{done} of {size} bytes arrived").into(),
            )),
        }
    }

    fn altered(&self, name: &str, expected: &str, found: &str) -> PipelineError {
        PipelineError::Input {
            what: format!("{name} of {}", self.model),
            expected: format!("content with the hash {expected}"),
            found: format!("{found}; what was fetched is removed"),
            advice: "run the command again; if it happens again, something between here and the Hub changes files"
                .into(),
        }
    }
}

/// Follows redirects to where large files are, which the token is not shown to.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    let config = config.redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost);
    config.build().into()
}

/// A name for the content that lies under its hash.
#[cfg(unix)]
fn link_to(_blob: &Path, etag: &str, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), link)
}

/// A name for the content that lies under its hash.
#[cfg(not(unix))]
fn link_to(blob: &Path, _etag: &str, link: &Path) -> io::Result<()> {
    fs::hard_link(blob, link)
}

/// The files of a model's weights: one, or those that the index in `directory` names.
///
/// # Errors
/// The name of what is lacking.
fn weight_files(
    directory: &Path,
    exists: impl Fn(&str) -> bool,
) -> Result<BTreeSet<String>, String> {
    if exists(WEIGHTS) {
        return Ok([WEIGHTS.to_owned()].into());
    }
    if !exists(INDEX) {
        return Err(WEIGHTS.to_owned());
    }
    let text = fs::read_to_string(directory.join(INDEX)).map_err(|_| INDEX.to_owned())?;
    let index: serde_json::Value = serde_json::from_str(&text).map_err(|_| INDEX.to_owned())?;
    let map = index["weight_map"].as_object();
    let files = map
        .into_iter()
        .flatten()
        .map(|(_, file)| file.as_str().unwrap_or_default());
    let files: BTreeSet<String> = files.map(str::to_owned).collect();
    // A name that leads elsewhere is none of a file here.
    let odd = files
        .iter()
        .find(|name| name.is_empty() || name.contains(['/', '\\']));
    match odd {
        Some(name) => Err(format!("{name:?}, a file of {INDEX} beside it")),
        None if files.is_empty() => Err(format!("a weight_map in {INDEX}")),
        None => Ok(files),
    }
}

fn repo(model: &HubModel, revision: &str) -> Repo {
    Repo::with_revision(
        model.repository.clone(),
        RepoType::Model,
        revision.to_owned(),
    )
}

fn unexpected(model: &HubModel, expected: &str, found: &str) -> PipelineError {
    PipelineError::Input {
        what: format!("the answer of the Hub about {model}"),
        expected: expected.to_owned(),
        found: format!("{found:?}"),
        advice: "check HF_ENDPOINT: it should be a server with the Hub's interface".into(),
    }
}

/// What a transfer's error means to the user.
fn failed(model: &HubModel, source: ApiError) -> PipelineError {
    match status(&source) {
        Some(status @ (401 | 403 | 404)) => PipelineError::Input {
            what: model.to_string(),
            expected: "a repository and revision on the Hub that this token may read".into(),
            found: format!("HTTP status {status}"),
            advice: "check the name and the revision; one that is private or gated needs HF_TOKEN"
                .into(),
        },
        _ => PipelineError::Hub {
            model: model.to_string(),
            source: Box::new(source),
        },
    }
}

/// The HTTP status that a request failed with.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}
