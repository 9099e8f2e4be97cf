//! The URLs of caches in object storage.

use std::fmt;
use std::path::PathBuf;

use crate::CacheError;

/// What a location may look like.
const EXPECTED: &str = "a path, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, \
     abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX or file:///PATH";

/// Which service keeps the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Amazon S3 and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    GoogleCloud,
    /// Azure, the account being named by the environment.
    Azure,
    /// Azure, the account being part of the URL.
    AzureAccount,
}

impl Service {
    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::GoogleCloud => "gs",
            Self::Azure => "az",
            Self::AzureAccount => "abfss",
        }
    }
}

/// A bucket and the prefix of all objects of a cache: no user, no query, no escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectUrl {
    pub(crate) service: Service,
    /// The bucket or container; with the account, for [`Service::AzureAccount`].
    pub(crate) bucket: String,
    /// Names separated by slashes, without one at either end; may be empty.
    pub(crate) prefix: String,
}

impl ObjectUrl {
    /// Reads what stands before and after `://`.
    pub(crate) fn parse(scheme: &str, rest: &str) -> Result<Self, CacheError> {
        let services = [
            Service::S3,
            Service::GoogleCloud,
            Service::Azure,
            Service::AzureAccount,
        ];
        let service = services.into_iter().find(|known| known.scheme() == scheme);
        let service = service.ok_or_else(|| refuse(EXPECTED, format!("{scheme}://...")))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        check_bucket(service, bucket)?;
        let names = prefix.split('/').filter(|_| !prefix.is_empty());
        names.clone().try_for_each(check_name)?;
        Ok(Self {
            service,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// The URL of that name below this one.
    pub(crate) fn join(&self, name: &str) -> Self {
        let prefix = match self.prefix.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.prefix),
        };
        Self {
            prefix,
            ..self.clone()
        }
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.service.scheme(), self.bucket)?;
        match self.prefix.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.prefix),
        }
    }
}

/// The path of a `file://` URL, from what follows the slashes.
pub(crate) fn file_path(rest: &str) -> Result<PathBuf, CacheError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    match path.starts_with('/') && !path.contains('%') {
        true => Ok(path.into()),
        false => Err(refuse(
            "file:/// and an absolute path without escapes, or the plain path",
            "file:// and another one".into(),
        )),
    }
}

/// The error of a location; `found` must not repeat what may be a secret.
pub(crate) fn refuse(expected: &'static str, found: String) -> CacheError {
    CacheError::InvalidLocation { expected, found }
}

fn check_bucket(service: Service, bucket: &str) -> Result<(), CacheError> {
    let is_plain = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !text.is_empty() && text.chars().all(allowed)
    };
    let (expected, fits) = match service {
        Service::AzureAccount => (
            "CONTAINER@ACCOUNT.dfs.core.windows.net after abfss://",
            bucket.split_once('@').is_some_and(|(container, host)| {
                is_plain(container) && is_plain(host) && host.contains('.')
            }),
        ),
        _ => (
            "the name of a bucket or container after ://, credentials being in the environment",
            is_plain(bucket),
        ),
    };
    match fits {
        true => Ok(()),
        false => Err(refuse(expected, format!("{}://...", service.scheme()))),
    }
}

/// Refuses names that servers, clients or shells would read differently.
fn check_name(name: &str) -> Result<(), CacheError> {
    let special = |c: char| c.is_control() || "?#%*\\".contains(c);
    if !matches!(name, "" | "." | "..") && !name.contains(special) {
        return Ok(());
    }
    Err(refuse(
        "names without ?, #, %, *, \\ and control characters between single slashes, none of them . or ..",
        // What stands before a query is no secret.
        format!("{:?}", name.split(['?', '#']).next().unwrap_or_default()),
    ))
}
