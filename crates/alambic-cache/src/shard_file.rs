//! A shard as a Parquet file, trusting nothing in it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Fields, UInt32Type};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;

use crate::compact::CompactDecoder;
use crate::decode::{self, ShardBatch};
use crate::invariants::RecordRules;
use crate::layout;
use crate::storage::read_error;
use crate::{CacheError, CacheSpec, FORMAT_VERSION, SegmentKey, TargetRecord};

/// A shard whose footer has been read and belongs to the cache at hand.
pub(crate) struct ShardFile<'a, R> {
    source: R,
    metadata: ArrowReaderMetadata,
    spec: &'a CacheSpec,
    path: &'a Path,
}

impl<'a, R: ChunkReader + Clone + 'static> ShardFile<'a, R> {
    /// Reads the footer and checks version, specification, index, columns and row count.
    pub(crate) fn open(
        source: R,
        spec: &'a CacheSpec,
        index: usize,
        path: &'a Path,
    ) -> Result<Self, CacheError> {
        let metadata = guarded(path, || {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            ArrowReaderMetadata::load(&source, options)
        })?;
        let shard = Self {
            source,
            metadata,
            spec,
            path,
        };
        shard.check_footer(index)?;
        shard.check_columns()?;
        shard.check_row_count()?;
        Ok(shard)
    }

    /// All records, each checked against the rules of the format.
    pub(crate) fn records(&self) -> Result<Vec<TargetRecord>, CacheError> {
        let mut rules = RecordRules::new(self.spec);
        let compact = self.compact_decoder()?;
        let mut records = Vec::with_capacity(self.num_rows());
        self.for_each_batch(ProjectionMask::all(), |batch| {
            let first_row = records.len();
            let shard_batch = ShardBatch {
                batch,
                first_row,
                spec: self.spec,
                compact: compact.as_ref(),
                path: self.path,
            };
            for row in 0..batch.num_rows() {
                let record = shard_batch.record(row)?;
                rules.check(&record, first_row + row, self.path)?;
                records.push(record);
            }
            Ok(())
        })?;
        Ok(records)
    }

    /// The record at `row`, checked against the rules of the format; reads its row group alone.
    ///
    /// # Panics
    /// If the shard has no such row.
    pub(crate) fn record(&self, row: usize) -> Result<TargetRecord, CacheError> {
        assert!(row < self.num_rows(), "row {row} of {}", self.num_rows());
        let (group, before) = self.row_group_of(row);
        let selection = [RowSelector::skip(row - before), RowSelector::select(1)];
        let mut batches = guarded(self.path, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.source.clone(),
                self.metadata.clone(),
            )
            .with_row_groups(vec![group])
            .with_row_selection(RowSelection::from(selection.to_vec()))
            .with_batch_size(1)
            .build()
        })?;
        let batch = guarded(self.path, || Ok(batches.next().transpose()?))?;
        let batch = batch.filter(|batch| batch.num_rows() == 1);
        let batch = batch.ok_or_else(|| CacheError::Layout {
            path: self.path.to_owned(),
            field: format!("row {row}"),
            expected: "in the row group that the footer says".into(),
            found: "none".into(),
        })?;
        let compact = self.compact_decoder()?;
        let shard_batch = ShardBatch {
            batch: &batch,
            first_row: row,
            spec: self.spec,
            compact: compact.as_ref(),
            path: self.path,
        };
        let record = shard_batch.record(0)?;
        RecordRules::new(self.spec).check(&record, row, self.path)?;
        Ok(record)
    }

    /// The row group that holds `row`, and how many rows precede that group.
    fn row_group_of(&self, row: usize) -> (usize, usize) {
        let mut before = 0;
        for (group, metadata) in self.metadata.metadata().row_groups().iter().enumerate() {
            let rows =
                usize::try_from(metadata.num_rows()).expect("checked when the shard was opened");
            if row < before + rows {
                return (group, before);
            }
            before += rows;
        }
        unreachable!("the row groups hold all rows, which was checked when the shard was opened")
    }

    /// The keys, reading that column alone.
    pub(crate) fn keys(&self) -> Result<Vec<SegmentKey>, CacheError> {
        let mut keys = Vec::with_capacity(self.num_rows());
        self.for_each_batch(self.one_column(layout::COLUMN_KEY), |batch| {
            let column = batch.column(0).as_fixed_size_binary();
            keys.extend((0..batch.num_rows()).map(|row| decode::key(column, row)));
            Ok(())
        })?;
        Ok(keys)
    }

    /// Token counts per segment, reading that column alone.
    pub(crate) fn lengths(&self) -> Result<Vec<usize>, CacheError> {
        let mut lengths = Vec::with_capacity(self.num_rows());
        self.for_each_batch(self.one_column(layout::COLUMN_NUM_TOKENS), |batch| {
            let column = batch.column(0).as_primitive::<UInt32Type>();
            lengths.extend(column.values().iter().map(|&tokens| tokens as usize));
            Ok(())
        })?;
        Ok(lengths)
    }

    /// Number of segments according to the footer.
    pub(crate) fn num_rows(&self) -> usize {
        let rows = self.metadata.metadata().file_metadata().num_rows();
        usize::try_from(rows).expect("checked when the shard was opened")
    }

    fn one_column(&self, column: usize) -> ProjectionMask {
        ProjectionMask::roots(self.metadata.parquet_schema(), [column])
    }

    /// Visits the row groups in order, each as its own batches: none spans two, which keeps the
    /// 32-bit offsets of a batch in range and what is held at a time small.
    fn for_each_batch(
        &self,
        columns: ProjectionMask,
        mut visit: impl FnMut(&RecordBatch) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        let mut rows = 0;
        for group in 0..self.metadata.metadata().num_row_groups() {
            let mut batches = guarded(self.path, || {
                ParquetRecordBatchReaderBuilder::new_with_metadata(
                    self.source.clone(),
                    self.metadata.clone(),
                )
                .with_row_groups(vec![group])
                .with_batch_size(self.num_rows())
                .with_projection(columns.clone())
                .build()
            })?;
            while let Some(batch) = guarded(self.path, || Ok(batches.next().transpose()?))? {
                rows += batch.num_rows();
                visit(&batch)?;
            }
        }
        self.require(rows == self.num_rows(), "rows", || {
            (
                format!("{} as in the footer", self.num_rows()),
                rows.to_string(),
            )
        })
    }

    fn check_footer(&self, index: usize) -> Result<(), CacheError> {
        let version = self.footer_value(layout::KEY_FORMAT_VERSION)?;
        if version != FORMAT_VERSION.to_string() {
            return Err(CacheError::UnknownVersion {
                path: self.path.to_owned(),
                expected: FORMAT_VERSION,
                found: version.to_owned(),
            });
        }
        let text = self.footer_value(layout::KEY_SPEC)?;
        let found: CacheSpec = serde_json::from_str(text).map_err(|source| CacheError::Layout {
            path: self.path.to_owned(),
            field: layout::KEY_SPEC.into(),
            expected: "a cache specification as JSON".into(),
            found: format!("{text:?} ({source})"),
        })?;
        self.spec.expect_same(&found, self.path)?;
        let found = self.footer_value(layout::KEY_SHARD_INDEX)?;
        if found != index.to_string() {
            return Err(CacheError::ShardIndexMismatch {
                path: self.path.to_owned(),
                expected: index,
                found: found.to_owned(),
            });
        }
        Ok(())
    }

    /// The decoder of the column of bits, if there is one.
    fn compact_decoder(&self) -> Result<Option<CompactDecoder>, CacheError> {
        if !self.spec.targets.has_codes() {
            return Ok(None);
        }
        let text = self.footer_value(layout::KEY_CODES)?;
        let decoder = BASE64.decode(text).ok();
        let decoder = decoder.and_then(|tables| CompactDecoder::from_tables(&tables, self.spec));
        match decoder {
            Some(decoder) => Ok(Some(decoder)),
            None => Err(CacheError::Layout {
                path: self.path.to_owned(),
                field: layout::KEY_CODES.into(),
                expected: "the codes of the column targets, in base64".into(),
                found: format!("{} characters that are not", text.len()),
            }),
        }
    }

    fn footer_value(&self, key: &str) -> Result<&str, CacheError> {
        let footer = self.metadata.metadata().file_metadata();
        let mut pairs = footer.key_value_metadata().into_iter().flatten();
        let value = pairs
            .find(|pair| pair.key == key)
            .and_then(|pair| pair.value.as_deref());
        value.ok_or_else(|| CacheError::Layout {
            path: self.path.to_owned(),
            field: "the footer".into(),
            expected: format!("to have the key {key}"),
            found: "none".into(),
        })
    }

    fn check_columns(&self) -> Result<(), CacheError> {
        let (expected, found) = (
            layout::schema(self.spec).fields(),
            self.metadata.schema().fields(),
        );
        let describe = |fields: &Fields| {
            let columns = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), field.data_type()));
            columns.collect::<Vec<_>>().join(", ")
        };
        self.require(found == expected, "columns", || {
            (describe(expected), describe(found))
        })
    }

    /// Bounds what a reader allocates: rows by the specification and by the bytes of their keys.
    fn check_row_count(&self) -> Result<(), CacheError> {
        let metadata = self.metadata.metadata();
        let rows = metadata.file_metadata().num_rows();
        let most = (self.spec.segments_per_shard as u64).min(self.source.len() / 32);
        let in_range = u64::try_from(rows).is_ok_and(|rows| (1..=most).contains(&rows));
        self.require(in_range, "rows", || {
            (format!("in 1..={most}"), rows.to_string())
        })?;
        // Wide sums: a hostile footer may name any row counts.
        let groups = metadata.row_groups().iter().map(|group| group.num_rows());
        let fits = groups.clone().all(|group| (0..=rows).contains(&group));
        let sum: i128 = groups.map(i128::from).sum();
        self.require(
            fits && sum == i128::from(rows),
            "rows of all row groups",
            || (rows.to_string(), sum.to_string()),
        )
    }

    fn require(
        &self,
        holds: bool,
        field: &str,
        describe: impl FnOnce() -> (String, String),
    ) -> Result<(), CacheError> {
        if holds {
            return Ok(());
        }
        let (expected, found) = describe();
        let (path, field) = (self.path.to_owned(), field.to_owned());
        Err(CacheError::Layout {
            path,
            field,
            expected,
            found,
        })
    }
}

