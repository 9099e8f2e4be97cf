//! A directory in memory for the files of one process.

use std::fs;
use std::path::{Path, PathBuf};

const SHARED_MEMORY: &str = "/dev/shm";
const PREFIX: &str = "alambic-fuzz-";

/// A directory that readers may read, inside one that they may not.
#[derive(Debug)]
pub struct Scratch {
    outside: PathBuf,
    inside: PathBuf,
}

impl Scratch {
    /// Makes the directories of this process, and removes those of processes that ended.
    pub fn new() -> Self {
        let shared_memory = Path::new(SHARED_MEMORY);
        let root = match shared_memory.is_dir() {
            true => shared_memory.to_owned(),
            false => std::env::temp_dir(),
        };
        remove_abandoned(&root);
        let outside = root.join(format!("{PREFIX}{}", std::process::id()));
        let inside = outside.join("inside");
        fs::create_dir_all(&inside).expect("a directory for the files of this process");
        Self { outside, inside }
    }

    /// The directory that is read.
    pub fn inside(&self) -> &Path {
        &self.inside
    }

    /// The directory around it, from which nothing may be read.
    pub fn outside(&self) -> &Path {
        &self.outside
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// libFuzzer ends its processes without unwinding, so that none can remove its own directory.
fn remove_abandoned(root: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another process may have been faster.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}
