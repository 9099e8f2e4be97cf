//! How the numbers of a hidden state are stored.

use serde::{Deserialize, Serialize};

use crate::compact;

/// How the numbers of a teacher's last hidden state are stored.
///
/// `F32` is exact. `F16` rounds to nearest: the error is at most
/// [`F16_RELATIVE_ERROR`](crate::F16_RELATIVE_ERROR) of the number, or 2⁻²⁵.
///
/// `Int8`, `Int6` and `Int4` store groups of 32 numbers (the last one may be shorter) as symmetric
/// integers `-m..=m`, of which each stands for itself times the scale of its group. The scale is the
/// least number of f16 that is at least 2⁻¹⁴ and takes the group's largest magnitude to `m` or
/// less; the error is at most half of it. What was read is stored again in the same bits.
///
/// | | bits per number, scale included | `m` | error, of the group's largest magnitude |
/// |---|---|---|---|
/// | `Int8` | 8.5 | 127 | at most 1/253 |
/// | `Int6` | 6.5 | 31 | at most 1/61 |
/// | `Int4` | 4.5 | 7 | at most 1/13 |
///
/// ```
/// use alambic_cache::StateType;
/// assert_eq!(serde_json::to_string(&StateType::Int8)?, "\"int8\"");
/// // Of 64 numbers: two groups, each with a scale.
/// assert_eq!(StateType::Int4.bits_per_state(64), 64 * 4 + 2 * 16);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateType {
    /// IEEE 754 binary32, 4 bytes.
    F32,
    /// IEEE 754 binary16, 2 bytes.
    F16,
    /// Integers of 8 bits.
    Int8,
    /// Integers of 6 bits.
    Int6,
    /// Integers of 4 bits.
    Int4,
}

impl StateType {
    /// All of them, from the most exact to the smallest.
    ///
    /// ```
    /// use alambic_cache::StateType;
    /// assert!(StateType::ALL.is_sorted_by_key(|values| std::cmp::Reverse(values.bits())));
    /// ```
    pub const ALL: [Self; 5] = [Self::F32, Self::F16, Self::Int8, Self::Int6, Self::Int4];

    /// Whether integers are stored, with scales.
    ///
    /// ```
    /// use alambic_cache::StateType;
    /// assert!(StateType::Int8.is_integer() && !StateType::F16.is_integer());
    /// ```
    pub fn is_integer(self) -> bool {
        self.largest_integer().is_some()
    }

    /// Bits of one number, without its share of a scale.
    ///
    /// ```
    /// assert_eq!(alambic_cache::StateType::Int6.bits(), 6);
    /// ```
    pub fn bits(self) -> u32 {
        match self {
            Self::F32 => 32,
            Self::F16 => 16,
            Self::Int8 => 8,
            Self::Int6 => 6,
            Self::Int4 => 4,
        }
    }

    /// Bits of a state of so many numbers, scales included.
    ///
    /// ```
    /// assert_eq!(alambic_cache::StateType::F16.bits_per_state(256), 256 * 16);
    /// ```
    pub fn bits_per_state(self, width: usize) -> usize {
        let scales = match self.largest_integer() {
            Some(_) => width.div_ceil(compact::STATES_PER_GROUP),
            None => 0,
        };
        width
            .saturating_mul(self.bits() as usize)
            .saturating_add(scales.saturating_mul(compact::SCALE_BITS as usize))
    }

    /// How far the numbers of this state may be from those that a reader gets.
    ///
    /// Infinite for a state that cannot be stored: see [`Self::largest_magnitude`].
    ///
    /// ```
    /// use alambic_cache::StateType;
    /// assert_eq!(StateType::Int4.largest_error(&[7.0, -3.0]), 0.5); // integers -7 to 7
    /// assert_eq!(StateType::F32.largest_error(&[7.0, -3.0]), 0.0);
    /// ```
    pub fn largest_error(self, state: &[f32]) -> f32 {
        compact::largest_state_error(self, state)
    }

    /// The largest magnitude that can be stored.
    ///
    /// ```
    /// assert_eq!(alambic_cache::StateType::F16.largest_magnitude(), 65_504.0);
    /// ```
    pub fn largest_magnitude(self) -> f32 {
        let largest_half = half::f16::MAX.to_f32();
        match (self, self.largest_integer()) {
            (_, Some(largest)) => largest as f32 * largest_half,
            (Self::F16, None) => largest_half,
            (_, None) => f32::MAX,
        }
    }

    /// The largest of the symmetric integers, if these are stored.
    pub(crate) fn largest_integer(self) -> Option<u32> {
        match self {
            Self::F32 | Self::F16 => None,
            Self::Int8 | Self::Int6 | Self::Int4 => Some((1 << (self.bits() - 1)) - 1),
        }
    }
}
