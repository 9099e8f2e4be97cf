//! Writing a file so that it is either whole or absent.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::error::TransformerError;

/// Writes to a temporary name in the same directory, syncs, then renames over `path`.
pub(super) fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), TransformerError>,
) -> Result<(), TransformerError> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{file_name}.{}.tmp", std::process::id()));
    let io = |source: io::Error| TransformerError::Io {
        action: "write",
        path: path.to_path_buf(),
        source,
    };
    let written = (|| {
        let mut writer = BufWriter::new(File::create(&temporary).map_err(io)?);
        write(&mut writer)?;
        writer.flush().map_err(io)?;
        writer.get_ref().sync_all().map_err(io)?;
        std::fs::rename(&temporary, path).map_err(io)
    })();
    if written.is_err() {
        // The first error is the one to report; the temporary file may never have been made.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
