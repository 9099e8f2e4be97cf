//! Finished answers on disk: a file that only grows.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::SynthError;

/// JSON lines to which one process at a time adds, each on disk before [`append`](Journal::append) returns.
///
/// A process that dies while it adds a line leaves a part of it: that line was never counted, and goes when the journal is
/// opened again.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    torn_bytes: u64,
}

impl Journal {
    /// Opens or creates the file, and locks it for this process.
    pub(crate) fn open(path: &Path) -> Result<Self, SynthError> {
        let failed = |action| move |source| SynthError::file(action, path, source);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = options.open(path).map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SynthError::Locked { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let whole = whole_bytes(&file).map_err(failed("read"))?;
        let length = file.metadata().map_err(failed("read"))?.len();
        if whole < length {
            file.set_len(whole).map_err(failed("shorten"))?;
            file.sync_all().map_err(failed("shorten"))?;
        }
        sync_directory(path).map_err(failed("create"))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            torn_bytes: length - whole,
        })
    }

    /// How long a line was that its process did not finish, and that is gone now.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Adds a line, and waits until the disk has it.
    pub(crate) fn append<T: Serialize>(&mut self, line: &T) -> Result<(), SynthError> {
        let mut bytes = serde_json::to_vec(line).expect("records can be written as JSON");
        bytes.push(b'\n');
        let written = self.file.write_all(&bytes);
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|source| SynthError::file("write", &self.path, source))
    }

    /// Reads the lines from the beginning.
    pub(crate) fn lines<T: DeserializeOwned>(
        &self,
    ) -> Result<impl Iterator<Item = Result<T, SynthError>>, SynthError> {
        lines(&self.path)
    }
}

/// Reads the lines of a journal, also of one to which another process is adding: a last line without its end is left out.
pub(crate) fn lines<T: DeserializeOwned>(
    path: &Path,
) -> Result<impl Iterator<Item = Result<T, SynthError>>, SynthError> {
    let path = path.to_owned();
    let failed = |path: &Path, source| SynthError::file("read", path, source);
    let file = File::open(&path).map_err(|source| failed(&path, source))?;
    let mut reader = BufReader::new(file);
    let mut number = 0;
    let mut line = Vec::new();
    Ok(std::iter::from_fn(move || {
        line.clear();
        number += 1;
        match reader.read_until(b'\n', &mut line) {
            Err(source) => Some(Err(failed(&path, source))),
            Ok(_) if !line.ends_with(b"\n") => None,
            Ok(_) => Some(
                serde_json::from_slice(&line).map_err(|error| SynthError::Line {
                    path: path.clone(),
                    line: number,
                    problem: error.to_string(),
                }),
            ),
        }
    }))
}

/// The bytes up to the last line break.
fn whole_bytes(mut file: &File) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut whole, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(whole);
        }
        whole += read as u64;
    }
}

/// Makes the name of a new file last.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    match cfg!(unix) {
        true => File::open(directory)?.sync_all(),
        false => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(journal: &Journal) -> Vec<u32> {
        journal.lines().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn what_was_added_is_there_when_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.jsonl");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&1).unwrap();
        journal.append(&2).unwrap();
        assert_eq!(read(&journal), [1, 2]);
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&3).unwrap();
        assert_eq!((read(&journal), journal.torn_bytes()), (vec![1, 2, 3], 0));
    }

    #[test]
    fn a_line_without_an_end_goes_wherever_its_process_died() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.jsonl");
        let whole = b"10\n20\n";
        for torn in 0..4 {
            let bytes = [whole, &b"3000"[..torn]].concat();
            std::fs::write(&path, bytes).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.torn_bytes(), torn as u64);
            journal.append(&4).unwrap();
            assert_eq!(read(&journal), [10, 20, 4]);
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.jsonl");
        std::fs::write(&path, "1\ntwo\n3\n").unwrap();
        let journal = Journal::open(&path).unwrap();
        let read: Vec<Result<u32, _>> = journal.lines().unwrap().collect();
        let error = read[1].as_ref().unwrap_err().to_string();
        assert!(error.contains("numbers.jsonl, line 2"), "{error}");
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn a_second_process_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.jsonl");
        let _first = Journal::open(&path).unwrap();
        assert!(matches!(
            Journal::open(&path),
            Err(SynthError::Locked { .. })
        ));
    }
}
