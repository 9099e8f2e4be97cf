//! The Parquet layout of a shard: columns, footer keys, file names.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::{CacheSpec, FORMAT_VERSION, TargetKind};

/// Name of the manifest, written last: a directory that holds it is a whole cache.
///
/// ```
/// assert_eq!(alambic_cache::MANIFEST_FILE, "manifest.json");
/// ```
pub const MANIFEST_FILE: &str = "manifest.json";
/// Name of the file with the head that makes distributions of the hidden states of a cache.
///
/// ```
/// assert_eq!(alambic_cache::TEACHER_HEAD_FILE, "teacher-head.safetensors");
/// ```
pub const TEACHER_HEAD_FILE: &str = "teacher-head.safetensors";
/// Name of the file that says how many shards a capture comes to.
pub(crate) const EXTENT_FILE: &str = "extent.json";

pub(crate) const KEY_FORMAT_VERSION: &str = "alambic.format_version";
pub(crate) const KEY_SPEC: &str = "alambic.spec";
pub(crate) const KEY_SHARD_INDEX: &str = "alambic.shard_index";
pub(crate) const KEY_CODES: &str = "alambic.codes";

pub(crate) const COLUMN_KEY: usize = 0;
pub(crate) const COLUMN_NUM_TOKENS: usize = 1;
pub(crate) const COLUMN_NUM_TARGETS: usize = 2;
pub(crate) const COLUMN_TOKEN_IDS: usize = 3;
pub(crate) const COLUMN_LOSS_MASK: usize = 4;
/// The one column of bits or states.
pub(crate) const COLUMN_COMPACT_TARGETS: usize = 5;
/// The plain columns.
pub(crate) const COLUMN_TARGET_IDS: usize = 5;
pub(crate) const COLUMN_TARGET_LOG_PROBS: usize = 6;
pub(crate) const COLUMN_TAIL_MASS: usize = 7;
pub(crate) const COLUMN_ENTROPY: usize = 8;
/// The plain columns of further temperatures, if there are any.
pub(crate) const COLUMN_TEMPERED_TAIL_MASS: usize = 9;
pub(crate) const COLUMN_TEMPERED_ENTROPY: usize = 10;

/// A row group ends once its targets reach this size, so that a reader's buffers stay small.
pub(crate) const ROW_GROUP_TARGET_BYTES: usize = 16 << 20;

/// The columns of a shard, in order; none may hold nulls.
pub(crate) fn schema(spec: &CacheSpec) -> &'static SchemaRef {
    if let TargetKind::HeadOnly { .. } = spec.targets {
        return &HEAD_ONLY_SCHEMA;
    }
    match (
        spec.targets.is_compact(),
        spec.further_temperatures().is_empty(),
    ) {
        (true, _) => &COMPACT_SCHEMA,
        (false, true) => &PLAIN_SCHEMA,
        (false, false) => &TEMPERED_SCHEMA,
    }
}

const PLAIN_COLUMNS: [&str; 4] = ["target_ids", "target_log_probs", "tail_mass", "entropy"];

static PLAIN_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| with_segment_columns(&PLAIN_COLUMNS));

static HEAD_ONLY_SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| with_segment_columns(&PLAIN_COLUMNS[..2]));

static TEMPERED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    with_segment_columns(
        &[
            &PLAIN_COLUMNS[..],
            &["tempered_tail_mass", "tempered_entropy"],
        ]
        .concat(),
    )
});

static COMPACT_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| with_segment_columns(&["targets"]));

/// The columns of a segment and binary ones of its targets.
fn with_segment_columns(targets: &[&str]) -> SchemaRef {
    let mut columns = vec![
        Field::new("key", DataType::FixedSizeBinary(32), false),
        Field::new("num_tokens", DataType::UInt32, false),
        Field::new("num_targets", DataType::UInt32, false),
        Field::new(
            "token_ids",
            DataType::List(element(DataType::UInt32)),
            false,
        ),
        Field::new(
            "loss_mask",
            DataType::List(element(DataType::Boolean)),
            false,
        ),
    ];
    let targets = targets.iter();
    columns.extend(targets.map(|&name| Field::new(name, DataType::Binary, false)));
    Arc::new(Schema::new(columns))
}

/// The item of a list column, named as the Parquet specification names it.
pub(crate) fn element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, false))
}

fn column_path(parts: &[&str]) -> ColumnPath {
    ColumnPath::new(parts.iter().map(|&part| part.to_owned()).collect())
}

/// Writer settings: nothing in them depends on time, machine or library version.
///
/// Snappy shrinks ids by about a third (their upper bytes are mostly zero) and log-probabilities
/// not at all, so only ids are compressed.
pub(crate) fn writer_properties(footer: Vec<KeyValue>) -> WriterProperties {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(format!("alambic-cache version {FORMAT_VERSION}"))
        .set_key_value_metadata(Some(footer))
        .set_encoding(Encoding::PLAIN)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_compression(Compression::UNCOMPRESSED)
        .set_column_compression(
            column_path(&["token_ids", "list", "element"]),
            Compression::SNAPPY,
        )
        .set_column_compression(column_path(&["target_ids"]), Compression::SNAPPY)
        .set_column_encoding(
            column_path(&["token_ids", "list", "element"]),
            Encoding::DELTA_BINARY_PACKED,
        )
        .set_max_row_group_row_count(None)
        .build()
}

/// The key-values of a shard's footer; `codes` are those of its column of bits.
pub(crate) fn footer(spec: &CacheSpec, index: usize, codes: Option<&[u8]>) -> Vec<KeyValue> {
    let spec = serde_json::to_string(spec).expect("a struct of numbers and strings is JSON");
    let mut pairs = vec![
        KeyValue::new(KEY_FORMAT_VERSION.into(), FORMAT_VERSION.to_string()),
        KeyValue::new(KEY_SPEC.into(), spec),
        KeyValue::new(KEY_SHARD_INDEX.into(), index.to_string()),
    ];
    pairs.extend(codes.map(|codes| KeyValue::new(KEY_CODES.into(), BASE64.encode(codes))));
    pairs
}

/// `shard-00007.parquet` for 7.
pub(crate) fn shard_file_name(index: usize) -> String {
    format!("shard-{index:05}.parquet")
}

/// 7 for `shard-00007.parquet`; `None` for every other spelling.
pub(crate) fn shard_index(file_name: &str) -> Option<usize> {
    let digits = file_name.strip_prefix("shard-")?.strip_suffix(".parquet")?;
    let index = digits.parse().ok()?;
    (shard_file_name(index) == file_name).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_have_one_spelling() {
        for index in [0, 7, 99_999, 100_000] {
            assert_eq!(shard_index(&shard_file_name(index)), Some(index));
        }
        for name in [
            "shard-0.parquet",
            "shard-000000.parquet",
            "shard-+0001.parquet",
            "shard-.parquet",
            "manifest.json",
        ] {
            assert_eq!(shard_index(name), None, "{name}");
        }
    }
}
