//! Models on the Hugging Face Hub, in the cache that all of its tools share.

#[cfg(feature = "hub")]
mod fetch;
#[cfg(all(test, feature = "hub"))]
mod tests;
#[cfg(feature = "hub")]
mod verify;

use std::path::{Path, PathBuf};

use super::PipelineError;
use super::progress::Progress;

/// What stands before the name of a repository.
const PREFIX: &str = "hub:";
/// The revision that is meant if none is given.
const DEFAULT_REVISION: &str = "main";
/// Letters of a commit's name.
const COMMIT_LETTERS: usize = 40;

/// A repository on the Hub at a revision, written `hub:org/name@revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HubModel {
    /// `org/name`, or the name alone of models that are older than organisations.
    repository: String,
    /// A branch, a tag or a commit.
    revision: String,
}

impl HubModel {
    /// Reads a path that names a repository; `None` for one that is a path.
    pub(super) fn parse(path: &Path) -> Result<Option<Self>, PipelineError> {
        let Some(text) = path.to_str().and_then(|text| text.strip_prefix(PREFIX)) else {
            return Ok(None);
        };
        let (repository, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let parts: Vec<&str> = repository.split('/').collect();
        let revision_parts: Vec<&str> = revision.split('/').collect();
        let is_valid = parts.len() <= 2 && parts.into_iter().chain(revision_parts).all(is_name);
        match is_valid {
            true => Ok(Some(Self {
                repository: repository.to_owned(),
                revision: match is_hex(revision, COMMIT_LETTERS) {
                    true => revision.to_ascii_lowercase(),
                    false => revision.to_owned(),
                },
            })),
            false => Err(PipelineError::Input {
                what: path.display().to_string(),
                expected: "hub:ORG/NAME or hub:ORG/NAME@REVISION, of letters, digits, '-', '_' and '.'".into(),
                found: format!("{text:?}"),
                advice: "copy the name from the model's page; a local directory has no \"hub:\" before it".into(),
            }),
        }
    }

    /// Whether the revision is a commit, which always means the same files.
    #[cfg(feature = "hub")]
    fn is_commit(&self) -> bool {
        is_hex(&self.revision, COMMIT_LETTERS)
    }
}

impl std::fmt::Display for HubModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}@{}", self.repository, self.revision)
    }
}

/// Whether a path names a repository on the Hub and no directory.
pub(super) fn is_hub_path(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with(PREFIX))
}

/// The directory of a model: `path` itself, or for `hub:org/name@revision` where its files are cached.
///
/// What the cache lacks is fetched first, resumed where an earlier attempt stopped and verified by the hash that
/// the Hub gives. The revision is `main` if not given. The Hub is asked what the revision is and has, unless
/// `HF_HUB_OFFLINE` is set: then the cache has to have it. `HF_HOME` or `HF_HUB_CACHE` say where the cache is that the
/// tools of the Hub share, `HF_ENDPOINT` names another server, `HF_TOKEN` or the token that their login left is used.
///
/// # Errors
/// [`PipelineError::Input`] for a name that is none, a repository or revision that is not there or not open to this
/// token, a model that is not whole, and without the feature `hub`; [`PipelineError::Hub`] for a transfer that failed.
pub fn find_model(path: &Path, progress: &dyn Progress) -> Result<PathBuf, PipelineError> {
    match HubModel::parse(path)? {
        None => Ok(path.to_owned()),
        Some(model) => from_environment(&model, progress),
    }
}

#[cfg(feature = "hub")]
use fetch::from_environment;

#[cfg(not(feature = "hub"))]
fn from_environment(model: &HubModel, _progress: &dyn Progress) -> Result<PathBuf, PipelineError> {
    Err(PipelineError::Input {
        what: model.to_string(),
        expected: "a local directory, because this program was built without the feature `hub`"
            .into(),
        found: "a repository on the Hub".into(),
        advice: "build it with --features hub, or download the model and name its directory".into(),
    })
}

fn is_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !text.is_empty() && text.chars().all(is_letter) && !text.chars().all(|letter| letter == '.')
}

fn is_hex(text: &str, letters: usize) -> bool {
    text.len() == letters && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(all(test, not(feature = "hub")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pipeline::NoProgress;

    #[test]
    fn a_build_without_the_feature_says_what_to_build() {
        let error = find_model(Path::new("hub:org/small@main"), &NoProgress).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("hub:org/small@main") && message.contains("--features hub"),
            "{message}"
        );
        let path = Path::new("models/small");
        assert_eq!(find_model(path, &NoProgress).unwrap(), path);
    }
}
