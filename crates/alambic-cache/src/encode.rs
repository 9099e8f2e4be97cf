//! Records to Parquet.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, RecordBatch, UInt32Array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::DataType;
use half::f16;
use half::slice::HalfFloatSliceExt;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;

use crate::layout::{self, ROW_GROUP_TARGET_BYTES, SCHEMA};
use crate::{CacheError, CacheSpec, TargetRecord, ValueType};

/// The largest value of one column in one row: Parquet pages and Arrow offsets are 32-bit.
const MAX_COLUMN_VALUE_BYTES: usize = 1 << 30;

/// Writes checked records as one shard; the bytes depend on the arguments alone.
pub(crate) fn encode_shard(
    sink: impl Write + Send,
    spec: &CacheSpec,
    index: usize,
    records: &[TargetRecord],
    path: &Path,
) -> Result<(), CacheError> {
    let refuse = |source| CacheError::Parquet {
        path: path.to_owned(),
        action: "write",
        source,
    };
    let options = ArrowWriterOptions::new()
        .with_properties(layout::writer_properties(layout::footer(spec, index)))
        // The Parquet types say everything; an embedded Arrow schema could contradict them.
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(sink, SCHEMA.clone(), options).map_err(refuse)?;
    let mut first = 0;
    while first < records.len() {
        let num_rows = row_group_len(&records[first..], spec);
        let batch = to_batch(&records[first..first + num_rows], spec.values).map_err(refuse)?;
        writer.write(&batch).map_err(refuse)?;
        writer.flush().map_err(refuse)?;
        first += num_rows;
    }
    writer.close().map_err(refuse)?;
    Ok(())
}

/// Refuses what a column cannot hold: a value out of f16's range, a segment of gigabytes.
pub(crate) fn check_storable(
    record: &TargetRecord,
    spec: &CacheSpec,
    row: usize,
    path: &Path,
) -> Result<(), CacheError> {
    let refuse = |field: String, expected: String, found: String| {
        Err(CacheError::InvalidRecord {
            path: path.to_owned(),
            row,
            field,
            expected,
            found,
        })
    };
    let bytes = 4 * record.token_ids.len().max(record.targets.token_ids.len());
    if bytes > MAX_COLUMN_VALUE_BYTES {
        let expected = format!("at most {MAX_COLUMN_VALUE_BYTES} bytes per segment and column");
        return refuse(
            "targets".into(),
            expected,
            format!("{bytes}, cut segments shorter"),
        );
    }
    if spec.values == ValueType::F16 {
        let lowest = f16::MIN.to_f32();
        let log_probs = &record.targets.log_probs;
        if let Some(i) = log_probs.iter().position(|&value| value < lowest) {
            let k = record.targets.k;
            let field = format!("targets.log_probs[{}][{}]", i / k, i % k);
            let expected = format!("at least {lowest}, the range of f16; or store f32");
            return refuse(field, expected, log_probs[i].to_string());
        }
    }
    Ok(())
}

/// How many leading records form the next row group: at least one.
fn row_group_len(records: &[TargetRecord], spec: &CacheSpec) -> usize {
    let mut bytes = 0usize;
    let full = records.iter().position(|record| {
        bytes += record.num_targets() * spec.bytes_per_target() + 5 * record.num_tokens();
        bytes >= ROW_GROUP_TARGET_BYTES
    });
    full.map_or(records.len(), |last| last.max(1))
}

fn to_batch(records: &[TargetRecord], values: ValueType) -> Result<RecordBatch, ParquetError> {
    let keys: Vec<u8> = records.iter().flat_map(|r| *r.key.as_bytes()).collect();
    let num_tokens = records.iter().map(|r| r.num_tokens() as u32);
    let num_targets = records.iter().map(|r| r.num_targets() as u32);
    let offsets = OffsetBuffer::<i32>::from_lengths(records.iter().map(TargetRecord::num_tokens));
    let token_ids: Vec<u32> = concat(records, |r| &r.token_ids);
    let loss_mask: Vec<bool> = concat(records, |r| &r.loss_mask);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(FixedSizeBinaryArray::new(32, keys.into(), None)),
        Arc::new(UInt32Array::from_iter_values(num_tokens)),
        Arc::new(UInt32Array::from_iter_values(num_targets)),
        Arc::new(ListArray::new(
            layout::element(DataType::UInt32),
            offsets.clone(),
            Arc::new(UInt32Array::from(token_ids)),
            None,
        )),
        Arc::new(ListArray::new(
            layout::element(DataType::Boolean),
            offsets,
            Arc::new(BooleanArray::from(loss_mask)),
            None,
        )),
        binary(records, 4, |r, out| extend_u32(out, &r.targets.token_ids)),
        binary(records, values.num_bytes(), |r, out| match values {
            ValueType::F16 => extend_f16(out, &r.targets.log_probs),
            ValueType::F32 => extend_f32(out, &r.targets.log_probs),
        }),
        binary(records, 4, |r, out| extend_f32(out, &r.targets.tail_mass)),
        binary(records, 4, |r, out| extend_f32(out, &r.targets.entropy)),
    ];
    Ok(RecordBatch::try_new(SCHEMA.clone(), columns)?)
}

fn concat<T: Copy>(records: &[TargetRecord], field: impl Fn(&TargetRecord) -> &[T]) -> Vec<T> {
    let mut all = Vec::with_capacity(records.iter().map(|r| field(r).len()).sum());
    records.iter().for_each(|r| all.extend_from_slice(field(r)));
    all
}

/// One binary value per record, all in one buffer.
fn binary(
    records: &[TargetRecord],
    value_bytes: usize,
    write: impl Fn(&TargetRecord, &mut Vec<u8>),
) -> ArrayRef {
    let entries: usize = records.iter().map(|r| r.targets.token_ids.len()).sum();
    let mut bytes = Vec::with_capacity(entries * value_bytes);
    let mut ends = vec![0];
    for record in records {
        write(record, &mut bytes);
        ends.push(bytes.len());
    }
    let offsets = OffsetBuffer::from_lengths(ends.windows(2).map(|pair| pair[1] - pair[0]));
    Arc::new(BinaryArray::new(offsets, Buffer::from_vec(bytes), None))
}

fn extend_u32(out: &mut Vec<u8>, values: &[u32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn extend_f32(out: &mut Vec<u8>, values: &[f32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn extend_f16(out: &mut Vec<u8>, values: &[f32]) {
    let mut rounded = vec![f16::ZERO; values.len()];
    rounded.convert_from_f32_slice(values);
    out.extend(rounded.iter().flat_map(|value| value.to_le_bytes()));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_log_prob_outside_the_range_of_f16_is_refused_and_fits_f32() {
        let spec = sample::spec(ValueType::F16, 2);
        let mut records = (0..).map(|seed| sample::record(&spec, seed));
        let mut record = records.find(|record| record.num_targets() > 1).unwrap();
        let check = |record: &TargetRecord, spec: &CacheSpec| {
            check_storable(record, spec, 5, Path::new("shard"))
        };
        record.targets.log_probs[3] = -65504.0;
        check(&record, &spec).unwrap();
        record.targets.log_probs[3] = -65505.0;
        let message = check(&record, &spec).unwrap_err().to_string();
        assert!(
            message.contains("shard, row 5: targets.log_probs[1][1]"),
            "{message}"
        );
        check(&record, &sample::spec(ValueType::F32, 2)).unwrap();
    }
}
