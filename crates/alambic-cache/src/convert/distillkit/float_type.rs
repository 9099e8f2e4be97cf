//! The float types that DistillKit stores and computes with.

use half::{bf16, f16};
use serde::Deserialize;

/// A float type of PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FloatType {
    Float16,
    BFloat16,
    Float32,
    Float64,
}

impl FloatType {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Float16 | Self::BFloat16 => 2,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// The nearest number of this type.
    pub(super) fn round(self, value: f64) -> f64 {
        match self {
            Self::Float16 => f16::from_f64(value).to_f64(),
            Self::BFloat16 => bf16::from_f64(value).to_f64(),
            Self::Float32 => f64::from(value as f32),
            Self::Float64 => value,
        }
    }

    /// Takes little-endian numbers from the front of `bytes`; `None` if there are too few.
    pub(super) fn take(self, bytes: &mut &[u8], count: usize) -> Option<Vec<f64>> {
        let (taken, rest) = bytes.split_at_checked(count * self.bytes())?;
        *bytes = rest;
        let number = |bytes: &[u8]| match *bytes {
            [a, b] if self == Self::Float16 => f16::from_le_bytes([a, b]).to_f64(),
            [a, b] => bf16::from_le_bytes([a, b]).to_f64(),
            [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
            _ => f64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes")),
        };
        Some(taken.chunks_exact(self.bytes()).map(number).collect())
    }

    /// The type of a sum of numbers of two types.
    pub(super) fn promoted(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Float64, _) | (_, Self::Float64) => Self::Float64,
            _ => Self::Float32,
        }
    }
}
