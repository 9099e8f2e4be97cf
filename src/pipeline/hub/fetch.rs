//! From the Hub into its cache.

use std::collections::BTreeSet;
use std::fs;
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

/// The HTTP status of a range behind the end of a file.
const NOTHING_MORE: u16 = 416;

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
        let cached = self.cached(model);
        if let Some(directory) = cached.as_ref().filter(|_| model.is_commit()) {
            return Ok(directory.clone());
        }
        if self.offline {
            return cached.ok_or_else(|| PipelineError::Input {
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
        if !is_hex(&info.sha, COMMIT_LETTERS) {
            return Err(unexpected(model, "the name of a commit", &info.sha));
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

    /// The directory of a revision whose files are all there.
    fn cached(&self, model: &HubModel) -> Option<PathBuf> {
        let cache = Cache::new(self.cache.clone()).repo(repo(model, &model.revision));
        let directory = match model.is_commit() {
            true => cache.pointer_path(&model.revision),
            false => cache.get(NEEDED[0])?.parent()?.to_owned(),
        };
        let weights = weight_files(&directory, |name| directory.join(name).exists()).ok()?;
        let mut needed = NEEDED.into_iter().map(str::to_owned).chain(weights);
        needed
            .all(|name| directory.join(name).exists())
            .then_some(directory)
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
    fn file(&self, name: &str) -> Result<PathBuf, PipelineError> {
        let cached = self.cache.repo(self.commit.clone());
        let path = cached.pointer_path(self.commit.revision()).join(name);
        if path.exists() {
            return Ok(path);
        }
        let failed = |source| failed(self.model, source);
        let remote = self.api.repo(self.commit.clone());
        let metadata = self.api.metadata(&remote.url(name)).map_err(failed)?;
        // Both become names of files: nothing else may.
        let Some(content) = ContentName::of(metadata.etag()) else {
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
        self.progress
            .stage("fetch", &format!("{name} of {}", self.model));
        let download = || {
            let shown = Shown {
                progress: self.progress,
                done: 0,
            };
            remote.download_with_progress(name, shown)
        };
        let fetched = match download() {
            // An earlier attempt ended between the last byte and the file's name: there is nothing to resume.
            Err(error) if status(&error) == Some(NOTHING_MORE) => {
                let part = cached.blob_path(metadata.etag()).with_extension("part");
                fs::remove_file(&part)
                    .map_err(|source| PipelineError::io("remove", &part, source))?;
                download()
            }
            fetched => fetched,
        };
        self.progress.end();
        let path = fetched.map_err(failed)?;
        self.verify(&path, content, metadata.etag(), name)?;
        Ok(path)
    }

    /// Removes a file that is not what the Hub has.
    fn verify(
        &self,
        path: &Path,
        content: ContentName,
        expected: &str,
        name: &str,
    ) -> Result<(), PipelineError> {
        let read = |source| PipelineError::io("read", path, source);
        let found = content.of_file(path).map_err(read)?;
        if found.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        let blob = path.canonicalize().map_err(read)?;
        for damaged in [path, &blob] {
            if fs::symlink_metadata(damaged).is_ok() {
                fs::remove_file(damaged)
                    .map_err(|source| PipelineError::io("remove", damaged, source))?;
            }
        }
        Err(PipelineError::Input {
            what: format!("{name} of {}", self.model),
            expected: format!("content with the hash {expected}"),
            found: format!("{found}; the file was removed"),
            advice: "run the command again; if it happens again, something between here and the Hub changes files"
                .into(),
        })
    }
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

/// Bytes on their way, shown as progress.
struct Shown<'a> {
    progress: &'a dyn Progress,
    done: u64,
}

impl hf_hub::api::Progress for Shown<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        self.done = 0;
        self.progress.begin("bytes", Some(size as u64));
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.progress.advance(self.done, "");
    }

    fn finish(&mut self) {}
}
