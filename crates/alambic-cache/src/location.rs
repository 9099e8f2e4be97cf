//! Where a cache stands: a directory, or objects under one prefix.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::layout::MANIFEST_FILE;
use crate::object_url::ObjectUrl;
use crate::storage::Storage;
use crate::{CacheError, object_url};

/// Where a cache stands: a local directory, or a prefix in object storage.
///
/// Written as a path, as `file:///absolute/path`, or as a URL: `s3://BUCKET/PREFIX` (Amazon S3 and
/// what speaks its protocol), `gs://BUCKET/PREFIX` (Google Cloud Storage), `az://CONTAINER/PREFIX`
/// or `abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX` (Azure). URLs are understood by every
/// build, and reached by those with the feature `object-store`. Credentials, region and endpoint
/// come from the environment, by the names that each service's own tools use (`AWS_*`, `GOOGLE_*`,
/// `AZURE_*`); they are never part of a location, an error or a cache.
///
/// Paths convert by themselves, so functions that take a location take a `&Path` as well; a path is
/// always a directory, whatever it looks like. Text is read by [`parse`](Self::parse).
///
/// ```
/// use alambic_cache::CacheLocation;
/// let location: CacheLocation = "s3://corpus/runs/first".parse()?;
/// assert_eq!(location.join("train").to_string(), "s3://corpus/runs/first/train");
/// assert_eq!(location.as_directory(), None);
/// # Ok::<(), alambic_cache::CacheError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLocation(pub(crate) Place);

/// What a location is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A local directory.
    Directory(PathBuf),
    /// Objects under one prefix.
    Objects(ObjectUrl),
    /// A storage that a test has opened itself.
    #[cfg(test)]
    Opened(Storage),
}

impl CacheLocation {
    /// Reads a path or a URL.
    ///
    /// # Errors
    /// [`CacheError::InvalidLocation`] for an empty text, another kind of URL, a URL with a user, a
    /// query or `%`, and names that no object should have: empty ones, `.` and `..`.
    ///
    /// ```
    /// use std::path::Path;
    /// use alambic_cache::CacheLocation;
    /// let directory = CacheLocation::parse("runs/first/cache")?;
    /// assert_eq!(directory.as_directory(), Some(Path::new("runs/first/cache")));
    /// let message = CacheLocation::parse("https://host/x").unwrap_err().to_string();
    /// assert!(message.contains("s3://BUCKET/PREFIX"), "{message}");
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, CacheError> {
        if text.is_empty() {
            return Err(object_url::refuse("a path or a URL", "nothing".into()));
        }
        let is_scheme = |start: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
            start.chars().all(allowed)
        };
        match text.split_once("://") {
            Some(("file", rest)) => {
                object_url::file_path(rest).map(|path| Self(Place::Directory(path)))
            }
            Some((scheme, rest)) if is_scheme(scheme) => {
                ObjectUrl::parse(scheme, rest).map(|url| Self(Place::Objects(url)))
            }
            _ => Ok(Path::new(text).into()),
        }
    }

    /// The location of that name inside this one.
    ///
    /// ```
    /// use alambic_cache::CacheLocation;
    /// let cache = CacheLocation::parse("gs://bucket")?.join("train");
    /// assert_eq!(cache.to_string(), "gs://bucket/train");
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn join(&self, name: &str) -> Self {
        Self(match &self.0 {
            Place::Directory(path) => Place::Directory(path.join(name)),
            Place::Objects(url) => Place::Objects(url.join(name)),
            #[cfg(test)]
            Place::Opened(storage) => unreachable!("{storage:?} is a cache itself"),
        })
    }

    /// The local directory; `None` for objects.
    ///
    /// ```
    /// use std::path::Path;
    /// use alambic_cache::CacheLocation;
    /// let location = CacheLocation::parse("file:///data/cache")?;
    /// assert_eq!(location.as_directory(), Some(Path::new("/data/cache")));
    /// # Ok::<(), alambic_cache::CacheError>(())
    /// ```
    pub fn as_directory(&self) -> Option<&Path> {
        match &self.0 {
            Place::Directory(path) => Some(path),
            _ => None,
        }
    }

    /// The directory, or the URL in the place of a path.
    pub(crate) fn to_path(&self) -> PathBuf {
        match self.as_directory() {
            Some(path) => path.to_owned(),
            None => self.to_string().into(),
        }
    }

    /// Whether a manifest is there, that is, whether the cache is complete.
    ///
    /// # Errors
    /// [`CacheError::Io`], or [`CacheError::ObjectStore`] and [`CacheError::NoObjectStorage`] for
    /// objects.
    ///
    /// ```
    /// use alambic_cache::CacheLocation;
    /// # let dir = tempfile::tempdir()?;
    /// assert!(!CacheLocation::from(dir.path()).has_manifest()?); // an empty directory
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_manifest(&self) -> Result<bool, CacheError> {
        Storage::open(self.clone())?.has(MANIFEST_FILE)
    }
}

