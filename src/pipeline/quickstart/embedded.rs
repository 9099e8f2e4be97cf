//! The teacher that is part of the program.

use std::path::Path;

use crate::pipeline::PipelineError;
use crate::pipeline::run_directory::write_atomically;

/// The files of `data/quickstart_teacher`.
const FILES: [(&str, &[u8]); 4] = [
    (
        "config.json",
        include_bytes!("../../../data/quickstart_teacher/config.json"),
    ),
    (
        "generation_config.json",
        include_bytes!("../../../data/quickstart_teacher/generation_config.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../../../data/quickstart_teacher/model.safetensors"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../../../data/quickstart_teacher/tokenizer.json"),
    ),
];

/// Writes the embedded teacher as a Hugging Face directory.
pub(super) fn write_teacher(directory: &Path) -> Result<(), PipelineError> {
    std::fs::create_dir_all(directory)
        .map_err(|source| PipelineError::io("create", directory, source))?;
    for (name, bytes) in FILES {
        let path = directory.join(name);
        write_atomically(&path, bytes)
            .map_err(|source| PipelineError::io("write", path, source))?;
    }
    Ok(())
}
