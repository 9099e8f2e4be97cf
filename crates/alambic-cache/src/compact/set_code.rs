//! Sets of token ids with a small number for each, as bits.

use super::bits::{BitReader, BitWriter};
use super::id_buckets::IdBuckets;
use super::prefix_code::{MAX_CODE_BITS, PrefixCode, SymbolDecoder, SymbolEncoder};
use super::tables::{TableReader, write_code};

/// Buckets per id of a set, about: then few steps between neighbours are 0.
const BUCKETS_PER_ID: usize = 8;
/// Fewer buckets save little.
const MIN_BUCKETS: usize = 64;
/// A step is a symbol of a prefix code.
const MAX_BUCKETS: usize = 1 << MAX_CODE_BITS;
/// Codes of steps; which one is used depends on the bucket that the step starts from.
const NUM_STEP_CODES: usize = 16;

/// An id and its number, such as the level of its probability.
pub(super) type Entry = (u32, u16);

/// How the sets of one shard are written.
///
/// The order of a set says nothing, so that ids are written in ascending order: for each one the
/// step from the bucket of the one before, which is small, and the offset within the bucket. A
/// prefix code for the steps and one for the numbers are made for the shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetCode {
    buckets: IdBuckets,
    steps: Vec<PrefixCode>,
    numbers: PrefixCode,
}

impl SetCode {
    /// The code for sets of entries in ascending order of ids.
    pub(super) fn for_sets<'a>(
        sets: impl Iterator<Item = &'a [Entry]> + Clone,
        vocab_size: usize,
    ) -> Self {
        let mut ids = Vec::new();
        let mut numbers = Vec::new();
        let mut num_sets = 0;
        for set in sets.clone() {
            num_sets += 1;
            for &(id, number) in set {
                count(&mut ids, id as usize);
                count(&mut numbers, usize::from(number));
            }
        }
        let mean = ids.iter().sum::<u64>() as usize / num_sets.max(1);
        let wanted = (mean * BUCKETS_PER_ID).next_power_of_two();
        let buckets =
            IdBuckets::for_counts(&ids, vocab_size, wanted.clamp(MIN_BUCKETS, MAX_BUCKETS));
        let mut steps = vec![Vec::new(); NUM_STEP_CODES];
        for set in sets {
            let mut bucket = 0;
            for &(id, _) in set {
                let next = buckets.bucket(id);
                count(&mut steps[step_code(bucket, &buckets)], next - bucket);
                bucket = next;
            }
        }
        Self {
            buckets,
            steps: steps
                .iter()
                .map(|counts| PrefixCode::for_counts(counts))
                .collect(),
            numbers: PrefixCode::for_counts(&numbers),
        }
    }

    /// Appends the code itself.
    pub(super) fn write_tables(&self, out: &mut Vec<u8>) {
        let offset_bits = self.buckets.offset_bits();
        out.extend((offset_bits.len() as u16).to_le_bytes());
        out.extend(offset_bits);
        self.steps.iter().for_each(|code| write_code(code, out));
        write_code(&self.numbers, out);
    }

    /// Reads what [`Self::write_tables`] wrote.
    pub(super) fn read_tables(tables: &mut TableReader<'_>, vocab_size: usize) -> Option<Self> {
        let offset_bits = tables.bytes_with_length()?.to_vec();
        if offset_bits.len() > MAX_BUCKETS {
            return None;
        }
        Some(Self {
            buckets: IdBuckets::from_offset_bits(offset_bits, vocab_size)?,
            steps: (0..NUM_STEP_CODES)
                .map(|_| tables.code())
                .collect::<Option<_>>()?,
            numbers: tables.code()?,
        })
    }
}

fn count(counts: &mut Vec<u64>, symbol: usize) {
    if counts.len() <= symbol {
        counts.resize(symbol + 1, 0);
    }
    counts[symbol] += 1;
}

/// Which code the step from a bucket is written with: each serves an equal share of the buckets.
fn step_code(bucket: usize, buckets: &IdBuckets) -> usize {
    bucket * NUM_STEP_CODES / buckets.len()
}

/// Writes sets.
#[derive(Debug)]
pub(super) struct SetEncoder<'a> {
    code: &'a SetCode,
    steps: Vec<SymbolEncoder>,
    numbers: SymbolEncoder,
}

impl<'a> SetEncoder<'a> {
    pub(super) fn new(code: &'a SetCode) -> Self {
        Self {
            code,
            steps: code.steps.iter().map(SymbolEncoder::new).collect(),
            numbers: SymbolEncoder::new(&code.numbers),
        }
    }

