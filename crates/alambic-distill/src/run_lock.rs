//! One process at a time per directory, or one per part of its work.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::DistillError;

/// A lock on a directory, held until dropped; the system releases it when the process dies, so that
/// a killed run never blocks the next one.
#[derive(Debug)]
pub struct RunLock {
    _files: Vec<File>,
}

impl RunLock {
    /// Creates `dir` if needed and locks all of it through the file `lock` inside.
    ///
    /// # Errors
    /// [`DistillError::Locked`] when another process holds it or a part of it.
    pub fn acquire(dir: &Path) -> Result<Self, DistillError> {
        create(dir)?;
        Ok(Self {
            _files: vec![lock(dir.join("lock"), File::try_lock)?],
        })
    }

    /// Creates `dir` if needed and locks one part of the work in it, through `lock-LABEL` inside:
    /// beside processes with other labels, but not beside one that holds all of it.
    ///
    /// # Errors
    /// [`DistillError::Locked`] when another process holds all of it or the same part.
    pub fn acquire_part(dir: &Path, label: &str) -> Result<Self, DistillError> {
        create(dir)?;
        let whole = lock(dir.join("lock"), File::try_lock_shared)?;
        let own = lock(dir.join(format!("lock-{label}")), File::try_lock)?;
        Ok(Self {
            _files: vec![whole, own],
        })
    }
}

fn create(dir: &Path) -> Result<(), DistillError> {
    fs::create_dir_all(dir).map_err(|source| DistillError::io("create", dir, source))
}

fn lock(path: PathBuf, take: fn(&File) -> Result<(), TryLockError>) -> Result<File, DistillError> {
    let file = File::create(&path).map_err(|source| DistillError::io("create", &path, source))?;
    match take(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DistillError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(DistillError::io("lock", path, source)),
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

    #[test]
    fn parts_are_locked_beside_each_other_and_not_beside_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunLock::acquire_part(dir.path(), "0-of-2").unwrap();
        let second = RunLock::acquire_part(dir.path(), "1-of-2").unwrap();
        for refused in [
            RunLock::acquire_part(dir.path(), "1-of-2"),
            RunLock::acquire(dir.path()),
        ] {
            assert!(matches!(refused, Err(DistillError::Locked { .. })));
        }
        drop((first, second));
        let _whole = RunLock::acquire(dir.path()).unwrap();
        let refused = RunLock::acquire_part(dir.path(), "1-of-2");
        assert!(matches!(refused, Err(DistillError::Locked { .. })));
    }
}
