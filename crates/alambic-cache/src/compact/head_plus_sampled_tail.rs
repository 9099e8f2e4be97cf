//! Heads, each followed by what was drawn from its tail.

use super::bits::BitReader;
use super::quantiser::Quantiser;
use super::row_code::{Row, RowBuffer, RowDecoder};
use super::sampled::entries;
use super::top_k::{self, TopKReader, rows_within};
use crate::{DrawnTokens, HeadPlusSampledTail};

/// Number of distinct ids.
pub(super) const NUM_TAIL_HEADER_NUMBERS: usize = 1;

/// Rows of heads and tails in turn.
///
/// # Panics
/// If a log-probability has no level; that was checked.
pub(super) fn to_rows(targets: &HeadPlusSampledTail, quantiser: &Quantiser) -> Vec<Row> {
    let heads = top_k::to_rows(&targets.head, quantiser);
    let tails = targets.tail.rows().map(|row| Row {
        header: vec![row.token_ids.len() as u16],
        entries: entries(row),
    });
    heads
        .into_iter()
        .zip(tails)
        .flat_map(<[Row; 2]>::from)
        .collect()
}

pub(super) fn from_rows(
    [heads, tails]: [&RowDecoder; 2],
    bytes: &[u8],
    num_rows: usize,
    k: usize,
    draws: u16,
    temperature: f32,
    quantiser: &Quantiser,
) -> Option<HeadPlusSampledTail> {
    let mut reader = BitReader::new(bytes);
    let mut head = TopKReader::new(heads, (k, &[]), quantiser, rows_within(bytes, num_rows, k));
    let mut tail = DrawnTokens::default();
    let mut buffer = RowBuffer::default();
    for _ in 0..num_rows {
        head.row(&mut reader)?;
        let size = |&[distinct]: &[u16; NUM_TAIL_HEADER_NUMBERS]| usize::from(distinct);
        let [distinct] = tails.read(&mut reader, size, &mut buffer)?;
        if distinct > draws {
            return None;
        }
        tail.push_row(buffer.entries.iter().copied());
    }
    reader.is_at_end().then_some(HeadPlusSampledTail {
        head: head.targets,
        draws,
        temperature,
        tail,
    })
}
