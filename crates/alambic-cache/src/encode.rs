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
use rayon::prelude::*;

use crate::compact::{self, CompactEncoder};
use crate::layout::{self, ROW_GROUP_TARGET_BYTES};
use crate::{
    CacheError, CacheSpec, HeadOnlyTargets, StateType, TargetKind, TargetRecord, Targets,
    TopKTargets, ValueType,
};

/// The largest value of one column in one row: Parquet pages and Arrow offsets are 32-bit.
const MAX_COLUMN_VALUE_BYTES: usize = 1 << 30;

/// Writes checked records as one shard; the bytes depend on the arguments alone, not on how many threads
/// make them.
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
    let compact = spec
        .targets
        .has_codes()
        .then(|| CompactEncoder::for_records(records, spec));
    let codes = compact.as_ref().map(CompactEncoder::tables);
    let footer = layout::footer(spec, index, codes.as_deref());
    let options = ArrowWriterOptions::new()
        .with_properties(layout::writer_properties(footer))
        // The Parquet types say everything; an embedded Arrow schema could contradict them.
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(sink, layout::schema(spec).clone(), options)
        .map_err(refuse)?;
    let compact = match spec.targets {
        TargetKind::Hidden { values, .. } => Some(state_values(records, values)),
        _ => compact.map(|encoder| encoder.encode()),
    };
    if let Some(row) = compact
        .iter()
        .flatten()
        .position(|bytes| bytes.len() > MAX_COLUMN_VALUE_BYTES)
    {
        return Err(CacheError::InvalidRecord {
            path: path.to_owned(),
            row,
            field: "targets".into(),
            expected: format!("at most {MAX_COLUMN_VALUE_BYTES} bytes per segment and column"),
            found: "more, cut segments shorter".into(),
        });
    }
    let mut first = 0;
    while first < records.len() {
        let num_rows = row_group_len(&records[first..], spec);
        let range = first..first + num_rows;
        let targets = match &compact {
            Some(bytes) => vec![binary_column(&bytes[range.clone()])],
            None if matches!(spec.targets, TargetKind::HeadOnly { .. }) => {
                head_columns(&records[range.clone()], spec)
            }
            None => plain_columns(&records[range.clone()], spec),
        };
        let batch = to_batch(&records[range], spec, targets).map_err(refuse)?;
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
    let entries = match &record.targets {
        Targets::TopK(targets) => targets.token_ids.len(),
        Targets::Sampled(targets) => targets.drawn.token_ids.len(),
        Targets::HeadPlusSampledTail(targets) => {
            targets.head.token_ids.len() + targets.tail.token_ids.len()
        }
        Targets::Hidden(targets) => targets.states.len(),
        Targets::HeadOnly(targets) => targets.token_ids.len(),
    };
    let bytes = record.token_ids.len().max(entries).saturating_mul(4);
    if bytes > MAX_COLUMN_VALUE_BYTES {
        let expected = format!("at most {MAX_COLUMN_VALUE_BYTES} bytes per segment and column");
        return refuse(
            "targets".into(),
            expected,
            format!("{bytes}, cut segments shorter"),
        );
    }
    if let (Targets::Hidden(targets), TargetKind::Hidden { width, values, .. }) =
        (&record.targets, spec.targets)
    {
        let (states, most) = (&targets.states, values.largest_magnitude());
        return match states.iter().position(|state| state.abs() > most) {
            None => Ok(()),
            Some(i) => refuse(
                format!("targets.states[{}][{}]", i / width, i % width),
                format!("at most {most} in magnitude, the range of {values:?}; or store f32"),
                states[i].to_string(),
            ),
        };
    }
    let log_probs = match &record.targets {
        Targets::TopK(targets) => &targets.log_probs,
        Targets::HeadPlusSampledTail(targets) => &targets.head.log_probs,
        Targets::HeadOnly(targets) => &targets.log_probs,
        Targets::Sampled(_) | Targets::Hidden(_) => return Ok(()),
    };
    let Some((k, values)) = spec.targets.head() else {
        return Ok(());
    };
    let lowest = values.lowest_log_prob();
    match log_probs.iter().position(|&value| value < lowest) {
        None => Ok(()),
        Some(i) => refuse(
            format!("targets.log_probs[{}][{}]", i / k, i % k),
            format!("at least {lowest}, the range of {values:?}; or store f32"),
            log_probs[i].to_string(),
        ),
    }
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

fn to_batch(
    records: &[TargetRecord],
    spec: &CacheSpec,
    targets: Vec<ArrayRef>,
) -> Result<RecordBatch, ParquetError> {
    let keys: Vec<u8> = records.iter().flat_map(|r| *r.key.as_bytes()).collect();
    let num_tokens = records.iter().map(|r| r.num_tokens() as u32);
    let num_targets = records.iter().map(|r| r.num_targets() as u32);
    let offsets = OffsetBuffer::<i32>::from_lengths(records.iter().map(TargetRecord::num_tokens));
    let token_ids: Vec<u32> = concat(records, |r| &r.token_ids);
    let loss_mask: Vec<bool> = concat(records, |r| &r.loss_mask);
    let mut columns: Vec<ArrayRef> = vec![
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
    ];
    columns.extend(targets);
    Ok(RecordBatch::try_new(layout::schema(spec).clone(), columns)?)
}

/// The hidden states of every record as bytes.
fn state_values(records: &[TargetRecord], values: StateType) -> Vec<Vec<u8>> {
    let bytes = |record: &TargetRecord| match &record.targets {
        Targets::Hidden(targets) => compact::encode_states(&targets.states, targets.width, values),
        _ => unreachable!("the rules of the record were checked"),
    };
    records.par_iter().map(bytes).collect()
}

/// Ids, log-probabilities, tails and entropies of targets that are stored plainly.
fn plain_columns(records: &[TargetRecord], spec: &CacheSpec) -> Vec<ArrayRef> {
    let column = |write: fn(&TopKTargets, &mut Vec<u8>)| {
        let values: Vec<Vec<u8>> = records
            .iter()
            .map(|record| {
                let mut bytes = Vec::new();
                let targets = record.targets.top_k();
                write(
                    targets.expect("the rules of the record were checked"),
                    &mut bytes,
                );
                bytes
            })
            .collect();
        binary_column(&values)
    };
    let half_precision = matches!(
        spec.targets,
        TargetKind::TopK {
            values: ValueType::F16,
            ..
        }
    );
    let mut columns = vec![
        column(|targets, out| extend_u32(out, &targets.token_ids)),
        match half_precision {
            true => column(|targets, out| extend_f16(out, &targets.log_probs)),
            false => column(|targets, out| extend_f32(out, &targets.log_probs)),
        },
        column(|targets, out| extend_f32(out, &targets.tail_mass)),
        column(|targets, out| extend_f32(out, &targets.entropy)),
    ];
    if !spec.further_temperatures().is_empty() {
        columns.push(column(|targets, out| {
            let tails = targets.tempered.iter();
            tails.for_each(|tail| extend_f32(out, &tail.tail_mass));
        }));
        columns.push(column(|targets, out| {
            let tails = targets.tempered.iter();
            tails.for_each(|tail| extend_f32(out, &tail.entropy));
        }));
    }
    columns
}

/// Ids and log-probabilities of targets without a tail.
fn head_columns(records: &[TargetRecord], spec: &CacheSpec) -> Vec<ArrayRef> {
    let column = |write: &dyn Fn(&HeadOnlyTargets, &mut Vec<u8>)| {
        let bytes = records.iter().map(|record| {
            let Targets::HeadOnly(targets) = &record.targets else {
                unreachable!("the rules of the record were checked");
            };
            let mut bytes = Vec::new();
            write(targets, &mut bytes);
            bytes
        });
        binary_column(&bytes.collect::<Vec<_>>())
    };
    let half_precision = matches!(
        spec.targets,
        TargetKind::HeadOnly {
            values: ValueType::F16,
            ..
        }
    );
    vec![
        column(&|targets, out| extend_u32(out, &targets.token_ids)),
        column(&|targets, out| match half_precision {
            true => extend_f16(out, &targets.log_probs),
            false => extend_f32(out, &targets.log_probs),
        }),
    ]
}

fn concat<T: Copy>(records: &[TargetRecord], field: impl Fn(&TargetRecord) -> &[T]) -> Vec<T> {
    let mut all = Vec::with_capacity(records.iter().map(|r| field(r).len()).sum());
    records.iter().for_each(|r| all.extend_from_slice(field(r)));
    all
}

/// A column with these values.
fn binary_column(values: &[Vec<u8>]) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(values.iter().map(Vec::len));
    let bytes = Buffer::from_vec(values.concat());
    Arc::new(BinaryArray::new(offsets, bytes, None))
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
        sample::top_k(&mut record).log_probs[3] = -65504.0;
        check(&record, &spec).unwrap();
        sample::top_k(&mut record).log_probs[3] = -65505.0;
        let message = check(&record, &spec).unwrap_err().to_string();
        assert!(
            message.contains("shard, row 5: targets.log_probs[1][1]"),
            "{message}"
        );
        check(&record, &sample::spec(ValueType::F32, 2)).unwrap();
    }

    #[test]
    fn a_state_outside_the_range_of_its_type_is_refused() {
        for values in [StateType::F16, StateType::Int8, StateType::Int4] {
            let spec = sample::hidden_spec(values);
            let mut records = (0..).map(|seed| sample::record(&spec, seed));
            let mut record = records.find(|record| record.num_targets() > 1).unwrap();
            let most = values.largest_magnitude();
            for (state, is_storable) in [(-most, true), (-most.next_up(), false)] {
                let Targets::Hidden(targets) = &mut record.targets else {
                    panic!("hidden states");
                };
                targets.states[75] = state;
                let outcome = check_storable(&record, &spec, 5, Path::new("shard"));
                match outcome {
                    Ok(()) => assert!(is_storable, "{values:?}: {state}"),
                    Err(error) => {
                        let message = error.to_string();
                        assert!(!is_storable, "{message}");
                        let place = "shard, row 5: targets.states[1][5] should be at most";
                        assert!(message.contains(place), "{message}");
                    }
                }
            }
        }
    }
}
