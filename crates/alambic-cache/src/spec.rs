//! What a cache was captured from and how it stores it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::CacheError;

/// Version of the layout of shards and manifest that this build writes and reads.
///
/// ```
/// assert_eq!(alambic_cache::FORMAT_VERSION, 1);
/// ```
pub const FORMAT_VERSION: u32 = 1;

/// Token ids are `u32`, so no vocabulary is larger.
const MAX_VOCAB_SIZE: usize = 1 << 32;

/// Number format of the stored log-probabilities.
///
/// `F16` rounds to nearest: the error is at most [`F16_RELATIVE_ERROR`](crate::F16_RELATIVE_ERROR)
/// of the value. Tail mass and entropy are always f32.
///
/// ```
/// use alambic_cache::ValueType;
/// assert_eq!(ValueType::F16.num_bytes(), 2);
/// assert_eq!(serde_json::to_string(&ValueType::F32)?, "\"f32\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// IEEE 754 binary16, 2 bytes.
    F16,
    /// IEEE 754 binary32, 4 bytes.
    F32,
}

impl ValueType {
    /// Bytes per stored log-probability: 2 or 4.
    ///
    /// ```
    /// assert_eq!(alambic_cache::ValueType::F32.num_bytes(), 4);
    /// ```
    pub fn num_bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Which part of the teacher's distribution is stored.
///
/// ```
/// use alambic_cache::Truncation;
/// let truncation = Truncation::TopK { k: 32 };
/// assert_eq!(truncation.k(), 32);
/// assert_eq!(serde_json::to_string(&truncation)?, r#"{"kind":"top_k","k":32}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Truncation {
    /// The `k` most probable tokens and the mass of the rest; `k == vocab_size` is the whole
    /// distribution.
    TopK {
        /// Stored entries per target, `1..=vocab_size`.
        k: usize,
    },
}

impl Truncation {
    /// Stored entries per target.
    ///
    /// ```
    /// assert_eq!(alambic_cache::Truncation::TopK { k: 8 }.k(), 8);
    /// ```
    pub fn k(self) -> usize {
        match self {
            Self::TopK { k } => k,
        }
    }
}

/// What a cache was captured from and how it stores it; equal in the manifest and every shard.
///
/// ```
/// use alambic_cache::{CacheSpec, Truncation, ValueType};
/// let spec = CacheSpec {
///     teacher_fingerprint: "a1".repeat(32),
///     tokenizer_fingerprint: "b2".repeat(32),
///     vocab_size: 4096,
///     truncation: Truncation::TopK { k: 32 },
///     temperatures: vec![1.0],
///     values: ValueType::F16,
///     segments_per_shard: 128,
/// };
/// spec.validate()?;
/// // 32 ids and 32 f16 log-probabilities, the tail mass and the entropy:
/// assert_eq!(spec.bytes_per_target(), 32 * (4 + 2) + 4 + 4);
/// # Ok::<(), alambic_cache::CacheError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSpec {
    /// Lower-case hex SHA-256 over the teacher's configuration and weights.
    pub teacher_fingerprint: String,
    /// Lower-case hex SHA-256 over the tokenizer.
    pub tokenizer_fingerprint: String,
    /// Width of the teacher's logits; every token id is below it.
    pub vocab_size: usize,
    /// Which part of the distribution is stored.
    pub truncation: Truncation,
    /// Temperatures at which the targets are exact; format 1 stores `[1.0]` alone, because the
    /// mass of a truncated tail at another temperature is not recoverable from the head.
    pub temperatures: Vec<f32>,
    /// Number format of the log-probabilities.
    pub values: ValueType,
    /// The most segments a shard may hold.
    pub segments_per_shard: usize,
}