/// Runs the Parquet library on bytes that may be hostile.
///
/// This is the one boundary at which a panic of the library becomes an error. It does panic:
/// among 400 000 damaged shards some 800 did, on a footer whose column starts at a negative
/// offset and on an encoding that needs a dictionary page where there is none.
pub(crate) fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, CacheError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(read_error(path, source)),
        Err(payload) => Err(CacheError::Damaged {
            path: path.to_owned(),
            message: panic_message(&*payload),
        }),
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, UInt32Array};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::{ValueType, encode, sample};

    fn encoded(spec: &CacheSpec, records: &[TargetRecord]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::encode_shard(&mut bytes, spec, 0, records, Path::new("shard")).unwrap();
        bytes
    }

    fn decode(bytes: Vec<u8>, spec: &CacheSpec) -> Result<Vec<TargetRecord>, CacheError> {
        let path = Path::new("shard");
        ShardFile::open(Bytes::from(bytes.clone()), spec, 0, path)?.keys()?;
        ShardFile::open(Bytes::from(bytes.clone()), spec, 0, path)?.lengths()?;
        ShardFile::open(Bytes::from(bytes.clone()), spec, 0, path)?.record(0)?;
        ShardFile::open(Bytes::from(bytes), spec, 0, path)?.records()
    }

    /// A Parquet file of one column of numbers, with the footer of a shard.
    fn foreign(spec: &CacheSpec, footer_index: usize) -> Vec<u8> {
        let column: ArrayRef = Arc::new(UInt32Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("number", column)]).unwrap();
        let properties = layout::writer_properties(layout::footer(spec, footer_index, None));
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn records_survive_row_groups() {
        let mut spec = sample::spec(ValueType::F32, 50);
        spec.segments_per_shard = 10;
        let mut records = sample::records(&spec, 0, 10);
        // Segments long enough that a row group holds one or two.
        for record in &mut records {
            let long = sample::record(&spec, 3);
            let repeats = 5_000_000 / (400 * long.num_targets());
            record.token_ids = long.token_ids.repeat(repeats);
            record.loss_mask = long.loss_mask.repeat(repeats);
            let (targets, of_long) = (sample::top_k(record), long.targets.top_k().unwrap());
            targets.token_ids = of_long.token_ids.repeat(repeats);
            targets.log_probs = of_long.log_probs.repeat(repeats);
            targets.tail_mass = of_long.tail_mass.repeat(repeats);
            targets.entropy = of_long.entropy.repeat(repeats);
        }
        let bytes = encoded(&spec, &records);
        let path = Path::new("shard");
        let shard = ShardFile::open(Bytes::from(bytes), &spec, 0, path).unwrap();
        assert!(shard.metadata.metadata().num_row_groups() > 2);
        assert_eq!(shard.records().unwrap(), records);
        assert_eq!(shard.keys().unwrap(), sample::keys(&records));
        for row in [0, 9, 4, 5, 1] {
            assert_eq!(shard.record(row).unwrap(), records[row], "{row}");
        }
    }

    #[test]
    fn a_parquet_file_that_is_no_shard_is_refused() {
        let spec = sample::spec(ValueType::F16, 8);
        let error = decode(foreign(&spec, 0), &spec).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("columns should be key FixedSizeBinary(32)"),
            "{error}"
        );
        let error = decode(foreign(&spec, 1), &spec).unwrap_err();
        assert!(
            matches!(error, CacheError::ShardIndexMismatch { .. }),
            "{error}"
        );
        let error = decode(b"PAR1PAR1".to_vec(), &spec).unwrap_err();
        assert!(matches!(error, CacheError::Parquet { .. }), "{error}");
    }

    #[test]
    fn more_rows_than_a_shard_may_have_are_refused() {
        let mut spec = sample::spec(ValueType::F16, 8);
        let records = sample::records(&spec, 0, 4);
        spec.segments_per_shard = 3;
        let error = decode(encoded(&spec, &records), &spec).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("rows should be in 1..=3, found 4"),
            "{error}"
        );
    }

    #[test]
    fn a_stored_record_that_breaks_a_rule_is_named() {
        let spec = sample::spec(ValueType::F16, 8);
        let mut records = sample::records(&spec, 0, 4);
        let last = records
            .iter()
            .rposition(|record| record.num_targets() > 0)
            .unwrap();
        sample::top_k(&mut records[last]).token_ids[3] = 50;
        let error = decode(encoded(&spec, &records), &spec)
            .unwrap_err()
            .to_string();
        let expected =
            format!("shard, row {last}: targets.token_ids[0][3] should be below vocab_size 50");
        assert!(error.contains(&expected), "{error}");
    }

    #[test]
    fn columns_whose_lengths_disagree_are_named() {
        let spec = sample::spec(ValueType::F16, 8);
        let mut records = sample::records(&spec, 0, 4);
        let row = records
            .iter()
            .position(|record| record.num_targets() > 0)
            .unwrap();
        sample::top_k(&mut records[row]).entropy.push(0.0);
        let error = decode(encoded(&spec, &records), &spec)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("shard, row {row}: bytes of entropy should be")),
            "{error}"
        );
    }

    #[test]
    fn a_panic_of_the_parquet_library_becomes_an_error() {
        let path = Path::new("shard");
        let outcome = guarded::<()>(path, || panic!("range end {} out of range", 9));
        let message = outcome.unwrap_err().to_string();
        assert!(
            message.contains("stopped with \"range end 9 out of range\""),
            "{message}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_truncated_shard_is_an_error(cut in any::<Index>()) {
            let spec = sample::spec(ValueType::F16, 8);
            let bytes = encoded(&spec, &sample::records(&spec, 0, 4));
            let cut = cut.index(bytes.len());
            prop_assert!(decode(bytes[..cut].to_vec(), &spec).is_err());
        }

        #[test]
        fn random_bytes_are_no_shard(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let spec = sample::spec(ValueType::F16, 8);
            prop_assert!(decode(bytes.clone(), &spec).is_err());
            // With the magic numbers and a plausible length of the footer.
            let length = (bytes.len() as u32).to_le_bytes();
            bytes.splice(0..0, *b"PAR1");
            bytes.extend(length.into_iter().chain(*b"PAR1"));
            prop_assert!(decode(bytes, &spec).is_err());
        }

        #[test]
        fn a_damaged_shard_gives_an_error_or_valid_records(
            flips in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..8),
        ) {
            let spec = sample::spec(ValueType::F16, 8);
            let mut bytes = encoded(&spec, &sample::records(&spec, 0, 4));
            for (position, value) in flips {
                let position = position.index(bytes.len());
                bytes[position] = value;
            }
            if let Ok(records) = decode(bytes, &spec) {
                prop_assert_eq!(records.len(), 4);
            }
        }
    }
}
