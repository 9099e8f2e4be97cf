//! Hidden states as numbers, or as integers with a scale for each group.

use half::f16;

use super::bits::{BitReader, BitWriter};
use crate::{F16_RELATIVE_ERROR, StateType};

/// How many neighbouring numbers of a state share a scale.
pub(crate) const STATES_PER_GROUP: usize = 32;
/// A scale is an f16.
pub(crate) const SCALE_BITS: u32 = 16;

/// The error of f16 where numbers are too small for a relative one: half the distance of two.
const F16_ABSOLUTE_ERROR: f32 = 1.0 / (1u32 << 25) as f32;

/// The states `[rows * width]` of one segment as bytes; all can be stored as `values`.
pub(crate) fn encode_states(states: &[f32], width: usize, values: StateType) -> Vec<u8> {
    let numbers = states.iter();
    match (values, values.largest_integer()) {
        (_, Some(largest)) => {
            let mut bits = BitWriter::default();
            let groups = states
                .chunks(width.max(1))
                .flat_map(|state| state.chunks(STATES_PER_GROUP));
            groups.for_each(|group| write_group(group, largest, values.bits(), &mut bits));
            bits.into_bytes()
        }
        (StateType::F16, None) => numbers
            .flat_map(|&number| f16::from_f32(number).to_le_bytes())
            .collect(),
        (_, None) => numbers.flat_map(|number| number.to_le_bytes()).collect(),
    }
}

/// What [`encode_states`] wrote; `None` if it would not write these bytes for so many rows.
pub(crate) fn decode_states(
    bytes: &[u8],
    num_rows: usize,
    width: usize,
    values: StateType,
) -> Option<Vec<f32>> {
    let bits = num_rows.checked_mul(values.bits_per_state(width))?;
    if bytes.len() != bits.div_ceil(8) {
        return None;
    }
    Some(match (values, values.largest_integer()) {
        (_, Some(largest)) => {
            let mut states = Vec::with_capacity(num_rows * width);
            let mut bits = BitReader::new(bytes);
            for _ in 0..num_rows {
                for start in (0..width).step_by(STATES_PER_GROUP) {
                    let size = STATES_PER_GROUP.min(width - start);
                    read_group(&mut bits, size, largest, values.bits(), &mut states)?;
                }
            }
            return bits.is_at_end().then_some(states);
        }
        (StateType::F16, None) => {
            let (halves, _) = bytes.as_chunks();
            halves
                .iter()
                .map(|&half| f16::from_le_bytes(half).to_f32())
                .collect()
        }
        (_, None) => {
            let (numbers, _) = bytes.as_chunks();
            numbers
                .iter()
                .map(|&number| f32::from_le_bytes(number))
                .collect()
        }
    })
}

/// The largest distance of a number of this state from what is read of it.
pub(crate) fn largest_state_error(values: StateType, state: &[f32]) -> f32 {
    let magnitude = magnitude(state);
    if state.iter().any(|number| number.is_nan()) || magnitude > values.largest_magnitude() {
        return f32::INFINITY;
    }
    match (values, values.largest_integer()) {
        (_, Some(largest)) => {
            let scales = state
                .chunks(STATES_PER_GROUP)
                .map(|group| scale(group, largest).to_f32());
            scales.fold(0.0, f32::max) / 2.0
        }
        (StateType::F16, None) => (magnitude * F16_RELATIVE_ERROR).max(F16_ABSOLUTE_ERROR),
        (_, None) => 0.0,
    }
}

fn magnitude(numbers: &[f32]) -> f32 {
    numbers
        .iter()
        .fold(0.0, |largest, number| number.abs().max(largest))
}

/// The least normal number of f16 that takes all of a group to `largest` or less.
///
/// Subnormal ones are too coarse: the largest number of a group would not become `largest`, and
/// a copy would be stored otherwise.
fn scale(group: &[f32], largest: u32) -> f16 {
    let wanted = magnitude(group) / largest as f32;
    let nearest = f16::from_f32(wanted);
    let scale = match nearest.to_f32() < wanted {
        true => f16::from_bits(nearest.to_bits() + 1),
        false => nearest,
    };
    scale.max(f16::MIN_POSITIVE)
}

fn write_group(group: &[f32], largest: u32, width: u32, bits: &mut BitWriter) {
    let scale = scale(group, largest);
    bits.write(u32::from(scale.to_bits()), SCALE_BITS);
    for number in group {
        let integer = (number / scale.to_f32()).round() as i32;
        // From 0 to twice the largest.
        bits.write(integer.wrapping_add_unsigned(largest) as u32, width);
    }
}

