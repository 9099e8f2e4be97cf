//! An open file of a cache, wherever it is stored.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::CacheError;
#[cfg(feature = "object-store")]
use crate::objects::ObjectFile;
use crate::shared_file::SharedFile;

/// Reads only the ranges asked for; cloning opens nothing.
#[derive(Clone)]
pub(crate) enum StoredFile {
    /// A file of the operating system.
    File(SharedFile),
    /// An object.
    #[cfg(feature = "object-store")]
    Object(ObjectFile),
}

impl StoredFile {
    pub(crate) fn open(path: &Path) -> Result<Self, CacheError> {
        SharedFile::open(path).map(Self::File)
    }

    /// All bytes, from the start.
    pub(crate) fn reader(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::File(file) => Box::new(file.reader()?),
            #[cfg(feature = "object-store")]
            Self::Object(file) => Box::new(file.reader(0)),
        })
    }
}

impl Length for StoredFile {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => file.len(),
            #[cfg(feature = "object-store")]
            Self::Object(file) => file.len(),
        }
    }
}

impl ChunkReader for StoredFile {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            #[cfg(feature = "object-store")]
            Self::Object(file) => Box::new(file.reader(start)),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::File(file) => file.get_bytes(start, length),
            #[cfg(feature = "object-store")]
            Self::Object(file) => Ok(file.bytes(start, length)?),
        }
    }
}
