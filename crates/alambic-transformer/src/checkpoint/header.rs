//! The header of a safetensors file, read with suspicion.
//!
//! Format: a little-endian u64 `n`, then `n` bytes of JSON that map each tensor's name to its type,
//! shape and byte range, then the bytes of all tensors without gaps
//! (<https://github.com/huggingface/safetensors#format>).

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

/// Longest header that is read, as in the reference implementation.
pub(super) const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes of the length that stands before the header.
const LENGTH_BYTES: u64 = 8;
/// The one key that is not a tensor.
pub(super) const METADATA_KEY: &str = "__metadata__";

/// Where the tensors of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Tensors by name.
    pub(super) tensors: BTreeMap<String, TensorEntry>,
    /// Offset in the file at which the tensors' bytes begin.
    pub(super) data_start: u64,
}

/// Type, shape and place of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorEntry {
    /// Name of the element type, such as `F32`.
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    /// Byte range relative to the header's end.
    pub(super) range: Range<u64>,
}

impl TensorEntry {
    /// Some of the rows, that is of the places of the first dimension.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        let all = self.shape.first().copied().unwrap_or(1).max(1) as u64;
        let row_bytes = (self.range.end - self.range.start) / all;
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = rows.len();
        }
        Self {
            dtype: self.dtype.clone(),
            shape,
            range: self.range.start + row_bytes * rows.start as u64
                ..self.range.start + row_bytes * rows.end as u64,
        }
    }
}

/// Reads and checks the header of a file of `file_bytes` bytes; errors are sentences.
pub(super) fn read_header(reader: &mut impl Read, file_bytes: u64) -> Result<Header, String> {
    let mut length = [0; LENGTH_BYTES as usize];
    reader.read_exact(&mut length).map_err(|_| {
        format!(
            "it has {file_bytes} bytes, expected at least the {LENGTH_BYTES} of the header's length"
        )
    })?;
    let header_bytes = u64::from_le_bytes(length);
    let available = file_bytes.saturating_sub(LENGTH_BYTES);
    if header_bytes > available {
        return Err(format!(
            "its header claims {header_bytes} bytes, but only {available} follow; the file is truncated or of another format"
        ));
    }
    if header_bytes > MAX_HEADER_BYTES {
        return Err(format!(
            "its header claims {header_bytes} bytes, expected at most {MAX_HEADER_BYTES}"
        ));
    }
    let mut json = Vec::new();
    let read = reader
        .take(header_bytes)
        .read_to_end(&mut json)
        .map_err(|error| format!("its header cannot be read: {error}"))?;
    if read as u64 != header_bytes {
        return Err(format!(
            "its header claims {header_bytes} bytes, but {read} follow"
        ));
    }
    let entries: Entries = serde_json::from_slice(&json)
        .map_err(|error| format!("its header is not the expected JSON: {error}"))?;
    check_ranges(&entries.0, available - header_bytes)?;
    Ok(Header {
        tensors: entries.0,
        data_start: LENGTH_BYTES + header_bytes,
    })
}

/// Every range has the size of its tensor, and together they cover the data exactly once.
fn check_ranges(tensors: &BTreeMap<String, TensorEntry>, data_bytes: u64) -> Result<(), String> {
    for (name, entry) in tensors {
        let Range { start, end } = entry.range;
        if start > end || end > data_bytes {
            return Err(format!(
                "tensor `{name}` is said to be at bytes {start}..{end}, expected a range within the {data_bytes} bytes of data; the file is truncated or damaged"
            ));
        }
        if let Some(element_bytes) = element_bytes(&entry.dtype) {
            let expected = entry
                .shape
                .iter()
                .try_fold(element_bytes, |bytes, &size| bytes.checked_mul(size as u64));
            if expected != Some(end - start) {
                return Err(format!(
                    "tensor `{name}` of type {} and shape {:?} has {} bytes, expected {}",
                    entry.dtype,
                    entry.shape,
                    end - start,
                    expected.map_or_else(|| "fewer dimensions".to_string(), |b| b.to_string()),
                ));
            }
        }
    }
    let mut in_order: Vec<(&String, &TensorEntry)> = tensors.iter().collect();
    in_order.sort_by_key(|(_, entry)| (entry.range.start, entry.range.end));
    let mut covered = 0;
    for (name, entry) in in_order {
        if entry.range.start != covered {
            return Err(format!(
                "tensor `{name}` begins at byte {}, expected {covered}, the end of the tensor before it",
                entry.range.start
            ));
        }
        covered = entry.range.end;
    }
    if covered != data_bytes {
        return Err(format!(
            "its tensors end at byte {covered} of the data, expected {data_bytes}, the end of the file"
        ));
    }
    Ok(())
}

