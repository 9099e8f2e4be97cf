//! The fingerprint of a checkpoint.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::CONFIG_FILE;
use crate::error::TransformerError;

const BUFFER_BYTES: usize = 1 << 20;

/// Lower-case hex SHA-256 over the name, length and bytes of `config.json` and each weight file.
pub(super) fn fingerprint<'a>(
    dir: &Path,
    weight_files: impl Iterator<Item = &'a str>,
) -> Result<String, TransformerError> {
    let mut names: Vec<&str> = weight_files.collect();
    names.sort_unstable();
    names.insert(0, CONFIG_FILE);
    let mut hasher = Sha256::new();
    for name in names {
        hash_file(&mut hasher, dir, name)?;
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    Ok(hex)
}

fn hash_file(hasher: &mut Sha256, dir: &Path, name: &str) -> Result<(), TransformerError> {
    let path = dir.join(name);
    let io = |action: &'static str| {
        let path = path.clone();
        move |source| TransformerError::Io {
            action,
            path,
            source,
        }
    };
    let mut file = File::open(&path).map_err(io("open"))?;
    let length = file.metadata().map_err(io("read"))?.len();
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(length.to_le_bytes());
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer).map_err(io("read"))? {
            0 => return Ok(()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
