//! Tokens in, logits or more tokens out: safetensors files, for comparison with other programs.

use std::io::Write;
use std::path::Path;

use alambic_transformer::{
    AttentionContext, Decoder, GenerationConfig, Precision, TransformerError, generate_batch,
    load_checkpoint,
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::json;

use super::PipelineError;
use super::run_directory::write_atomically_with;

/// The tensor that is read, `[B, T]`.
const INPUT: &str = "input_ids";

/// Writes what a model predicts behind every token.
///
/// `tokens` is a safetensors file with `input_ids`, i32 `[B, T]`: `B` texts without padding. `out` gets `logits`,
/// f32 `[B, T, V]`, `V` the rows of the model's embedding. Any checkpoint will do, with or without a tokenizer; rows
/// are read one at a time, and what is multiplied is rounded to `precision`. Returns `[B, T, V]`.
///
/// # Errors
/// Those of loading the model; [`PipelineError::Input`] for a file that does not hold such tokens, or tokens that
/// the model does not have or read.
pub fn score_tokens(
    model: &Path,
    tokens: &Path,
    out: &Path,
    device: &Device,
    precision: Precision,
) -> Result<[usize; 3], PipelineError> {
    let decoder = load_checkpoint(model, device)?.decoder;
    let decoder = decoder.computing_in(precision)?;
    let rows = read_rows(tokens, &decoder, 0)?;
    let vocab = decoder.config().vocab_size;
    let shape = [rows.len(), rows[0].len(), vocab];
    let context = AttentionContext::causal(1, shape[1], device);
    let logits = |row: &Vec<u32>| -> Result<Vec<f32>, PipelineError> {
        let ids: Vec<i32> = row.iter().map(|&id| id as i32).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, shape[1]]), device);
        let logits = decoder.forward(ids, &context).try_into_vec_as();
        let what = || "the logits".to_owned();
        Ok(logits.map_err(|source| TransformerError::ReadTensor {
            what: what(),
            source,
        })?)
    };
    let mut failure = None;
    let written = write_atomically_with(out, |file| {
        file.write_all(&header("logits", "F32", &shape))?;
        for row in &rows {
            match logits(row) {
                Ok(logits) => {
                    let bytes: Vec<u8> = logits
                        .iter()
                        .flat_map(|logit| logit.to_le_bytes())
                        .collect();
                    file.write_all(&bytes)?;
                }
                Err(error) => {
                    failure = Some(error);
                    return Err(std::io::ErrorKind::Other.into());
                }
            }
        }
        Ok(())
    });
    match (written, failure) {
        (_, Some(error)) => Err(error),
        (Err(source), None) => Err(PipelineError::io("write", out, source)),
        (Ok(()), None) => Ok(shape),
    }
}

/// Writes token sequences with what a model adds to them, always taking the most likely token.
///
/// `tokens` is a safetensors file with `input_ids`, i32 `[B, T]`; `out` gets `output`, i32 `[B, T + N]`: every row
/// with `max_new_tokens` more. No token ends a text, so that all rows are of one length. Returns `[B, T + N]`.
///
/// # Errors
/// Those of [`score_tokens`], and [`PipelineError::Input`] if the model does not read so many tokens.
pub fn continue_tokens(
    model: &Path,
    tokens: &Path,
    out: &Path,
    max_new_tokens: usize,
    device: &Device,
) -> Result<[usize; 2], PipelineError> {
    let decoder = load_checkpoint(model, device)?.decoder;
    let rows = read_rows(tokens, &decoder, max_new_tokens)?;
    let added = generate_batch(&decoder, &rows, &GenerationConfig::greedy(max_new_tokens))?;
    let shape = [rows.len(), rows[0].len() + max_new_tokens];
    let whole = rows.iter().zip(&added);
    let ids = whole.flat_map(|(row, added)| row.iter().chain(&added.token_ids));
    let bytes: Vec<u8> = ids.flat_map(|&id| (id as i32).to_le_bytes()).collect();
    let written = write_atomically_with(out, |file| {
        file.write_all(&header("output", "I32", &shape))?;
        file.write_all(&bytes)
    });
    written.map_err(|source| PipelineError::io("write", out, source))?;
    Ok(shape)
}

/// Rows of equal length that the decoder reads, with room for `more` tokens.
fn read_rows(path: &Path, decoder: &Decoder, more: usize) -> Result<Vec<Vec<u32>>, PipelineError> {
    let bytes = std::fs::read(path).map_err(|source| PipelineError::io("read", path, source))?;
    let refuse = |expected: String, found: String| PipelineError::Input {
        what: path.display().to_string(),
        expected,
        found,
        advice: "write it with safetensors, as int32".into(),
    };
    let wanted = || format!("a safetensors file with the tensor {INPUT:?}, I32 of [B, T]");
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| refuse(wanted(), format!("another file ({error})")))?;
    let Ok(tensor) = file.tensor(INPUT) else {
        let names = file.names();
        return Err(refuse(wanted(), format!("the tensors {names:?}")));
    };
    let (&[batch, seq], Dtype::I32) = (tensor.shape(), tensor.dtype()) else {
        let found = format!("{:?} of {:?}", tensor.dtype(), tensor.shape());
        return Err(refuse(wanted(), found));
    };
    let limit = decoder.config().max_sequence_tokens();
    if batch == 0 || !(1..=limit.saturating_sub(more)).contains(&seq) {
        let expected = match more {
            0 => format!("at least one row of 1 to {limit} tokens, what the model reads"),
            _ => format!("at least one row, of tokens that with {more} more are at most {limit}"),
        };
        return Err(refuse(expected, format!("{batch} rows of {seq}")));
    }
    let vocab = decoder.config().vocab_size;
    let ids = tensor.data().as_chunks::<4>().0;
    let ids = ids.iter().map(|&id| i32::from_le_bytes(id));
    let ids: Result<Vec<u32>, i32> = ids
        .map(|id| match u32::try_from(id) {
            Ok(token) if (token as usize) < vocab => Ok(token),
            _ => Err(id),
        })
        .collect();
    let ids =
        ids.map_err(|id| refuse(format!("token ids from 0 to {}", vocab - 1), id.to_string()))?;
    Ok(ids.chunks_exact(seq).map(<[u32]>::to_vec).collect())
}

/// What stands before the numbers of a safetensors file with one tensor of four bytes each.
fn header(name: &str, dtype: &str, shape: &[usize]) -> Vec<u8> {
    let bytes = 4 * shape.iter().product::<usize>();
    let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [0, bytes] });
    let mut text = json!({ name: entry }).to_string();
    // The numbers begin at a multiple of eight.
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}
