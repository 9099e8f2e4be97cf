//! Canonical prefix codes of bounded length, made for the symbols of one shard.

use super::bits::{BitReader, BitWriter};

/// The longest code word: a table of this many bits decodes a symbol in one step.
pub(super) const MAX_CODE_BITS: u32 = 12;

/// A prefix code: the length of every symbol's code word, 0 for symbols that do not occur.
///
/// Words are given by length, then by symbol (RFC 1951, section 3.2.2). A code of a single symbol
/// has a word of one bit, so that everything takes bits and a small file cannot claim to be large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrefixCode {
    lengths: Vec<u8>,
}

impl PrefixCode {
    /// The best code for symbols that occur `counts[symbol]` times, words of at most
    /// [`MAX_CODE_BITS`] bits.
    ///
    /// # Panics
    /// If there are more than `2^MAX_CODE_BITS` symbols.
    ///
    /// # References
    /// Larmore and Hirschberg 1990, "A fast algorithm for optimal length-limited Huffman codes"
    /// (package-merge).
    pub(super) fn for_counts(counts: &[u64]) -> Self {
        let mut symbols: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] > 0).collect();
        assert!(
            counts.len() <= 1 << MAX_CODE_BITS,
            "no more symbols than code words"
        );
        let mut lengths = vec![0; counts.len()];
        if let [only] = symbols[..] {
            lengths[only] = 1;
            return Self { lengths };
        }
        symbols.sort_by_key(|&symbol| counts[symbol]);
        let leaves: Vec<u64> = symbols.iter().map(|&symbol| counts[symbol]).collect();
        // levels[b] tells for each node, in ascending order of weight, whether it is a leaf.
        let mut levels: Vec<Vec<bool>> = Vec::new();
        let mut packages: Vec<u64> = Vec::new();
        for _ in 0..MAX_CODE_BITS {
            let (weights, is_leaf) = merged(&leaves, &packages);
            packages = weights
                .chunks_exact(2)
                .map(|pair| pair[0] + pair[1])
                .collect();
            levels.push(is_leaf);
        }
        // The cheapest 2n − 2 nodes of the last level, and what they are packed of below it: each
        // time a leaf is taken its word grows by one bit.
        let mut taken = (2 * symbols.len()).saturating_sub(2);
        for is_leaf in levels.iter().rev() {
            let num_leaves = is_leaf[..taken].iter().filter(|&&leaf| leaf).count();
            symbols[..num_leaves]
                .iter()
                .for_each(|&symbol| lengths[symbol] += 1);
            taken = 2 * (taken - num_leaves);
        }
        Self { lengths }
    }

    /// A code of these word lengths; `None` if no prefix code has them.
    pub(super) fn from_lengths(lengths: Vec<u8>) -> Option<Self> {
        if lengths.len() > 1 << MAX_CODE_BITS {
            return None;
        }
        let used: Vec<u8> = lengths.iter().copied().filter(|&bits| bits > 0).collect();
        if used.iter().any(|&bits| u32::from(bits) > MAX_CODE_BITS) {
            return None;
        }
        let kraft: u64 = used
            .iter()
            .map(|&bits| 1u64 << (MAX_CODE_BITS - u32::from(bits)))
            .sum();
        let whole = kraft == 1 << MAX_CODE_BITS;
        let valid = whole || used.is_empty() || used == [1];
        valid.then_some(Self { lengths })
    }

    /// The length of every symbol's word.
    pub(super) fn lengths(&self) -> &[u8] {
        &self.lengths
    }

    /// Symbols that have a word, by length, then by symbol.
    fn in_order(&self) -> Vec<usize> {
        let mut symbols: Vec<usize> = (0..self.lengths.len())
            .filter(|&symbol| self.lengths[symbol] > 0)
            .collect();
        symbols.sort_by_key(|&symbol| self.lengths[symbol]);
        symbols
    }
}

/// Two ascending lists as one, and which of it is from the first; that one goes first if equal.
fn merged(leaves: &[u64], packages: &[u64]) -> (Vec<u64>, Vec<bool>) {
    let (mut weights, mut is_leaf) = (Vec::new(), Vec::new());
    let (mut leaf, mut package) = (0, 0);
    while leaf < leaves.len() || package < packages.len() {
        let from_leaves =
            package == packages.len() || leaf < leaves.len() && leaves[leaf] <= packages[package];
        let next = if from_leaves { &mut leaf } else { &mut package };
        weights.push(if from_leaves { leaves } else { packages }[*next]);
        is_leaf.push(from_leaves);
        *next += 1;
    }
    (weights, is_leaf)
}

/// Writes symbols.
#[derive(Debug)]
pub(super) struct SymbolEncoder {
    /// Word and width of every symbol.
    words: Vec<(u32, u32)>,
}

impl SymbolEncoder {
    pub(super) fn new(code: &PrefixCode) -> Self {
        let symbols = code.in_order();
        let mut words = vec![(0, 0); code.lengths.len()];
        let (mut word, mut width) = (0u32, 0u32);
        for &symbol in &symbols {
            let bits = u32::from(code.lengths[symbol]);
            word <<= bits - width;
            width = bits;
            words[symbol] = (word, bits);
            word += 1;
        }
        Self { words }
    }

    /// Appends the word of a symbol that the code was made for.
    pub(super) fn write(&self, symbol: usize, writer: &mut BitWriter) {
        let (word, width) = self.words[symbol];
        writer.write(word, width);
    }
}

