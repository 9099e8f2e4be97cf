//! A directory whose files appear whole or not at all, and are never overwritten.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, TryLockError};
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::CacheError;

/// Names of files that are not whole yet start with this.
const TEMPORARY_PREFIX: &str = ".tmp-";
/// Held by every writer: by one alone, or shared among those of different parts.
const LOCK_FILE: &str = "lock";
/// Names of the locks of writers beside others start with this.
const LABELLED_LOCK_PREFIX: &str = "lock-";

/// Where bytes go before a file has its final name: a file, or in tests a disk that fills up.
pub(crate) trait Sink: Write + Send {
    /// Waits until the bytes are on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Creates the temporary file of that path.
pub(crate) type OpenSink = fn(&Path) -> io::Result<Box<dyn Sink>>;

/// How a writer holds a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hold {
    /// By itself.
    Alone,
    /// Beside writers of other labels; two of the same label refuse each other.
    Beside(String),
}

impl Hold {
    /// What the names of this writer's temporary files start with: no two live writers share it,
    /// and what a killed one left is known by it.
    fn temporary_prefix(&self) -> String {
        match self {
            Self::Alone => TEMPORARY_PREFIX.to_owned(),
            Self::Beside(label) => format!("{TEMPORARY_PREFIX}{label}-"),
        }
    }
}

/// The directory, held through locks on files in it.
#[derive(Debug)]
pub(crate) struct WriteOnceDir {
    path: PathBuf,
    temporary_prefix: String,
    open_sink: OpenSink,
    /// Unlocked by the operating system when they are closed, also when the process is killed.
    _locks: Vec<File>,
}

impl WriteOnceDir {
    /// Creates the directory if needed, locks it, removes what a killed writer left half written.
    ///
    /// A writer that is alone removes the leftovers of all, others those of their own label.
    pub(crate) fn open(path: &Path, hold: Hold) -> Result<Self, CacheError> {
        fs::create_dir_all(path).map_err(io_error(path, "create"))?;
        let whole = path.join(LOCK_FILE);
        let locks = match &hold {
            Hold::Alone => vec![lock(&whole, File::try_lock)?],
            Hold::Beside(label) => {
                let own = path.join(format!("{LABELLED_LOCK_PREFIX}{label}"));
                vec![
                    lock(&whole, File::try_lock_shared)?,
                    lock(&own, File::try_lock)?,
                ]
            }
        };
        let dir = Self {
            path: path.to_owned(),
            temporary_prefix: hold.temporary_prefix(),
            open_sink: open_file,
            _locks: locks,
        };
        dir.remove_leftovers()?;
        Ok(dir)
    }

    /// The file names in the directory, sorted; names that are not UTF-8 cannot be ours.
    pub(crate) fn file_names(&self) -> Result<Vec<String>, CacheError> {
        file_names(&self.path)
    }

    /// The labels of the writers beside others that have held the directory, now or earlier.
    pub(crate) fn labels_of_locks(&self) -> Result<Vec<String>, CacheError> {
        let names = self.file_names()?;
        let labels = names
            .iter()
            .filter_map(|name| name.strip_prefix(LABELLED_LOCK_PREFIX));
        Ok(labels.map(str::to_owned).collect())
    }

