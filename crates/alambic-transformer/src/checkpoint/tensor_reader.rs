//! Reading the values of one tensor, whatever type they are stored in.

use std::io::{ErrorKind, Read};

use half::{bf16, f16};

use super::header::TensorEntry;

/// Bytes converted at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// How to lay out a tensor in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    AsStored,
    /// A matrix with rows and columns exchanged.
    Transposed,
}

/// The element types that weights may be stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloatType {
    F32,
    F16,
    Bf16,
}

impl FloatType {
    pub(super) fn named(dtype: &str) -> Option<Self> {
        match dtype {
            "F32" => Some(Self::F32),
            "F16" => Some(Self::F16),
            "BF16" => Some(Self::Bf16),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Appends the little-endian values in `bytes` to `values`.
    fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        match self {
            Self::F32 => values.extend(
                bytes
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            ),
            Self::F16 => values.extend(pairs().map(|b| f16::from_le_bytes(b).to_f32())),
            Self::Bf16 => values.extend(pairs().map(|b| bf16::from_le_bytes(b).to_f32())),
        }
    }
}

/// Reads a tensor's values from where it begins, some rows at a time.
pub(super) fn read_values(
    reader: &mut impl Read,
    entry: &TensorEntry,
    layout: Layout,
) -> std::io::Result<Vec<f32>> {
    let float = FloatType::named(&entry.dtype).ok_or(ErrorKind::InvalidData)?;
    let columns = entry.shape.last().copied().unwrap_or(1);
    let elements: usize = entry.shape.iter().product();
    if elements == 0 {
        return Ok(Vec::new());
    }
    let rows = elements / columns;
    let rows_at_a_time = (CHUNK_BYTES / (columns * float.bytes())).clamp(1, rows);
    let mut bytes = vec![0; rows_at_a_time * columns * float.bytes()];
    let mut chunk = Vec::with_capacity(rows_at_a_time * columns);
    let mut values = match layout {
        Layout::AsStored => Vec::with_capacity(elements),
        Layout::Transposed => vec![0.0; elements],
    };
    for first_row in (0..rows).step_by(rows_at_a_time) {
        let num_rows = rows_at_a_time.min(rows - first_row);
        let bytes = &mut bytes[..num_rows * columns * float.bytes()];
        reader.read_exact(bytes)?;
        match layout {
            Layout::AsStored => float.decode(bytes, &mut values),
            Layout::Transposed => {
                chunk.clear();
                float.decode(bytes, &mut chunk);
                for column in 0..columns {
                    let target = &mut values[column * rows + first_row..][..num_rows];
                    for (row, value) in target.iter_mut().enumerate() {
                        *value = chunk[row * columns + column];
                    }
                }
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(dtype: &str, shape: Vec<usize>, bytes: &[u8], layout: Layout) -> Vec<f32> {
        let entry = TensorEntry {
            dtype: dtype.to_string(),
            shape,
            range: 0..bytes.len() as u64,
        };
        read_values(&mut &bytes[..], &entry, layout).unwrap()
    }

    #[test]
    fn a_transposed_matrix_has_rows_and_columns_exchanged() {
        // More than one chunk, so that chunks must meet.
        let (rows, columns) = (3_000, 257);
        let value = |row: usize, column: usize| (row * 1_000 + column) as f32;
        let stored: Vec<u8> = (0..rows)
            .flat_map(|row| (0..columns).map(move |column| value(row, column)))
            .flat_map(f32::to_le_bytes)
            .collect();
        let expected: Vec<f32> = (0..columns)
            .flat_map(|column| (0..rows).map(move |row| value(row, column)))
            .collect();
        assert!(read("F32", vec![rows, columns], &stored, Layout::Transposed) == expected);
    }

    #[test]
    fn half_precision_becomes_f32() {
        let values = [1.5f32, -0.25, 0.0, 3.0];
        let f16s: Vec<u8> = values
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect();
        let bf16s: Vec<u8> = values
            .iter()
            .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
            .collect();
        assert_eq!(read("F16", vec![4], &f16s, Layout::AsStored), values);
        assert_eq!(read("BF16", vec![2, 2], &bf16s, Layout::AsStored), values);
    }

    #[test]
    fn a_tensor_without_elements_is_read_as_such() {
        assert!(read("F32", vec![0, 5], &[], Layout::Transposed).is_empty());
    }
}