    /// Appends a set that the code was made for, in ascending order of ids.
    pub(super) fn write(&self, set: &[Entry], writer: &mut BitWriter) {
        let buckets = &self.code.buckets;
        let mut bucket = 0;
        for &(id, number) in set {
            let next = buckets.bucket(id);
            self.steps[step_code(bucket, buckets)].write(next - bucket, writer);
            let (start, offset_bits) = buckets.range(next);
            writer.write(id - start, offset_bits);
            self.numbers.write(usize::from(number), writer);
            bucket = next;
        }
    }
}

/// All that reading needs to know of a bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    start: u32,
    offset_bits: u8,
    /// Which code the steps from here are written with.
    step_code: u8,
}

/// Reads sets.
#[derive(Debug)]
pub(super) struct SetDecoder {
    buckets: Vec<Bucket>,
    steps: Vec<SymbolDecoder>,
    numbers: SymbolDecoder,
}

impl SetDecoder {
    pub(super) fn new(code: SetCode) -> Self {
        let buckets = (0..code.buckets.len()).map(|bucket| {
            let (start, offset_bits) = code.buckets.range(bucket);
            Bucket {
                start,
                offset_bits: offset_bits as u8,
                step_code: step_code(bucket, &code.buckets) as u8,
            }
        });
        Self {
            buckets: buckets.collect(),
            steps: code.steps.iter().map(SymbolDecoder::new).collect(),
            numbers: SymbolDecoder::new(&code.numbers),
        }
    }

    /// Reads `size` entries into `set`; `None` if the bits are no set, or end too early.
    ///
    /// Ids ascend strictly, so that none occurs twice.
    #[inline]
    pub(super) fn read(
        &self,
        reader: &mut BitReader<'_>,
        size: usize,
        set: &mut Vec<Entry>,
    ) -> Option<()> {
        const {
            // One refill serves a whole entry.
            assert!(2 * MAX_CODE_BITS + 32 <= BitReader::REFILLED_BITS);
        }
        set.clear();
        let mut index = 0;
        let mut bucket = *self.buckets.first()?;
        let mut lowest = 0;
        for _ in 0..size {
            reader.refill();
            let steps = self.steps.get(usize::from(bucket.step_code))?;
            index += usize::from(steps.read(reader));
            bucket = *self.buckets.get(index)?;
            let offset = reader.read(u32::from(bucket.offset_bits));
            let id = u64::from(bucket.start) + u64::from(offset);
            if id < lowest || reader.is_overrun() {
                return None;
            }
            lowest = id + 1;
            set.push((id as u32, self.numbers.read(reader)));
        }
        (!reader.is_overrun()).then_some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn encode(code: &SetCode, sets: &[Vec<Entry>]) -> Vec<u8> {
        let encoder = SetEncoder::new(code);
        let mut writer = BitWriter::default();
        sets.iter().for_each(|set| encoder.write(set, &mut writer));
        writer.into_bytes()
    }

    fn code_for(sets: &[Vec<Entry>], vocab_size: usize) -> SetCode {
        SetCode::for_sets(sets.iter().map(Vec::as_slice), vocab_size)
    }

    proptest! {
        #[test]
        fn sets_come_back(
            maps in prop::collection::vec(prop::collection::btree_map(0u32..5000, 0u16..900, 0..40), 0..30)
        ) {
            let sets: Vec<Vec<Entry>> = maps.into_iter().map(|map: BTreeMap<u32, u16>| map.into_iter().collect()).collect();
            let code = code_for(&sets, 5000);
            let mut tables = Vec::new();
            code.write_tables(&mut tables);
            let mut reader = TableReader::new(&tables);
            prop_assert_eq!(SetCode::read_tables(&mut reader, 5000), Some(code.clone()));
            prop_assert!(reader.is_at_end());

            let bytes = encode(&code, &sets);
            let decoder = SetDecoder::new(code);
            let mut reader = BitReader::new(&bytes);
            let mut read = Vec::new();
            for set in &sets {
                decoder.read(&mut reader, set.len(), &mut read).unwrap();
                prop_assert_eq!(&read, set);
            }
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn any_bits_give_sets_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 0usize..100) {
            let sets = [vec![(1, 1), (7, 2), (4000, 3)], vec![(2, 0), (3, 5)]];
            let decoder = SetDecoder::new(code_for(&sets, 5000));
            let mut set = Vec::new();
            if decoder.read(&mut BitReader::new(&bytes), size, &mut set).is_some() {
                prop_assert!(set.windows(2).all(|pair| pair[0].0 < pair[1].0));
            }
        }
    }

    #[test]
    fn more_entries_than_bits_are_refused() {
        let sets = [vec![(1, 1), (7, 2), (4000, 3)]];
        let code = code_for(&sets, 5000);
        let bytes = encode(&code, &sets);
        let decoder = SetDecoder::new(code);
        let outcome = decoder.read(&mut BitReader::new(&bytes), 4, &mut Vec::new());
        assert_eq!(outcome, None);
    }
}
