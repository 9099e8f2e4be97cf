//! Bit streams: most significant bit first, the last byte filled up with zeros.

/// Writes fields of up to 32 bits.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet written, in the lowest `pending_bits`.
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// Appends the lowest `width` bits of `value`; the others must be zero.
    pub(super) fn write(&mut self, value: u32, width: u32) {
        debug_assert!(width <= 32 && u64::from(value) < 1 << width);
        self.pending = self.pending << width | u64::from(value);
        self.pending_bits += width;
        while self.pending_bits >= 8 {
            self.pending_bits -= 8;
            self.bytes.push((self.pending >> self.pending_bits) as u8);
        }
    }

    /// The bytes, the last one filled up with zero bits.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        let missing = (8 - self.pending_bits) % 8;
        self.write(0, missing);
        self.bytes
    }
}

/// Reads fields; behind the end there are zeros, and [`Self::is_overrun`] tells.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bytes taken into `window`, those behind the end included.
    taken: usize,
    /// The next bits, from the highest one on.
    window: u64,
    window_bits: u32,
}

impl<'a> BitReader<'a> {
    /// What [`Self::refill`] promises at least.
    pub(super) const REFILLED_BITS: u32 = 57;

    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            taken: 0,
            window: 0,
            window_bits: 0,
        }
    }

    /// Makes at least [`Self::REFILLED_BITS`] bits ready for [`Self::peek`] and [`Self::skip`].
    #[inline]
    pub(super) fn refill(&mut self) {
        if let Some((next, _)) = self.bytes[self.taken.min(self.bytes.len())..].split_first_chunk()
        {
            let whole_bytes = (64 - self.window_bits) / 8;
            let next = u64::from_be_bytes(*next);
            let kept = next & !u64::MAX.checked_shr(8 * whole_bytes).unwrap_or(0);
            self.window |= kept.checked_shr(self.window_bits).unwrap_or(0);
            self.window_bits += 8 * whole_bytes;
            self.taken += whole_bytes as usize;
            return;
        }
        while self.window_bits <= 56 {
            let byte = self.bytes.get(self.taken).copied().unwrap_or(0);
            self.window |= u64::from(byte) << (56 - self.window_bits);
            self.window_bits += 8;
            self.taken += 1;
        }
    }

    /// The next `width` bits, 0 to 32, without taking them.
    #[inline]
    pub(super) fn peek(&self, width: u32) -> u32 {
        // Two shifts, since one by 64 is not defined.
        ((self.window >> 1) >> (63 - width)) as u32
    }

    /// Takes `width` bits, at most as many as were made ready.
    #[inline]
    pub(super) fn skip(&mut self, width: u32) {
        debug_assert!(width <= self.window_bits);
        self.window <<= width;
        self.window_bits -= width;
    }

    /// Takes the next `width` bits.
    #[inline]
    pub(super) fn read(&mut self, width: u32) -> u32 {
        let value = self.peek(width);
        self.skip(width);
        value
    }

    /// Whether more bits were taken than there are.
    #[inline]
    pub(super) fn is_overrun(&self) -> bool {
        8 * self.taken > 8 * self.bytes.len() + self.window_bits as usize
    }

    /// Whether all bits were taken but those that fill up the last byte, and these are zero.
    pub(super) fn is_at_end(&self) -> bool {
        let position = 8 * self.taken as i64 - i64::from(self.window_bits);
        let left = 8 * self.bytes.len() as i64 - position;
        let last = self.bytes.last().copied().unwrap_or(0);
        (0..8).contains(&left) && u32::from(last) & ((1 << left) - 1) == 0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_come_back_and_the_end_is_seen(fields in prop::collection::vec((any::<u32>(), 0u32..=32), 0..200)) {
            let fields: Vec<(u32, u32)> = fields
                .into_iter()
                .map(|(value, width)| ((u64::from(value) & ((1 << width) - 1)) as u32, width))
                .collect();
            let mut writer = BitWriter::default();
            fields.iter().for_each(|&(value, width)| writer.write(value, width));
            let bytes = writer.into_bytes();
            let bits: u32 = fields.iter().map(|&(_, width)| width).sum();
            prop_assert_eq!(bytes.len() as u32, bits.div_ceil(8));
            let mut reader = BitReader::new(&bytes);
            for &(value, width) in &fields {
                reader.refill();
                prop_assert_eq!(reader.read(width), value);
                prop_assert!(!reader.is_overrun());
            }
            prop_assert!(reader.is_at_end());
            reader.refill();
            reader.skip(8);
            prop_assert!(reader.is_overrun());
            prop_assert!(!reader.is_at_end());
        }
    }

    #[test]
    fn bits_that_only_fill_up_must_be_zero() {
        for (byte, at_end) in [(0b1010_0000, true), (0b1010_0001, false)] {
            let bytes = [byte];
            let mut reader = BitReader::new(&bytes);
            reader.refill();
            assert_eq!(reader.read(3), 0b101);
            assert_eq!(reader.is_at_end(), at_end);
        }
    }
}
