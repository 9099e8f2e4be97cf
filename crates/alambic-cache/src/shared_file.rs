//! An open file that several column readers share.

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::CacheError;
use crate::write_once_dir::io_error;

/// Reads only the ranges asked for; cloning shares the descriptor.
#[derive(Clone)]
pub(crate) struct SharedFile(Arc<File>);

impl SharedFile {
    pub(crate) fn open(path: &Path) -> Result<Self, CacheError> {
        Ok(Self(Arc::new(
            File::open(path).map_err(io_error(path, "open"))?,
        )))
    }

    /// The file from its start to its end; of the readers of one file, one at a time.
    pub(crate) fn reader(&self) -> io::Result<File> {
        let mut file = self.0.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        Length::len(&*self.0)
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // `File` reserves the whole length first; a hostile footer may name any.
        if start
            .checked_add(length as u64)
            .is_none_or(|end| end > Length::len(self))
        {
            let message = format!("bytes {start}..+{length} are outside the file");
            return Err(ParquetError::EOF(message));
        }
        self.0.get_bytes(start, length)
    }
}
