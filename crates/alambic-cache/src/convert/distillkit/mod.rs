//! What DistillKit writes: Parquet rows of compressed log-probabilities and packed ids.

mod compression;
mod float_type;
mod packed_bits;
mod settings_file;

use std::fs;
use std::path::Path;

use arrow::datatypes::{UInt8Type, UInt32Type};

use super::foreign_segment::{Entries, ForeignSegment, Place};
use super::{Take, parquet_files, parquet_rows};
use crate::CacheError;
use crate::write_once_dir::io_error;
use compression::Compression;

/// The file that says how all others are compressed.
const SETTINGS_FILE: &str = "compression_config.yaml";

/// Reads the files `data_0.parquet` and so on of a directory.
///
/// Row `t` of a sequence tells what was expected after its token `t`. A sequence whose rows are as
/// many as its tokens has one too many: what comes after the last token is not part of it.
pub(super) fn read(source: &Path, take: &mut Take<'_>) -> Result<(), CacheError> {
    let settings = source.join(SETTINGS_FILE);
    let text = fs::read_to_string(&settings).map_err(io_error(&settings, "read"))?;
    let compression = settings_file::parse(&text, &settings)?;
    for path in parquet_files(source)? {
        parquet_rows::for_each(&path, |rows| {
            let token_ids = rows.lists::<UInt32Type>("input_ids")?;
            let log_probs = rows.nested::<UInt8Type>("compressed_logprobs")?;
            let ids = rows.nested::<UInt8Type>("bytepacked_indices")?;
            for row in 0..rows.len() {
                let place = rows.place(row);
                let token_ids = token_ids.row::<UInt32Type>(row, place)?;
                let compressed = [
                    log_probs.row::<UInt8Type>(row, place)?,
                    ids.row::<UInt8Type>(row, place)?,
                ];
                let expected = decode(&compression, token_ids.len(), compressed, place)?;
                let segment = ForeignSegment {
                    token_ids,
                    expected,
                };
                take(segment, place)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// What was expected in place of every token: nothing of the first one.
fn decode(
    compression: &Compression,
    num_tokens: usize,
    [log_probs, ids]: [Vec<Option<Vec<u8>>>; 2],
    place: Place<'_>,
) -> Result<Vec<Option<Entries>>, CacheError> {
    let labels = num_tokens.saturating_sub(1);
    for (field, rows) in [
        ("the rows of compressed_logprobs", log_probs.len()),
        ("the rows of bytepacked_indices", ids.len()),
    ] {
        if rows != labels && rows != num_tokens {
            let expected = format!("{num_tokens} or {labels} for {num_tokens} tokens");
            return Err(place.refuse(field, expected, rows.to_string()));
        }
    }
    let mut expected = vec![None; num_tokens.min(1)];
    for (row, (log_probs, ids)) in log_probs.iter().zip(&ids).take(labels).enumerate() {
        let (Some(log_probs), Some(ids)) = (log_probs, ids) else {
            return Err(place.refuse(format!("row {row} of the targets"), "bytes", "null".into()));
        };
        let entries = compression.entries(log_probs, ids).ok_or_else(|| {
            let (values, indices) = compression.row_bytes();
            place.refuse(
                format!("row {row} of the targets"),
                format!("{values} bytes of log-probabilities and {indices} of ids"),
                format!("{} and {}", log_probs.len(), ids.len()),
            )
        })?;
        expected.push(Some(entries));
    }
    Ok(expected)
}
