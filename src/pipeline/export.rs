//! Models in directories of their own: a run's student, and a model with adapters added to its weights.

use std::path::Path;

use alambic_transformer::{
    Checkpoint, Decoder, DeviceChoice, SaveOptions, WeightType, load_adapter, load_checkpoint,
};

use super::PipelineError;
use super::model_directory::{MAX_SHARD_BYTES, copy_tokenizer, write_model};

/// Writes the student of a finished run to `out`, with weights in `dtype`.
///
/// The directory appears whole or not at all.
///
/// # Errors
/// When the run has no student yet, or `out` exists.
pub fn export(run: &Path, out: &Path, dtype: WeightType) -> Result<(), PipelineError> {
    refuse_existing(out)?;
    let student = run.join("student");
    if !student.join("config.json").exists() {
        return Err(PipelineError::Input {
            what: student.display().to_string(),
            expected: "the student of a finished run".into(),
            found: "nothing".into(),
            advice: "finish the run first: alambic run RECIPE --out DIR".into(),
        });
    }
    let checkpoint = load_checkpoint(&student, &DeviceChoice::Cpu.open()?)?;
    write_new(&checkpoint, &checkpoint.decoder, &student, out, dtype)
}

/// Writes a model with the adapters that PEFT, or [`save_adapter`](alambic_transformer::save_adapter), wrote for it, added
/// to its weights: `out` loads without adapters, here and elsewhere.
///
/// The directory appears whole or not at all.
///
/// # Errors
/// Those of [`load_checkpoint`] and [`load_adapter`]; when `out` exists.
pub fn merge_adapter(
    model: &Path,
    adapter: &Path,
    out: &Path,
    dtype: WeightType,
) -> Result<(), PipelineError> {
    refuse_existing(out)?;
    let checkpoint = load_checkpoint(model, &DeviceChoice::Cpu.open()?)?;
    let merged = load_adapter(checkpoint.decoder.clone(), adapter)?.merged();
    write_new(&checkpoint, &merged, model, out, dtype)
}

fn refuse_existing(out: &Path) -> Result<(), PipelineError> {
    if out.exists() {
        return Err(PipelineError::Input {
            what: out.display().to_string(),
            expected: "a directory that does not exist yet".into(),
            found: "one that does".into(),
            advice: "choose another --out".into(),
        });
    }
    Ok(())
}

/// Writes a decoder with the tokenizer and the token ids of a checkpoint.
fn write_new(
    checkpoint: &Checkpoint,
    decoder: &Decoder,
    from: &Path,
    out: &Path,
    dtype: WeightType,
) -> Result<(), PipelineError> {
    let options = SaveOptions {
        dtype,
        bos_token_id: checkpoint.bos_token_id,
        eos_token_ids: checkpoint.eos_token_ids.clone(),
        pad_token_id: checkpoint.pad_token_id,
        max_shard_bytes: Some(MAX_SHARD_BYTES),
    };
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|source| PipelineError::io("create", parent, source))?;
    }
    write_model(decoder, &options, out, |new| copy_tokenizer(from, new))
}