/// Appends the numbers of a group; `None` for a scale or integers that no writer chooses.
fn read_group(
    bits: &mut BitReader<'_>,
    size: usize,
    largest: u32,
    width: u32,
    states: &mut Vec<f32>,
) -> Option<()> {
    bits.refill();
    let scale = f16::from_bits(bits.read(SCALE_BITS) as u16);
    let is_normal = scale.is_finite() && scale >= f16::MIN_POSITIVE;
    let mut largest_found = 0;
    for _ in 0..size {
        bits.refill();
        let integer = bits.read(width) as i32 - largest as i32;
        largest_found = largest_found.max(integer.unsigned_abs());
        states.push(integer as f32 * scale.to_f32());
    }
    let is_least = scale == f16::MIN_POSITIVE || largest_found == largest;
    (is_normal && is_least && largest_found <= largest).then_some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A number divided by its scale is rounded once before it is rounded to an integer.
    const DIVISION_ERROR: f32 = f32::EPSILON;
    const INTEGERS: [StateType; 3] = [StateType::Int8, StateType::Int6, StateType::Int4];

    /// Numbers of all magnitudes that can be stored everywhere, zeros of both signs included.
    fn number() -> impl Strategy<Value = f32> {
        let usual = (-40f32..=15.0).prop_map(|exponent| exponent.exp2());
        let magnitude = prop_oneof![8 => usual, 1 => Just(0.0f32), 1 => Just(1e-30)];
        (magnitude, any::<bool>()).prop_map(|(size, negative)| if negative { -size } else { size })
    }

    fn states() -> impl Strategy<Value = (usize, Vec<f32>)> {
        (1usize..100, 0usize..5).prop_flat_map(|(width, rows)| {
            let size = width * rows;
            (Just(width), prop::collection::vec(number(), size..=size))
        })
    }

    proptest! {
        #[test]
        fn states_come_back_within_their_error_and_are_written_again_in_the_same_bits(
            (width, states) in states(),
        ) {
            let rows = states.len() / width;
            for values in StateType::ALL {
                let bytes = encode_states(&states, width, values);
                prop_assert_eq!(bytes.len(), (rows * values.bits_per_state(width)).div_ceil(8));
                let read = decode_states(&bytes, rows, width, values).unwrap();
                for (written, read) in states.chunks(width).zip(read.chunks(width)) {
                    let bound = values.largest_error(written) * (1.0 + DIVISION_ERROR);
                    for (x, y) in written.iter().zip(read) {
                        prop_assert!((x - y).abs() <= bound, "{values:?}: {x} came back as {y}, not within {bound}");
                    }
                }
                prop_assert_eq!(encode_states(&read, width, values), bytes, "{:?}", values);
            }
        }

        #[test]
        fn the_error_is_half_a_step_of_each_group_and_as_documented(
            group in prop::collection::vec(-5f32..5.0, 1..=STATES_PER_GROUP),
        ) {
            for (values, of_largest) in INTEGERS.into_iter().zip([253.0, 61.0, 13.0]) {
                let error = values.largest_error(&group);
                let smallest_scale = f16::MIN_POSITIVE.to_f32();
                prop_assert!(error <= (magnitude(&group) / of_largest).max(smallest_scale / 2.0));
            }
        }

        #[test]
        fn any_bytes_are_states_that_are_written_as_they_were_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            width in 1usize..80,
            num_rows in 0usize..4,
        ) {
            for values in INTEGERS {
                if let Some(states) = decode_states(&bytes, num_rows, width, values) {
                    prop_assert_eq!(states.len(), num_rows * width);
                    prop_assert_eq!(encode_states(&states, width, values), bytes.clone());
                }
            }
        }
    }

    #[test]
    fn a_known_group_has_known_bytes() {
        // The scale is 1, in f16 3c00; integers stand 7 higher.
        let bytes = encode_states(&[7.0, -7.0, 0.4, -0.6], 4, StateType::Int4);
        assert_eq!(bytes, [0x3c, 0x00, 0xe0, 0x76]);
    }

    #[test]
    fn scales_and_integers_that_no_writer_chooses_are_refused() {
        let decode = |bytes: &[u8]| decode_states(bytes, 1, 4, StateType::Int4);
        assert!(decode(&[0x3c, 0x00, 0xe0, 0x76]).is_some());
        for (bytes, why) in [
            ([0x3c, 0x00, 0xf0, 0x76], "an integer of 8"),
            ([0x3c, 0x00, 0xd1, 0x76], "a scale that is not the least"),
            ([0xbc, 0x00, 0xe0, 0x76], "a scale below 0"),
            ([0x00, 0x01, 0xe0, 0x76], "a subnormal scale"),
            ([0x7c, 0x00, 0xe0, 0x76], "an infinite scale"),
            ([0x7e, 0x00, 0xe0, 0x76], "a scale that is no number"),
        ] {
            assert_eq!(decode(&bytes), None, "{why}");
        }
        assert_eq!(decode(&[0x3c, 0x00, 0xe0]), None);
        assert_eq!(decode(&[0x3c, 0x00, 0xe0, 0x76, 0x00]), None);
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        assert_eq!(decode_states(&[], usize::MAX, 64, StateType::Int4), None);
        assert_eq!(decode_states(&[], 2, usize::MAX, StateType::F32), None);
    }

    #[test]
    fn what_cannot_be_stored_has_no_bound() {
        for values in StateType::ALL {
            assert_eq!(values.largest_error(&[f32::NAN]), f32::INFINITY);
            assert_eq!(values.largest_error(&[1.0, f32::INFINITY]), f32::INFINITY);
            let most = values.largest_magnitude();
            assert!(values.largest_error(&[-most]).is_finite());
            let read = decode_states(&encode_states(&[-most], 1, values), 1, 1, values);
            assert_eq!(read, Some(vec![-most]), "{values:?}");
        }
    }
}
