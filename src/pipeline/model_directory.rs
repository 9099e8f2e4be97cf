//! Writing a model with its tokenizer as a Hugging Face directory.

use std::fs;
use std::path::Path;

use alambic_transformer::{Decoder, SaveOptions, save_checkpoint};

use super::PipelineError;
use super::language_model::{COMPANION_FILES, TOKENIZER_FILE};

/// Above so many bytes, weights are divided among several files.
pub(crate) const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// Writes weights and configuration, and what `add` writes beside them, to `out`.
///
/// The directory appears whole or not at all; one that exists already is replaced.
pub(crate) fn write_model(
    decoder: &Decoder,
    options: &SaveOptions,
    out: &Path,
    add: impl FnOnce(&Path) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let temporary = out.with_file_name(format!(".tmp-{name}"));
    remove(&temporary)?;
    let filled = fs::create_dir_all(&temporary)
        .map_err(|source| PipelineError::io("create", &temporary, source))
        .and_then(|()| Ok(save_checkpoint(decoder, &temporary, options)?))
        .and_then(|_| add(&temporary));
    if let Err(error) = filled {
        // The first error is the one to report.
        let _ = remove(&temporary);
        return Err(error);
    }
    remove(out)?;
    fs::rename(&temporary, out).map_err(|source| PipelineError::io("rename to", out, source))
}

/// Copies the tokenizer and its companions from one model directory to another.
pub(crate) fn copy_tokenizer(from: &Path, to: &Path) -> Result<(), PipelineError> {
    for name in std::iter::once(TOKENIZER_FILE).chain(COMPANION_FILES) {
        let source = from.join(name);
        if source.exists() {
            let target = to.join(name);
            fs::copy(&source, &target)
                .map_err(|cause| PipelineError::io("write", target, cause))?;
        }
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<(), PipelineError> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .map_err(|source| PipelineError::io("remove", directory, source))?;
    }
    Ok(())
}
