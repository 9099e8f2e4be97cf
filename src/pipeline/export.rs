//! A run's student in a directory of its own.

use std::path::Path;

use alambic_transformer::{DeviceChoice, SaveOptions, WeightType, load_checkpoint};

use super::PipelineError;
use super::model_directory::{MAX_SHARD_BYTES, copy_tokenizer, write_model};

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
    let options = SaveOptions {
        dtype,
        bos_token_id: checkpoint.bos_token_id,
        eos_token_ids: checkpoint.eos_token_ids,
        pad_token_id: checkpoint.pad_token_id,
        max_shard_bytes: Some(MAX_SHARD_BYTES),
    };
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|source| PipelineError::io("create", parent, source))?;
    }
    write_model(&checkpoint.decoder, &options, out, |new| {
        copy_tokenizer(&student, new)
    })
}
