//! Whether what was fetched is what the Hub has.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::is_hex;

const BUFFER_BYTES: usize = 1 << 20;

/// How the Hub names the content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentName {
    /// SHA-256 of a large file.
    Sha256,
    /// git's name of a small one: SHA-1 of its length and content.
    GitBlob,
}

impl ContentName {
    /// What kind of name an entity tag is; `None` for any other text.
    pub(super) fn of(etag: &str) -> Option<Self> {
        match (is_hex(etag, 64), is_hex(etag, 40)) {
            (true, _) => Some(Self::Sha256),
            (_, true) => Some(Self::GitBlob),
            _ => None,
        }
    }

    /// The name of a file's content, in lower-case hex.
    pub(super) fn of_file(self, path: &Path) -> io::Result<String> {
        let file = File::open(path)?;
        match self {
            Self::Sha256 => digest(Sha256::new(), file),
            Self::GitBlob => {
                let header = format!("blob {}\0", file.metadata()?.len());
                let mut hash = Sha1::new();
                hash.update(header.as_bytes());
                digest(hash, file)
            }
        }
    }
}

fn digest<D: Digest>(mut hash: D, mut file: File) -> io::Result<String> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    let bytes = hash.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