impl From<&Path> for CacheLocation {
    fn from(path: &Path) -> Self {
        Self(Place::Directory(path.to_owned()))
    }
}

impl From<&PathBuf> for CacheLocation {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<&CacheLocation> for CacheLocation {
    fn from(location: &CacheLocation) -> Self {
        location.clone()
    }
}

#[cfg(test)]
impl From<&Storage> for CacheLocation {
    fn from(storage: &Storage) -> Self {
        Self(Place::Opened(storage.clone()))
    }
}

impl FromStr for CacheLocation {
    type Err = CacheError;

    fn from_str(text: &str) -> Result<Self, CacheError> {
        Self::parse(text)
    }
}

impl fmt::Display for CacheLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Directory(path) => path.display().fmt(f),
            Place::Objects(url) => url.fmt(f),
            #[cfg(test)]
            Place::Opened(storage) => storage.root().display().fmt(f),
        }
    }
}

/// As it is written; a directory whose name is not UTF-8 is an error.
impl Serialize for CacheLocation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_directory() {
            Some(path) => path.serialize(serializer),
            None => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_location_reads_back_from_what_it_is_written_as() {
        for text in [
            "cache",
            "/data/cache",
            "../a cache",
            "/a/directory://named/so",
            "s3://bucket",
            "s3://bucket/a/b",
            "gs://bucket/a",
            "az://container/a",
            "abfss://container@account.dfs.core.windows.net/a",
        ] {
            let location = CacheLocation::parse(text).unwrap();
            assert_eq!(location.to_string(), text);
            assert_eq!(serde_json::to_value(&location).unwrap(), text);
        }
        for (text, plain) in [
            ("s3://bucket/a/", "s3://bucket/a"),
            ("s3://bucket/", "s3://bucket"),
            ("file:///a/b", "/a/b"),
            ("file://localhost/a", "/a"),
        ] {
            assert_eq!(CacheLocation::parse(text).unwrap().to_string(), plain);
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in [
            "",
            "ftp://host/a",
            "http://host/a",
            "S3://bucket/a",
            "s3://",
            "s3:///a",
            "s3://bucket//a",
            "s3://bucket/a/../b",
            "s3://bucket/./b",
            "s3://bucket/a?x=1",
            "s3://bucket/a#x",
            "s3://bucket/a%2fb",
            "s3://bucket/a\\b",
            "s3://bucket/a\nb",
            "abfss://account/a",
            "file://host/a",
            "file://relative",
            "file:///a%20b",
        ] {
            let outcome = CacheLocation::parse(text);
            assert!(
                matches!(outcome, Err(CacheError::InvalidLocation { .. })),
                "{text}: {outcome:?}"
            );
        }
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_repeated() {
        for text in [
            "s3://AKIDEXAMPLE:hunter22@bucket/a",
            "gs://hunter22@bucket/a",
            "abfss://container:hunter22@account.dfs.core.windows.net/a",
            "az://container/a?sig=hunter22",
            "ftp://user:hunter22@host",
        ] {
            let message = CacheLocation::parse(text).unwrap_err().to_string();
            assert!(!message.contains("hunter22"), "{message}");
            assert!(!message.contains("AKIDEXAMPLE"), "{message}");
        }
    }
}
