//! Rows of header numbers and sets, as bits.

use super::bits::{BitReader, BitWriter};
use super::prefix_code::{PrefixCode, SymbolDecoder, SymbolEncoder};
use super::set_code::{Entry, SetCode, SetDecoder, SetEncoder};
use super::tables::{TableReader, write_code};

/// Steps of the stored entropy per nat.
const ENTROPY_STEPS_PER_NAT: f32 = 64.0;

/// One row of targets.
#[derive(Debug)]
pub(super) struct Row {
    /// As many as every row of the shard has.
    pub(super) header: Vec<u16>,
    /// In ascending order of ids.
    pub(super) entries: Vec<Entry>,
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

    pub(super) fn to_tables(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.header
            .iter()
            .for_each(|code| write_code(code, &mut out));
        self.set.write_tables(&mut out);
        out
    }

    pub(super) fn from_tables(
        bytes: &[u8],
        num_header_numbers: usize,
        vocab_size: usize,
    ) -> Option<Self> {
        let mut tables = TableReader::new(bytes);
        let header = (0..num_header_numbers).map(|_| tables.code());
        let header = header.collect::<Option<_>>()?;
        let set = SetCode::read_tables(&mut tables, vocab_size)?;
        tables.is_at_end().then_some(Self { header, set })
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

    /// The bits of all rows, one after the other.
    pub(super) fn encode(&self, rows: &[Row]) -> Vec<u8> {
        let mut writer = BitWriter::default();
        for row in rows {
            for (encoder, &number) in self.header.iter().zip(&row.header) {
                encoder.write(usize::from(number), &mut writer);
            }
            self.set.write(&row.entries, &mut writer);
        }
        writer.into_bytes()
    }
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

    /// Reads `num_rows` rows of `N` header numbers; `None` if the bytes are not theirs.
    ///
    /// `size` tells from the header how many entries follow, `visit` takes a row.
    pub(super) fn decode<const N: usize>(
        &self,
        bytes: &[u8],
        num_rows: usize,
        size: impl Fn(&[u16; N]) -> usize,
        mut visit: impl FnMut(&[u16; N], &[Entry]) -> Option<()>,
    ) -> Option<()> {
        self.decode_further(bytes, num_rows, size, |header, _, entries| {
            visit(header, entries)
        })
    }

    /// The same for rows of `N` header numbers or more; `visit` gets the further ones apart.
    pub(super) fn decode_further<const N: usize>(
        &self,
        bytes: &[u8],
        num_rows: usize,
        size: impl Fn(&[u16; N]) -> usize,
        mut visit: impl FnMut(&[u16; N], &[u16], &[Entry]) -> Option<()>,
    ) -> Option<()> {
        let (first, others) = self.header.split_at_checked(N)?;
        let mut reader = BitReader::new(bytes);
        let number = |decoder: &SymbolDecoder, reader: &mut BitReader<'_>| {
            reader.refill();
            decoder.read(reader)
        };
        let (mut further, mut entries) = (vec![0; others.len()], Vec::new());
        for _ in 0..num_rows {
            let mut header = [0; N];
            for (place, decoder) in header.iter_mut().zip(first) {
                *place = number(decoder, &mut reader);
            }
            for (place, decoder) in further.iter_mut().zip(others) {
                *place = number(decoder, &mut reader);
            }
            self.set.read(&mut reader, size(&header), &mut entries)?;
            visit(&header, &further, &entries)?;
        }
        reader.is_at_end().then_some(())
    }
}
