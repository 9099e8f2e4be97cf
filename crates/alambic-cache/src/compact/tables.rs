//! Codes as bytes: what a reader needs before it can read anything else.

use super::prefix_code::PrefixCode;

/// Appends a code: the number of symbols as a little-endian `u16`, then the lengths of their
/// words, 4 bits each, the first one in the upper half of a byte.
pub(super) fn write_code(code: &PrefixCode, out: &mut Vec<u8>) {
    let lengths = code.lengths();
    out.extend((lengths.len() as u16).to_le_bytes());
    out.extend(lengths.chunks(2).map(|pair| match *pair {
        [first, second] => first << 4 | second,
        _ => pair[0] << 4,
    }));
}

/// Takes codes off a run of bytes.
#[derive(Debug)]
pub(super) struct TableReader<'a> {
    left: &'a [u8],
}

impl<'a> TableReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// What [`write_code`] wrote; `None` if it is no code.
    pub(super) fn code(&mut self) -> Option<PrefixCode> {
        let num_symbols = self.number()?;
        let bytes = self.take(num_symbols.div_ceil(2))?;
        let mut lengths: Vec<u8> = bytes
            .iter()
            .flat_map(|&byte| [byte >> 4, byte & 15])
            .collect();
        let superfluous = lengths.split_off(num_symbols);
        if superfluous.iter().any(|&length| length != 0) {
            return None;
        }
        PrefixCode::from_lengths(lengths)
    }

    /// As many bytes as the `u16` before them says.
    pub(super) fn bytes_with_length(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    fn number(&mut self) -> Option<usize> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(bytes)))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(taken)
    }
}