/// Size of an element, of the types whose size is a whole number of bytes.
fn element_bytes(dtype: &str) -> Option<u64> {
    match dtype {
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" => Some(1),
        "U16" | "I16" | "F16" | "BF16" => Some(2),
        "U32" | "I32" | "F32" => Some(4),
        "U64" | "I64" | "F64" => Some(8),
        _ => None,
    }
}

/// The header's object; a name that occurs twice is an error, where a map would keep one of them.
struct Entries(BTreeMap<String, TensorEntry>);

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object that maps tensor names to dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut tensors = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA_KEY {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw: RawEntry = map.next_value()?;
            let [start, end] = raw.data_offsets;
            let entry = TensorEntry {
                dtype: raw.dtype,
                shape: raw.shape,
                range: start..end,
            };
            if tensors.insert(name.clone(), entry).is_some() {
                return Err(A::Error::custom(format!("tensor `{name}` occurs twice")));
            }
        }
        Ok(Entries(tensors))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data_bytes: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(vec![0; data_bytes]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Header, String> {
        read_header(&mut &bytes[..], bytes.len() as u64)
    }

    fn problem(header: &str, data_bytes: usize) -> String {
        read(&file(header, data_bytes)).unwrap_err()
    }

    #[test]
    fn a_sound_header_is_read() {
        let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}  "#;
        let found = read(&file(header, 12)).unwrap();
        assert_eq!(found.data_start, 8 + header.len() as u64);
        assert_eq!(found.tensors.len(), 2);
        assert_eq!(found.tensors["b"].range, 4..12);
        assert_eq!(found.tensors["b"].shape, [2, 1]);
    }

    #[test]
    fn a_header_longer_than_the_file_is_refused_before_it_is_allocated() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend(b"{}");
        assert!(read(&bytes).unwrap_err().contains("only 2 follow"));
    }

    #[test]
    fn a_file_without_a_length_is_refused() {
        assert!(read(b"{}").unwrap_err().contains("it has 2 bytes"));
    }

    #[test]
    fn a_header_that_is_not_json_is_refused() {
        assert!(problem("PK\u{3}\u{4} and so on", 0).contains("not the expected JSON"));
        assert!(problem("[1, 2]", 0).contains("an object that maps tensor names"));
    }

    #[test]
    fn a_tensor_beyond_the_end_is_refused() {
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        assert!(problem(header, 7).contains("truncated"));
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#;
        assert!(problem(header, 8).contains("bytes 8..0"));
    }

    #[test]
    fn overlapping_tensors_are_refused() {
        let header = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
        assert!(problem(header, 6).contains("tensor `b` begins at byte 2, expected 4"));
    }

    #[test]
    fn gaps_and_trailing_bytes_are_refused() {
        let header = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}}"#;
        assert!(problem(header, 5).contains("begins at byte 1, expected 0"));
        let header = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
        assert!(problem(header, 5).contains("end at byte 4"));
    }

    #[test]
    fn a_size_that_contradicts_the_shape_is_refused() {
        let header = r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#;
        assert!(problem(header, 8).contains("has 8 bytes, expected 12"));
        let header = r#"{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,8]}}"#;
        assert!(problem(header, 8).contains("expected fewer"));
    }

    #[test]
    fn a_tensor_that_occurs_twice_is_refused() {
        let header = r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#;
        assert!(problem(header, 0).contains("`a` occurs twice"));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn random_entries_never_panic(
            dtype in "F32|F16|U8|F4|[a-z]{0,3}",
            shape in prop::collection::vec(any::<u64>(), 0..4),
            offsets in any::<[u64; 2]>(),
            data_bytes in 0usize..64,
            cut in 0usize..200,
        ) {
            let header = serde_json::json!({
                "a": { "dtype": dtype, "shape": shape, "data_offsets": offsets },
            });
            let mut bytes = file(&header.to_string(), data_bytes);
            let _ = read(&bytes);
            bytes.truncate(cut);
            prop_assert!(read(&bytes).is_err());
        }
    }
}