    /// Writes a file under a temporary name, waits for the disk, and gives it its final name if
    /// that is free. On any error the final name is untouched and the temporary file is removed.
    pub(crate) fn put_if_absent(
        &self,
        file_name: &str,
        write: impl FnOnce(&mut dyn Sink) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        let target = self.path.join(file_name);
        let temporary =
            self.path
                .join(format!("{}{file_name}-{}", self.temporary_prefix, unique()));
        if target.exists() {
            return Err(CacheError::AlreadyExists { path: target });
        }
        let outcome = self.write_temporary(&temporary, write).and_then(|()| {
            // A hard link fails where a rename would replace.
            fs::hard_link(&temporary, &target).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => CacheError::AlreadyExists { path: target },
                _ => io_error(&temporary, "hard-link")(source),
            })
        });
        let removed = fs::remove_file(&temporary).map_err(io_error(&temporary, "remove"));
        // The first error is the cause; the temporary file may not even exist after it.
        outcome.and(removed)?;
        sync_directory(&self.path)
    }

    fn write_temporary(
        &self,
        temporary: &Path,
        write: impl FnOnce(&mut dyn Sink) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        let mut sink = (self.open_sink)(temporary).map_err(io_error(temporary, "create"))?;
        write(&mut *sink)?;
        sink.sync().map_err(io_error(temporary, "sync"))
    }

    fn remove_leftovers(&self) -> Result<(), CacheError> {
        for name in self.file_names()? {
            if name.starts_with(&self.temporary_prefix) {
                let path = self.path.join(name);
                fs::remove_file(&path).map_err(io_error(&path, "remove"))?;
            }
        }
        Ok(())
    }
}

/// A word that no other attempt has, so that two writers never share a temporary file, not even
/// where locks do not reach.
fn unique() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}-{random:016x}", std::process::id())
}

/// Creates a lock file if needed and takes its lock.
fn lock(path: &Path, take: fn(&File) -> Result<(), TryLockError>) -> Result<File, CacheError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).map_err(io_error(path, "open"))?;
    match take(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CacheError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_error(path, "lock")(source)),
    }
}

