//! The same in three columns of Parquet.

use std::path::Path;

use arrow::datatypes::{Float32Type, UInt32Type};

use super::foreign_segment::ForeignSegment;
use super::neutral_jsonl::zip_labels;
use super::{Take, parquet_files, parquet_rows};
use crate::CacheError;

/// Reads a file, or all files of a directory.
pub(super) fn read(source: &Path, take: &mut Take<'_>) -> Result<(), CacheError> {
    for path in parquet_files(source)? {
        parquet_rows::for_each(&path, |rows| {
            let token_ids = rows.lists::<UInt32Type>("token_ids")?;
            let top_ids = rows.nested::<UInt32Type>("top_ids")?;
            let log_probs = rows.nested::<Float32Type>("top_log_probs")?;
            for row in 0..rows.len() {
                let place = rows.place(row);
                let segment = ForeignSegment {
                    token_ids: token_ids.row::<UInt32Type>(row, place)?,
                    expected: zip_labels(
                        top_ids.row::<UInt32Type>(row, place)?,
                        log_probs.row::<Float32Type>(row, place)?,
                        place,
                    )?,
                };
                take(segment, place)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}
