//! Where a writer puts the files of a cache.

use crate::CacheError;
#[cfg(feature = "object-store")]
use crate::objects::ObjectStorage;
use crate::storage::Storage;
use crate::write_once_dir::{Hold, Sink, WriteOnceDir};

/// Storage that a writer may put files into.
///
/// A directory is held by locks until this is dropped. Objects are not: two writers of the same
/// part may meet there, and what keeps them from harm is that no file is ever replaced.
#[derive(Debug)]
pub(crate) struct HeldStorage {
    storage: Storage,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Directory(WriteOnceDir),
    #[cfg(feature = "object-store")]
    Objects(ObjectStorage),
}

impl HeldStorage {
    /// Locks a directory, which is created if needed; announces a writer of objects.
    pub(crate) fn hold(storage: Storage, hold: Hold) -> Result<Self, CacheError> {
        let held = match &storage {
            Storage::Directory(path) => Held::Directory(WriteOnceDir::open(path, hold)?),
            #[cfg(feature = "object-store")]
            Storage::Objects(objects) => {
                objects.announce(&hold)?;
                Held::Objects(objects.clone())
            }
        };
        Ok(Self { storage, held })
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The labels of the writers beside others that have held it, now or earlier.
    pub(crate) fn labels(&self) -> Result<Vec<String>, CacheError> {
        match &self.held {
            Held::Directory(dir) => dir.labels_of_locks(),
            #[cfg(feature = "object-store")]
            Held::Objects(objects) => objects.labels(),
        }
    }

    /// Writes a file that appears whole or not at all, if there is none of that name.
    pub(crate) fn put_if_absent(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Sink) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        match &self.held {
            Held::Directory(dir) => dir.put_if_absent(name, write),
            #[cfg(feature = "object-store")]
            Held::Objects(objects) => objects.put_if_absent(name, write),
        }
    }

    /// The directory behind it.
    #[cfg(test)]
    pub(crate) fn dir_mut(&mut self) -> &mut WriteOnceDir {
        match &mut self.held {
            Held::Directory(dir) => dir,
            #[cfg(feature = "object-store")]
            Held::Objects(objects) => panic!("{objects:?} is no directory"),
        }
    }
}
