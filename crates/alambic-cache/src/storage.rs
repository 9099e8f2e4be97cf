//! Where the bytes of a cache come from and go to: a directory, or object storage.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::errors::ParquetError;

use crate::CacheError;
use crate::held_storage::HeldStorage;
use crate::location::{CacheLocation, Place};
#[cfg(feature = "object-store")]
use crate::objects::{ObjectStorage, failure_in};
use crate::stored_file::StoredFile;
use crate::write_once_dir::{Hold, file_names, io_error};

/// The files of one cache.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// A directory of this machine or of a network file system.
    Directory(PathBuf),
    /// Objects under one prefix.
    #[cfg(feature = "object-store")]
    Objects(ObjectStorage),
}

impl Storage {
    /// Connects to a location; neither it nor anything in it has to exist.
    pub(crate) fn open(location: impl Into<CacheLocation>) -> Result<Self, CacheError> {
        match location.into().0 {
            Place::Directory(path) => Ok(Self::Directory(path)),
            #[cfg(feature = "object-store")]
            Place::Objects(url) => Ok(Self::Objects(ObjectStorage::connect(&url)?)),
            #[cfg(not(feature = "object-store"))]
            Place::Objects(url) => Err(CacheError::NoObjectStorage {
                path: url.to_string().into(),
            }),
            #[cfg(test)]
            Place::Opened(storage) => Ok(storage),
        }
    }

    /// The directory, or the URL of the prefix.
    pub(crate) fn root(&self) -> PathBuf {
        match self {
            Self::Directory(path) => path.clone(),
            #[cfg(feature = "object-store")]
            Self::Objects(objects) => objects.root().into(),
        }
    }

    /// The path of a file, or the URL of an object.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(path) => path.join(name),
            #[cfg(feature = "object-store")]
            Self::Objects(objects) => objects.url_of(name).into(),
        }
    }

    /// The names of all files, sorted.
    pub(crate) fn file_names(&self) -> Result<Vec<String>, CacheError> {
        match self {
            Self::Directory(path) => file_names(path),
            #[cfg(feature = "object-store")]
            Self::Objects(objects) => Ok(objects.list()?.into_keys().collect()),
        }
    }

    /// Whether there is a file of that name.
    pub(crate) fn has(&self, name: &str) -> Result<bool, CacheError> {
        match self {
            Self::Directory(_) => {
                let path = self.path_of(name);
                path.try_exists().map_err(io_error(&path, "find"))
            }
            #[cfg(feature = "object-store")]
            Self::Objects(objects) => Ok(objects.size(name)?.is_some()),
        }
    }

    /// The size of each of these files in bytes, `None` for one that is absent.
    pub(crate) fn sizes<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<Option<u64>>, CacheError> {
        match self {
            Self::Directory(_) => names.map(|name| file_size(&self.path_of(name))).collect(),
            #[cfg(feature = "object-store")]
            Self::Objects(objects) => {
                // One listing instead of a request for each.
                let sizes = objects.list()?;
                Ok(names.map(|name| sizes.get(name).copied()).collect())
            }
        }
    }

    /// All bytes of a file; `None` if it is absent.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Bytes>, CacheError> {
        match self {
            Self::Directory(_) => {
                let path = self.path_of(name);
                match fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes.into())),
                    Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(io_error(&path, "read")(source)),
                }
            }
            #[cfg(feature = "object-store")]
            Self::Objects(objects) => objects.read(name),
        }
    }

    /// Opens a file to read parts of it.
    pub(crate) fn open_file(&self, name: &str) -> Result<StoredFile, CacheError> {
        match self {
            Self::Directory(_) => StoredFile::open(&self.path_of(name)),
            #[cfg(feature = "object-store")]
            Self::Objects(objects) => objects.open_file(name).map(StoredFile::Object),
        }
    }

    /// Reads a file from its start to its end, some of it at a time.
    pub(crate) fn for_each_piece(
        &self,
        name: &str,
        piece_bytes: usize,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<(), CacheError> {
        let file = self.open_file(name)?;
        let mut reader = file.reader().map_err(self.refused(name, "open"))?;
        let mut piece = vec![0; piece_bytes];
        loop {
            match reader
                .read(&mut piece)
                .map_err(self.refused(name, "read"))?
            {
                0 => return Ok(()),
                read => visit(&piece[..read]),
            }
        }
    }

    /// An error of that file and action, for `map_err`.
    pub(crate) fn refused(
        &self,
        name: &str,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> CacheError {
        let path = self.path_of(name);
        let is_directory = matches!(self, Self::Directory(_));
        move |source| match is_directory {
            true => CacheError::Io {
                path,
                action,
                source,
            },
            false => CacheError::ObjectStore {
                path,
                action,
                source,
            },
        }
    }

    /// Prepares writing: see [`HeldStorage`].
    pub(crate) fn hold(&self, hold: Hold) -> Result<HeldStorage, CacheError> {
        HeldStorage::hold(self.clone(), hold)
    }
}

/// Two storages of one root are the same to a test.
#[cfg(test)]
impl PartialEq for Storage {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

#[cfg(test)]
impl Eq for Storage {}

fn file_size(path: &Path) -> Result<Option<u64>, CacheError> {
    match fs::metadata(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(io_error(path, "find")(source))
        }
        found => {
            let file = found.ok().filter(fs::Metadata::is_file);
            Ok(file.map(|metadata| metadata.len()))
        }
    }
}

/// What the Parquet library said while it read: the file's fault, or that of the way to it.
pub(crate) fn read_error(path: &Path, source: ParquetError) -> CacheError {
    #[cfg(feature = "object-store")]
    let source = match failure_in(source) {
        Ok(source) => {
            return CacheError::ObjectStore {
                path: path.to_owned(),
                action: "read",
                source,
            };
        }
        Err(source) => source,
    };
    CacheError::Parquet {
        path: path.to_owned(),
        action: "read",
        source,
    }
}

#[cfg(all(test, not(feature = "object-store")))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{CacheReader, seal};

    #[test]
    fn a_build_without_object_storage_says_so() {
        let location = CacheLocation::parse("s3://bucket/cache").unwrap();
        for outcome in [
            CacheReader::open(&location).map(drop),
            seal(&location).map(drop),
            location.has_manifest().map(drop),
        ] {
            let message = outcome.unwrap_err().to_string();
            let expected = "cannot reach s3://bucket/cache: this build has no object storage; \
                            build with the feature object-store";
            assert_eq!(message, expected);
        }
    }
}