impl CacheSpec {
    /// Checks the specification against the limits of the format.
    ///
    /// # Errors
    /// [`CacheError::InvalidSpec`] for a fingerprint that is not 64 lower-case hex digits, a
    /// vocabulary that is empty or too large for `u32` ids, `k` outside `1..=vocab_size`,
    /// temperatures other than `[1.0]`, or empty shards.
    ///
    /// ```
    /// use alambic_cache::{CacheSpec, Truncation, ValueType};
    /// let spec = CacheSpec {
    ///     teacher_fingerprint: "a1".repeat(32),
    ///     tokenizer_fingerprint: "b2".repeat(32),
    ///     vocab_size: 100,
    ///     truncation: Truncation::TopK { k: 101 },
    ///     temperatures: vec![1.0],
    ///     values: ValueType::F16,
    ///     segments_per_shard: 128,
    /// };
    /// let message = spec.validate().unwrap_err().to_string();
    /// assert_eq!(message, "cache specification: truncation.k should be in 1..=100, found 101");
    /// ```
    pub fn validate(&self) -> Result<(), CacheError> {
        let refuse = |field, expected: String, found: String| {
            Err(CacheError::InvalidSpec {
                field,
                expected,
                found,
            })
        };
        for (field, value) in [
            ("teacher_fingerprint", &self.teacher_fingerprint),
            ("tokenizer_fingerprint", &self.tokenizer_fingerprint),
        ] {
            if !is_sha256_hex(value) {
                return refuse(
                    field,
                    "64 lower-case hex digits".into(),
                    format!("{value:?}"),
                );
            }
        }
        if !(1..=MAX_VOCAB_SIZE).contains(&self.vocab_size) {
            let expected = format!("in 1..={MAX_VOCAB_SIZE}");
            return refuse("vocab_size", expected, self.vocab_size.to_string());
        }
        if !(1..=self.vocab_size).contains(&self.truncation.k()) {
            let expected = format!("in 1..={}", self.vocab_size);
            return refuse("truncation.k", expected, self.truncation.k().to_string());
        }
        if self.temperatures != [1.0] {
            return refuse(
                "temperatures",
                format!("[1.0] in format version {FORMAT_VERSION}"),
                format!("{:?}", self.temperatures),
            );
        }
        if self.segments_per_shard == 0 {
            return refuse("segments_per_shard", "at least 1".into(), "0".into());
        }
        Ok(())
    }

    /// Bytes of one target before compression: `k` ids and log-probabilities, tail, entropy.
    ///
    /// ```
    /// # use alambic_cache::{CacheSpec, Truncation, ValueType};
    /// # let spec = CacheSpec { teacher_fingerprint: "a1".repeat(32), tokenizer_fingerprint: "b2".repeat(32),
    /// #     vocab_size: 64, truncation: Truncation::TopK { k: 2 }, temperatures: vec![1.0],
    /// #     values: ValueType::F32, segments_per_shard: 1 };
    /// assert_eq!(spec.bytes_per_target(), 2 * (4 + 4) + 8); // k = 2, f32
    /// ```
    pub fn bytes_per_target(&self) -> usize {
        let entry = size_of::<u32>() + self.values.num_bytes();
        self.truncation
            .k()
            .saturating_mul(entry)
            .saturating_add(2 * size_of::<f32>())
    }

    /// Refuses a shard whose specification differs, naming the first field that does.
    pub(crate) fn expect_same(&self, found: &Self, path: &Path) -> Result<(), CacheError> {
        let pairs = [
            (
                "teacher_fingerprint",
                self.teacher_fingerprint.clone(),
                found.teacher_fingerprint.clone(),
            ),
            (
                "tokenizer_fingerprint",
                self.tokenizer_fingerprint.clone(),
                found.tokenizer_fingerprint.clone(),
            ),
            (
                "vocab_size",
                self.vocab_size.to_string(),
                found.vocab_size.to_string(),
            ),
            (
                "truncation",
                format!("{:?}", self.truncation),
                format!("{:?}", found.truncation),
            ),
            (
                "temperatures",
                format!("{:?}", self.temperatures),
                format!("{:?}", found.temperatures),
            ),
            (
                "values",
                format!("{:?}", self.values),
                format!("{:?}", found.values),
            ),
            (
                "segments_per_shard",
                self.segments_per_shard.to_string(),
                found.segments_per_shard.to_string(),
            ),
        ];
        match pairs
            .into_iter()
            .find(|(_, expected, found)| expected != found)
        {
            None => Ok(()),
            Some((field, expected, found)) => Err(CacheError::SpecMismatch {
                path: path.to_owned(),
                field,
                expected,
                found,
            }),
        }
    }
}

/// Whether the text is a lower-case hex SHA-256.
pub(crate) fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
