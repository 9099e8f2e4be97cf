//! A run's student in a directory of its own.

use std::fs;
use std::path::Path;

use alambic_transformer::{
    DeviceChoice, SaveOptions, WeightType, load_checkpoint, save_checkpoint,
};

use super::PipelineError;
use super::language_model::{COMPANION_FILES, TOKENIZER_FILE};

/// Writes the student of a finished run to `out`, with weights in `dtype`.
///
/// The directory appears whole or not at all.
///
/// # Errors
/// When the run has no student yet, or `out` exists.
pub fn export(run: &Path, out: &Path, dtype: WeightType) -> Result<(), PipelineError> {
    let student = run.join("student");
    if !student.join("config.json").exists() {
        return Err(PipelineError::Input {
            what: student.display().to_string(),
            expected: "the student of a finished run".into(),
            found: "nothing".into(),
            advice: "finish the run first: alambic run RECIPE --out DIR".into(),
        });
    }
    if out.exists() {
        return Err(PipelineError::Input {
            what: out.display().to_string(),
            expected: "a directory that does not exist yet".into(),
            found: "one that does".into(),
            advice: "choose another --out".into(),
        });
    }
    let checkpoint = load_checkpoint(&student, &DeviceChoice::Cpu.open()?)?;
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let temporary = out.with_file_name(format!(".tmp-{name}"));
    let io = |source| PipelineError::io("write", &temporary, source);
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(io)?;
    }
    fs::create_dir_all(&temporary).map_err(io)?;
    let options = SaveOptions {
        dtype,
        bos_token_id: checkpoint.bos_token_id,
        eos_token_ids: checkpoint.eos_token_ids,
        pad_token_id: checkpoint.pad_token_id,
    };
    save_checkpoint(&checkpoint.decoder, &temporary, &options)?;
    for name in std::iter::once(TOKENIZER_FILE).chain(COMPANION_FILES) {
        if student.join(name).exists() {
            fs::copy(student.join(name), temporary.join(name)).map_err(io)?;
        }
    }
    fs::rename(&temporary, out).map_err(|source| PipelineError::io("rename to", out, source))
}
