//! Heads, each followed by what was drawn from its tail.

use super::bits::BitReader;
use super::row_code::{Row, RowBuffer, RowDecoder};
use super::sampled::entries;
use crate::{DrawnTokens, HeadPlusSampledTail, TopKTargets};

/// Number of distinct ids.
pub(super) const NUM_TAIL_HEADER_NUMBERS: usize = 1;

/// Reads heads row by row.
pub(super) trait ReadHead {
    /// Reads one row; `None` if the bits are none.
    fn row(&mut self, reader: &mut BitReader<'_>) -> Option<()>;

    /// What was read.
    fn finish(self) -> TopKTargets;
}

/// Rows of heads and what was drawn from their tails, in turn.
pub(super) fn to_rows(heads: Vec<Row>, tails: &DrawnTokens) -> Vec<Row> {
    let tails = tails.rows().map(|row| Row {
        header: vec![row.token_ids.len() as u16],
        entries: entries(row),
        fields: Vec::new(),
    });
    heads
        .into_iter()
        .zip(tails)
        .flat_map(<[Row; 2]>::from)
        .collect()
}

/// Reads so many heads with their tails; `None` if the bytes are not those.
pub(super) fn from_rows(
    mut heads: impl ReadHead,
    tails: &RowDecoder,
    bytes: &[u8],
    num_rows: usize,
    (draws, temperature): (u16, f32),
) -> Option<HeadPlusSampledTail> {
    let mut reader = BitReader::new(bytes);
    let mut tail = DrawnTokens::default();
    let mut buffer = RowBuffer::default();
    for _ in 0..num_rows {
        heads.row(&mut reader)?;
        let size = |&[distinct]: &[u16; NUM_TAIL_HEADER_NUMBERS]| usize::from(distinct);
        let [distinct] = tails.read(&mut reader, size, &mut buffer)?;
        if distinct > draws {
            return None;
        }
        tail.push_row(buffer.entries.iter().copied());
    }
    reader.is_at_end().then(|| HeadPlusSampledTail {
        head: heads.finish(),
        draws,
        temperature,
        tail,
    })
}
