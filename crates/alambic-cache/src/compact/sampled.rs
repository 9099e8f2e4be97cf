//! Drawn tokens as rows.

use super::bits::BitReader;
use super::row_code::{Row, RowBuffer, RowDecoder, entropy_of_number, entropy_to_number};
use super::set_code::Entry;
use crate::{DrawnRow, SampledTargets};

/// Entropy, number of distinct ids.
pub(super) const NUM_HEADER_NUMBERS: usize = 2;

pub(super) fn to_rows(targets: &SampledTargets) -> Vec<Row> {
    let rows = targets.drawn.rows().zip(&targets.entropy);
    rows.map(|(row, &entropy)| Row {
        header: vec![entropy_to_number(entropy), row.token_ids.len() as u16],
        entries: entries(row),
        fields: Vec::new(),
    })
    .collect()
}

pub(super) fn from_rows(
    rows: &RowDecoder,
    bytes: &[u8],
    num_rows: usize,
    draws: u16,
    temperature: f32,
) -> Option<SampledTargets> {
    let mut targets = SampledTargets::empty(draws, temperature);
    let mut reader = BitReader::new(bytes);
    let mut buffer = RowBuffer::default();
    for _ in 0..num_rows {
        let size = |&[_, distinct]: &[u16; NUM_HEADER_NUMBERS]| usize::from(distinct);
        let [entropy, distinct] = rows.read(&mut reader, size, &mut buffer)?;
        if distinct > draws {
            return None;
        }
        targets.drawn.push_row(buffer.entries.iter().copied());
        targets.entropy.push(entropy_of_number(entropy));
    }
    reader.is_at_end().then_some(targets)
}

/// The ids of a row with their counts.
pub(super) fn entries(row: DrawnRow<'_>) -> Vec<Entry> {
    let counts = row.counts.iter().copied();
    row.token_ids.iter().copied().zip(counts).collect()
}