/// The file names in a directory, sorted; names that are not UTF-8 cannot be ours.
pub(crate) fn file_names(dir: &Path) -> Result<Vec<String>, CacheError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error(dir, "list"))? {
        let entry = entry.map_err(io_error(dir, "list"))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// An `Io` error of that path and action, for `map_err`.
pub(crate) fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> CacheError {
    move |source| CacheError::Io {
        path: path.to_owned(),
        action,
        source,
    }
}

fn open_file(path: &Path) -> io::Result<Box<dyn Sink>> {
    Ok(Box::new(File::create_new(path)?))
}

/// Makes a new name durable; only Unix lets a directory be opened for this.
fn sync_directory(path: &Path) -> Result<(), CacheError> {
    if cfg!(unix) {
        let dir = File::open(path).map_err(io_error(path, "open"))?;
        dir.sync_all().map_err(io_error(path, "sync"))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{CacheWriter, ValueType, sample};

    /// A file on a disk with room for so many bytes.
    struct FillingDisk {
        file: File,
        room: usize,
    }

    impl Write for FillingDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.file.write(&bytes[..bytes.len().min(self.room)])?;
            self.room -= written;
            match written {
                0 => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(written),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl Sink for FillingDisk {
        fn sync(&mut self) -> io::Result<()> {
            // A delayed allocation fails here, after every write succeeded.
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn disk_with_room<const ROOM: usize>(path: &Path) -> io::Result<Box<dyn Sink>> {
        Ok(Box::new(FillingDisk {
            file: File::create_new(path)?,
            room: ROOM,
        }))
    }

    #[test]
    fn a_full_disk_leaves_nothing_and_the_capture_goes_on_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let records = sample::records(&spec, 0, 3);
        let mut writer = CacheWriter::open(dir.path(), spec).unwrap();
        let disks: [OpenSink; 5] = [
            disk_with_room::<0>,
            disk_with_room::<3>,
            disk_with_room::<500>,
            disk_with_room::<1500>,
            disk_with_room::<1_000_000>,
        ];
        for open_sink in disks {
            writer.dir_mut().open_sink = open_sink;
            let outcome = writer.write_shard(0, &records);
            let full = matches!(
                outcome,
                Err(CacheError::Io { .. } | CacheError::Parquet { .. })
            );
            assert!(full, "{outcome:?}");
            assert_eq!(file_names(dir.path()).unwrap(), ["lock"]);
        }
        writer.dir_mut().open_sink = open_file;
        writer.write_shard(0, &records).unwrap();

        writer.dir_mut().open_sink = disk_with_room::<100>;
        assert!(matches!(writer.finish(1), Err(CacheError::Io { .. })));
        assert_eq!(
            file_names(dir.path()).unwrap(),
            ["lock", "shard-00000.parquet"]
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_own_full_disk_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let spec = sample::spec(ValueType::F16, 8);
        let records = sample::records(&spec, 0, 3);
        let mut writer = CacheWriter::open(dir.path(), spec).unwrap();
        writer.dir_mut().open_sink =
            |_| Ok(Box::new(File::options().write(true).open("/dev/full")?));
        let error = writer.write_shard(0, &records).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("No space left"), "{cause}");
        assert_eq!(file_names(dir.path()).unwrap(), ["lock"]);
    }

    #[test]
    fn a_name_taken_while_writing_is_not_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = WriteOnceDir::open(temporary.path(), Hold::Alone).unwrap();
        let path = temporary.path().join("file");
        let outcome = dir.put_if_absent("file", |sink| {
            fs::write(&path, "theirs").unwrap();
            sink.write_all(b"ours").map_err(io_error(&path, "write"))
        });
        assert!(
            matches!(outcome, Err(CacheError::AlreadyExists { .. })),
            "{outcome:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(dir.file_names().unwrap(), ["file", "lock"]);
    }

    fn beside(label: &str) -> Hold {
        Hold::Beside(label.into())
    }

    #[test]
    fn writers_of_different_labels_hold_a_directory_together() {
        let temporary = tempfile::tempdir().unwrap();
        let open = |hold| WriteOnceDir::open(temporary.path(), hold);
        let (first, second) = (open(beside("a")).unwrap(), open(beside("b")).unwrap());
        for (hold, lock_file) in [(beside("a"), "lock-a"), (Hold::Alone, "lock")] {
            match open(hold) {
                Err(CacheError::Locked { path }) => assert!(path.ends_with(lock_file)),
                outcome => panic!("{outcome:?}"),
            }
        }
        assert_eq!(first.labels_of_locks().unwrap(), ["a", "b"]);
        drop((first, second));
        let _alone = open(Hold::Alone).unwrap();
        match open(beside("a")) {
            Err(CacheError::Locked { path }) => assert!(path.ends_with("lock")),
            outcome => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn leftovers_are_removed_by_their_own_writer_or_by_one_that_is_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let leftover = |name: &str| temporary.path().join(name);
        let names = [
            ".tmp-1-of-2-shard-00001.parquet",
            ".tmp-1-of-21-shard-00001.parquet",
            ".tmp-shard-00000.parquet",
        ];
        for name in names {
            fs::write(leftover(name), "half").unwrap();
        }
        drop(WriteOnceDir::open(temporary.path(), beside("1-of-2")).unwrap());
        assert!(!leftover(names[0]).exists());
        assert!(leftover(names[1]).exists() && leftover(names[2]).exists());
        drop(WriteOnceDir::open(temporary.path(), Hold::Alone).unwrap());
        assert!(names.iter().all(|name| !leftover(name).exists()));
    }

    #[test]
    fn writers_of_different_labels_may_write_the_same_file_and_one_of_them_does() {
        let temporary = tempfile::tempdir().unwrap();
        let open = |label| WriteOnceDir::open(temporary.path(), beside(label)).unwrap();
        let (first, second) = (open("a"), open("b"));
        let path = temporary.path().join("file");
        first
            .put_if_absent("file", |sink| {
                let theirs = second.put_if_absent("file", |sink| {
                    sink.write_all(b"second").map_err(io_error(&path, "write"))
                });
                theirs.unwrap();
                sink.write_all(b"first").map_err(io_error(&path, "write"))
            })
            .unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(
            first.file_names().unwrap(),
            ["file", "lock", "lock-a", "lock-b"]
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_with_its_path() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        fs::write(&file, "not a directory").unwrap();
        let error = WriteOnceDir::open(&file.join("cache"), Hold::Alone).unwrap_err();
        assert!(error.to_string().contains("cannot create"), "{error}");
    }
}