/// How many entries the table of a decoder has: one for every run of [`MAX_CODE_BITS`] bits.
const TABLE_ENTRIES: usize = 1 << MAX_CODE_BITS;
/// Bits of an entry that hold the width of a word; the others hold its symbol.
const WIDTH_BITS: u32 = 4;

/// Reads symbols.
#[derive(Debug)]
pub(super) struct SymbolDecoder {
    /// Symbol and width of the word that every possible run of bits begins with.
    table: Box<[u16; TABLE_ENTRIES]>,
}

impl SymbolDecoder {
    /// A decoder; it takes bits even if the code is empty.
    pub(super) fn new(code: &PrefixCode) -> Self {
        let entry = |symbol: usize, bits: u32| (symbol << WIDTH_BITS) as u16 | bits as u16;
        let mut table = Vec::with_capacity(TABLE_ENTRIES);
        let symbols = code.in_order();
        for &symbol in &symbols {
            let bits = u32::from(code.lengths[symbol]);
            // The word of a single symbol may be spelt with either bit.
            let copies = match symbols.len() {
                1 => TABLE_ENTRIES,
                _ => 1 << (MAX_CODE_BITS - bits),
            };
            table.extend(std::iter::repeat_n(entry(symbol, bits), copies));
        }
        table.resize(TABLE_ENTRIES, entry(0, MAX_CODE_BITS));
        let table = table.into_boxed_slice().try_into();
        Self {
            table: table.expect("a valid code fills the table"),
        }
    }

    /// Takes a symbol from a reader that has [`MAX_CODE_BITS`] bits ready.
    #[inline]
    pub(super) fn read(&self, reader: &mut BitReader<'_>) -> u16 {
        let entry = self.table[reader.peek(MAX_CODE_BITS) as usize % TABLE_ENTRIES];
        reader.skip(u32::from(entry) & ((1 << WIDTH_BITS) - 1));
        entry >> WIDTH_BITS
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total_bits(code: &PrefixCode, counts: &[u64]) -> u64 {
        let lengths = code.lengths.iter();
        lengths.zip(counts).map(|(&l, &c)| u64::from(l) * c).sum()
    }

    /// Total bits of Huffman's code, whose words may be of any length.
    fn huffman_bits(counts: &[u64]) -> u64 {
        let used = counts.iter().copied().filter(|&count| count > 0);
        let mut heap: std::collections::BinaryHeap<_> = used.map(std::cmp::Reverse).collect();
        let mut total = 0;
        while let (Some(first), Some(second)) = (heap.pop(), heap.pop()) {
            total += first.0 + second.0;
            heap.push(std::cmp::Reverse(first.0 + second.0));
        }
        total
    }

    proptest! {
        #[test]
        fn symbols_come_back(counts in prop::collection::vec(0u64..1000, 1..300), seed in any::<u64>()) {
            let code = PrefixCode::for_counts(&counts);
            prop_assert_eq!(PrefixCode::from_lengths(code.lengths.clone()), Some(code.clone()));
            let used: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] > 0).collect();
            prop_assume!(!used.is_empty());
            let symbols: Vec<usize> = (0..200u64).map(|i| used[(seed.wrapping_mul(i * 2 + 1) >> 32) as usize % used.len()]).collect();
            let (encoder, decoder) = (SymbolEncoder::new(&code), SymbolDecoder::new(&code));
            let mut writer = BitWriter::default();
            symbols.iter().for_each(|&symbol| encoder.write(symbol, &mut writer));
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);
            for &symbol in &symbols {
                reader.refill();
                prop_assert_eq!(decoder.read(&mut reader) as usize, symbol);
            }
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn the_code_is_as_short_as_huffmans_where_no_word_is_too_long(
            // Huffman's words are shorter than there are symbols, and one of 13 bits needs a total of
            // the Fibonacci number 610.
            counts in prop_oneof![
                prop::collection::vec(1u64..1_000_000, 2..=13),
                prop::collection::vec(1u64..=3, 2..200),
            ],
        ) {
            let code = PrefixCode::for_counts(&counts);
            prop_assert_eq!(total_bits(&code, &counts), huffman_bits(&counts));
        }
    }

    #[test]
    fn words_stay_within_the_limit() {
        // Fibonacci counts would make Huffman's longest word 39 bits.
        let mut counts = vec![1u64, 1];
        while counts.len() < 40 {
            counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
        }
        let code = PrefixCode::for_counts(&counts);
        assert_eq!(code.lengths.iter().max(), Some(&(MAX_CODE_BITS as u8)));
        assert!(PrefixCode::from_lengths(code.lengths.clone()).is_some());
        let all = PrefixCode::for_counts(&[1; 1 << MAX_CODE_BITS]);
        assert!(
            all.lengths
                .iter()
                .all(|&bits| u32::from(bits) == MAX_CODE_BITS)
        );
    }

    #[test]
    fn a_single_symbol_takes_one_bit() {
        let code = PrefixCode::for_counts(&[0, 9, 0]);
        let mut writer = BitWriter::default();
        (0..9).for_each(|_| SymbolEncoder::new(&code).write(1, &mut writer));
        assert_eq!(writer.into_bytes(), [0, 0]);
    }

    #[test]
    fn lengths_that_are_no_prefix_code_are_refused() {
        for lengths in [vec![1, 1, 1], vec![2, 2, 2], vec![13, 1], vec![2]] {
            assert_eq!(PrefixCode::from_lengths(lengths), None);
        }
        assert!(PrefixCode::from_lengths(vec![0, 0]).is_some());
    }
}
