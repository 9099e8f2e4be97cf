//! One process at a time per directory.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::DistillError;

/// An exclusive lock on a directory, held until dropped; the system releases it when the process
/// dies, so that a killed run never blocks the next one.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Creates `dir` if needed and locks it through the file `lock` inside.
    ///
    /// # Errors
    /// [`DistillError::Locked`] when another process holds it.
    pub fn acquire(dir: &Path) -> Result<Self, DistillError> {
        fs::create_dir_all(dir).map_err(|source| DistillError::io("create", dir, source))?;
        let path = dir.join("lock");
        let file =
            File::create(&path).map_err(|source| DistillError::io("create", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DistillError::Locked { path }),
            Err(TryLockError::Error(source)) => Err(DistillError::io("lock", &path, source)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_can_be_locked_once_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunLock::acquire(dir.path()).unwrap();
        assert!(matches!(
            RunLock::acquire(dir.path()),
            Err(DistillError::Locked { .. })
        ));
        drop(first);
        RunLock::acquire(dir.path()).unwrap();
    }
}
