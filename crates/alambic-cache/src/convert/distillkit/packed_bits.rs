//! Numbers of a fixed width of bits, the most significant bit first.

/// The bytes of so many numbers.
pub(super) fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Reads `count` numbers of `width` bits, at most 64, from as many bytes as they take.
pub(super) fn unpack(bytes: &[u8], count: usize, width: u32) -> Vec<u64> {
    let bit = |at: usize| u64::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let number = |i: usize| {
        let first = i * width as usize;
        (first..first + width as usize).fold(0, |number, at| number << 1 | bit(at))
    };
    (0..count).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_one_another_without_gaps() {
        let bytes = [0b1010_0111, 0b0100_0000];
        assert_eq!(packed_bytes(3, 3), 2);
        assert_eq!(unpack(&bytes, 3, 3), [0b101, 0b001, 0b110]);
        assert_eq!(unpack(&[0xff; 8], 1, 64), [u64::MAX]);
        assert_eq!(unpack(&[], 2, 0), [0, 0]);
    }
}
