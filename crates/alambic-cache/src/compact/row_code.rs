//! Rows of header numbers and sets, as bits.

use super::bits::{BitReader, BitWriter};
use super::prefix_code::{PrefixCode, SymbolDecoder, SymbolEncoder};
use super::set_code::{Entry, SetCode, SetDecoder, SetEncoder};
use super::tables::{TableReader, write_code};

/// Steps of the stored entropy per nat.
const ENTROPY_STEPS_PER_NAT: f32 = 64.0;
/// The most that an entropy is rounded by.
pub(crate) const ENTROPY_ROUNDING_NATS: f32 = 0.5 / ENTROPY_STEPS_PER_NAT;

/// Bits that stand as they are, and how many they are, at most 32.
pub(super) type Field = (u32, u32);

/// One row of targets.
#[derive(Debug)]
pub(super) struct Row {
    /// As many as every row of the shard has.
    pub(super) header: Vec<u16>,
    /// In ascending order of ids.
    pub(super) entries: Vec<Entry>,
    /// What follows behind the entries; a reader takes it by itself.
    pub(super) fields: Vec<Field>,
}

/// An entropy as a header number.
pub(super) fn entropy_to_number(entropy_nats: f32) -> u16 {
    (entropy_nats.max(0.0) * ENTROPY_STEPS_PER_NAT).round() as u16
}

/// The entropy of a header number, nats.
pub(super) fn entropy_of_number(number: u16) -> f32 {
    f32::from(number) / ENTROPY_STEPS_PER_NAT
}

/// How the rows of one shard are written: a prefix code for each header number, and the sets.
#[derive(Clone, Debug)]
pub(super) struct RowCode {
    header: Vec<PrefixCode>,
    set: SetCode,
}

impl RowCode {
    pub(super) fn for_rows<'a>(
        rows: impl Iterator<Item = &'a Row> + Clone,
        num_header_numbers: usize,
        vocab_size: usize,
    ) -> Self {
        let header = (0..num_header_numbers).map(|field| {
            let mut counts = Vec::new();
            for row in rows.clone() {
                let number = usize::from(row.header[field]);
                counts.resize(counts.len().max(number + 1), 0);
                counts[number] += 1;
            }
            PrefixCode::for_counts(&counts)
        });
        Self {
            header: header.collect(),
            set: SetCode::for_sets(rows.clone().map(|row| row.entries.as_slice()), vocab_size),
        }
    }

    pub(super) fn write_tables(&self, out: &mut Vec<u8>) {
        self.header.iter().for_each(|code| write_code(code, out));
        self.set.write_tables(out);
    }

    pub(super) fn read_tables(
        tables: &mut TableReader<'_>,
        num_header_numbers: usize,
        vocab_size: usize,
    ) -> Option<Self> {
        let header = (0..num_header_numbers).map(|_| tables.code());
        let header = header.collect::<Option<_>>()?;
        let set = SetCode::read_tables(tables, vocab_size)?;
        Some(Self { header, set })
    }
}

/// Writes rows.
#[derive(Debug)]
pub(super) struct RowEncoder<'a> {
    header: Vec<SymbolEncoder>,
    set: SetEncoder<'a>,
}

impl<'a> RowEncoder<'a> {
    pub(super) fn new(code: &'a RowCode) -> Self {
        Self {
            header: code.header.iter().map(SymbolEncoder::new).collect(),
            set: SetEncoder::new(&code.set),
        }
    }

    /// Appends the bits of one row.
    pub(super) fn write(&self, row: &Row, writer: &mut BitWriter) {
        for (encoder, &number) in self.header.iter().zip(&row.header) {
            encoder.write(usize::from(number), writer);
        }
        self.set.write(&row.entries, writer);
        for &(value, width) in &row.fields {
            writer.write(value, width);
        }
    }
}

/// What a row holds besides its first header numbers.
#[derive(Debug, Default)]
pub(super) struct RowBuffer {
    /// Header numbers beyond those that every row of the kind has.
    pub(super) further: Vec<u16>,
    pub(super) entries: Vec<Entry>,
}

/// Reads rows.
#[derive(Debug)]
pub(super) struct RowDecoder {
    header: Vec<SymbolDecoder>,
    set: SetDecoder,
}

impl RowDecoder {
    pub(super) fn new(code: RowCode) -> Self {
        Self {
            header: code.header.iter().map(SymbolDecoder::new).collect(),
            set: SetDecoder::new(code.set),
        }
    }

    /// Reads one row: its first `N` header numbers, and the others and its entries into `buffer`; `None`
    /// if the bits are no row. `size` tells from the header how many entries follow.
    pub(super) fn read<const N: usize>(
        &self,
        reader: &mut BitReader<'_>,
        size: impl Fn(&[u16; N]) -> usize,
        buffer: &mut RowBuffer,
    ) -> Option<[u16; N]> {
        let (first, others) = self.header.split_at_checked(N)?;
        let mut number = |decoder: &SymbolDecoder| {
            reader.refill();
            decoder.read(reader)
        };
        let mut header = [0; N];
        for (place, decoder) in header.iter_mut().zip(first) {
            *place = number(decoder);
        }
        buffer.further.clear();
        buffer.further.extend(others.iter().map(number));
        self.set.read(reader, size(&header), &mut buffer.entries)?;
        Some(header)
    }
}
