//! The objects of a cache: what a directory is on a disk, without locks and links.

mod connect;
mod failure;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod faulty_store;
mod file;
mod put;
mod requests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

pub(crate) use self::failure::failure_in;
pub(crate) use self::file::ObjectFile;
use self::requests::Requests;
use crate::CacheError;
use crate::object_url::ObjectUrl;

/// Objects under one prefix of a store; cloning shares the connections.
#[derive(Clone)]
pub(crate) struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    requests: Arc<Requests>,
    url: String,
    prefix: Path,
}

/// The URL alone: what a store says of itself may hold credentials.
impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStorage({})", self.url)
    }
}

impl ObjectStorage {
    /// The store that a URL names, with what the environment says of it.
    pub(crate) fn connect(url: &ObjectUrl) -> Result<Self, CacheError> {
        let refuse = |source| CacheError::ObjectStore {
            path: url.to_string().into(),
            action: "connect to",
            source,
        };
        let store = connect::connect(url).map_err(|error| refuse(failure::of(&error)))?;
        Self::over(store, url.to_string(), &url.prefix).map_err(refuse)
    }

    /// The objects under `prefix` of a store; `url` is what errors call them.
    pub(crate) fn over(store: Arc<dyn ObjectStore>, url: String, prefix: &str) -> io::Result<Self> {
        Ok(Self {
            store,
            requests: Arc::new(Requests::start()?),
            url,
            prefix: Path::parse(prefix).map_err(io::Error::other)?,
        })
    }

    pub(crate) fn root(&self) -> &str {
        &self.url
    }

    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// The names directly under the prefix, with their sizes in bytes.
    pub(crate) fn list(&self) -> Result<BTreeMap<String, u64>, CacheError> {
        let prefix = Some(self.prefix.clone()).filter(|prefix| !prefix.as_ref().is_empty());
        let listed = self
            .ask(|store| async move { store.list_with_delimiter(prefix.as_ref()).await })
            .map_err(|error| CacheError::ObjectStore {
                path: self.url.clone().into(),
                action: "list",
                source: failure::of(&error),
            })?;
        let objects = listed.objects.into_iter();
        let named = objects.filter_map(|object| {
            let name = object.location.filename()?.to_owned();
            Some((name, object.size))
        });
        Ok(named.collect())
    }

    /// The size of an object in bytes; `None` if it is absent.
    pub(crate) fn size(&self, name: &str) -> Result<Option<u64>, CacheError> {
        let key = self.key(name);
        let found = self.ask(|store| async move { store.head(&key).await });
        let found = self.unless_absent(name, "find", found)?;
        Ok(found.map(|object| object.size))
    }

    /// All bytes of an object; `None` if it is absent.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Bytes>, CacheError> {
        let key = self.key(name);
        let read = self.ask(|store| async move { store.get(&key).await?.bytes().await });
        self.unless_absent(name, "read", read)
    }

    /// Opens an object to read parts of it.
    pub(crate) fn open_file(&self, name: &str) -> Result<ObjectFile, CacheError> {
        match self.size(name)? {
            Some(bytes) => Ok(ObjectFile::new(self.clone(), name.to_owned(), bytes)),
            None => Err(self.error(name, "open", io::ErrorKind::NotFound.into())),
        }
    }

    /// The bytes of a range; fewer are an error.
    fn read_range(&self, name: &str, range: Range<u64>) -> io::Result<Bytes> {
        let (key, expected) = (self.key(name), range.end - range.start);
        let read = self.ask(|store| async move { store.get_range(&key, range).await });
        let bytes = read.map_err(|error| failure::of(&error))?;
        match bytes.len() as u64 == expected {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn key(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    /// Waits for an answer of the store.
    fn ask<T: Send + 'static, F: Future<Output = Result<T, Error>> + Send + 'static>(
        &self,
        request: impl FnOnce(Arc<dyn ObjectStore>) -> F,
    ) -> Result<T, Error> {
        self.requests.wait_for(request(self.store.clone()))
    }

    fn unless_absent<T>(
        &self,
        name: &str,
        action: &'static str,
        outcome: Result<T, Error>,
    ) -> Result<Option<T>, CacheError> {
        match outcome {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(name, action, failure::of(&error))),
        }
    }

    fn error(&self, name: &str, action: &'static str, source: io::Error) -> CacheError {
        CacheError::ObjectStore {
            path: self.url_of(name).into(),
            action,
            source,
        }
    }
}
