//! The most probable tokens as rows, their log-probabilities as numbers rather than levels.

use half::f16;

use super::bits::BitReader;
use super::head_plus_sampled_tail::ReadHead;
use super::row_code::{Field, Row, RowBuffer, RowDecoder, entropy_of_number, entropy_to_number};
use crate::{TopKTargets, ValueType};

/// Entropy.
pub(super) const NUM_HEADER_NUMBERS: usize = 1;

/// Bits of the tail mass, an `f32`.
const TAIL_BITS: u32 = 32;

/// How the bits of `-ln p` are divided: sign, exponent and two bits of the fraction have a prefix code, the
/// others stand as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberFormat {
    F16,
    F32,
}

impl NumberFormat {
    /// `None` for levels.
    pub(crate) fn of(values: ValueType) -> Option<Self> {
        match values {
            ValueType::F16 => Some(Self::F16),
            ValueType::F32 => Some(Self::F32),
            ValueType::Fine | ValueType::Coarse => None,
        }
    }

    fn lower_bits(self) -> u32 {
        match self {
            Self::F16 => 8,
            Self::F32 => 21,
        }
    }

    /// The upper bits of a log-probability, and the lower ones with their width.
    fn divide(self, log_prob: f32) -> (u16, Field) {
        // Subtracted, so that a zero has no sign.
        let nats = 0.0 - log_prob;
        let bits = match self {
            Self::F16 => u32::from(f16::from_f32(nats).to_bits()),
            Self::F32 => nats.to_bits(),
        };
        let width = self.lower_bits();
        let upper = (bits >> width) as u16;
        (upper, (bits & ((1 << width) - 1), width))
    }

    /// The log-probability of upper and lower bits; `None` if there are too many upper ones.
    fn join(self, upper: u16, lower: u32) -> Option<f32> {
        let bits = u64::from(upper) << self.lower_bits() | u64::from(lower);
        let nats = match self {
            Self::F16 => f16::from_bits(bits.try_into().ok()?).to_f32(),
            Self::F32 => f32::from_bits(bits.try_into().ok()?),
        };
        Some(0.0 - nats)
    }
}

/// One row per target, its tail and the lower bits of its log-probabilities behind its entries.
pub(super) fn to_rows(targets: &TopKTargets, format: NumberFormat) -> Vec<Row> {
    let row = |row: usize| {
        let range = row * targets.k..(row + 1) * targets.k;
        let ids = targets.token_ids[range.clone()].iter().copied();
        let numbers = targets.log_probs[range].iter();
        let numbers = numbers.map(|&log_prob| format.divide(log_prob));
        let mut entries: Vec<(u32, (u16, Field))> = ids.zip(numbers).collect();
        entries.sort_unstable_by_key(|&(id, _)| id);
        let tail = (targets.tail_mass[row].to_bits(), TAIL_BITS);
        let lower = entries.iter().map(|&(_, (_, lower))| lower);
        Row {
            header: vec![entropy_to_number(targets.entropy[row])],
            fields: std::iter::once(tail).chain(lower).collect(),
            entries: entries
                .iter()
                .map(|&(id, (upper, _))| (id, upper))
                .collect(),
        }
    };
    (0..targets.num_rows()).map(row).collect()
}

/// Reads row after row.
pub(super) struct NumberHeadReader<'a> {
    rows: &'a RowDecoder,
    format: NumberFormat,
    buffer: RowBuffer,
    entries: Vec<(u32, f32)>,
    targets: TopKTargets,
}

impl<'a> NumberHeadReader<'a> {
    /// A reader into `targets`, which have no rows yet.
    pub(super) fn new(rows: &'a RowDecoder, format: NumberFormat, targets: TopKTargets) -> Self {
        Self {
            rows,
            format,
            buffer: RowBuffer::default(),
            entries: Vec::new(),
            targets,
        }
    }
}

impl ReadHead for NumberHeadReader<'_> {
    fn row(&mut self, reader: &mut BitReader<'_>) -> Option<()> {
        let (buffer, targets) = (&mut self.buffer, &mut self.targets);
        let size = |_: &[u16; NUM_HEADER_NUMBERS]| targets.k;
        let [entropy] = self.rows.read(reader, size, buffer)?;
        let mut field = |width| {
            reader.refill();
            reader.read(width)
        };
        let tail = f32::from_bits(field(TAIL_BITS));
        self.entries.clear();
        for &(id, upper) in &buffer.entries {
            let lower = field(self.format.lower_bits());
            self.entries.push((id, self.format.join(upper, lower)?));
        }
        // Stable: those of equal log-probability stay in ascending order of ids.
        self.entries.sort_by(|(_, x), (_, y)| y.total_cmp(x));
        targets
            .token_ids
            .extend(self.entries.iter().map(|&(id, _)| id));
        targets
            .log_probs
            .extend(self.entries.iter().map(|&(_, log_prob)| log_prob));
        targets.tail_mass.push(tail);
        targets.entropy.push(entropy_of_number(entropy));
        (!reader.is_overrun()).then_some(())
    }

    fn finish(self) -> TopKTargets {
        self.targets
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_divided_without_loss(log_prob in -60_000f32..1e-4) {
            for (format, expected) in [
                (NumberFormat::F32, log_prob),
                (NumberFormat::F16, f16::from_f32(log_prob).to_f32()),
            ] {
                let (upper, (lower, width)) = format.divide(log_prob);
                prop_assert!(u64::from(lower) < 1 << width);
                prop_assert_eq!(format.join(upper, lower), Some(expected));
            }
        }
    }

    #[test]
    fn a_certain_token_has_no_sign_and_too_many_bits_are_refused() {
        for format in [NumberFormat::F16, NumberFormat::F32] {
            for zero in [0.0f32, -0.0] {
                assert_eq!(format.divide(zero).0, 0);
            }
            assert_eq!(format.join(0, 0).map(f32::to_bits), Some(0));
            assert_eq!(format.join(1 << 11, 0), None);
        }
        assert_eq!(NumberFormat::F16.join(1 << 8, 0), None);
    }
}
