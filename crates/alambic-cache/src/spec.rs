//! What a cache was captured from and how it stores it.

use std::path::Path;

use half::f16;
use serde::{Deserialize, Serialize};

use crate::compact::Quantiser;
use crate::{CacheError, DrawMethod, HeadFingerprint, StateType};

/// Version of the layout of shards and manifest that this build writes and reads.
///
/// ```
/// assert_eq!(alambic_cache::FORMAT_VERSION, 2);
/// ```
pub const FORMAT_VERSION: u32 = 2;

/// Token ids are `u32`, so no vocabulary is larger.
const MAX_VOCAB_SIZE: usize = 1 << 32;

/// How log-probabilities are stored.
///
/// `F32` and `F16` are plain columns that any Parquet library reads; beside draws they stand in the column
/// of bits, as exactly. `F16` rounds to nearest: the error is at most
/// [`F16_RELATIVE_ERROR`](crate::F16_RELATIVE_ERROR) of the value.
///
/// `Fine` and `Coarse` store *levels* instead, in a column of bits together with ids, tail and
/// entropy. The log-probabilities and the tail of a row are those of the levels, all shifted by one
/// number so that head and tail add up to 1. The error of the level of a probability `p`, before
/// that shift, is at most 0.63 of the step of [`Self::level_steps`] at `p`; the shift is at most 0.63
/// of the largest step and 0.02 nats.
///
/// ```
/// use alambic_cache::ValueType;
/// assert_eq!(ValueType::F16.plain_bytes(), Some(2));
/// assert_eq!(ValueType::Coarse.plain_bytes(), None);
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
    /// Levels `p^(-1/2) / 32` nats apart, at most 1/4.
    Fine,
    /// Levels `p^(-1/2) / 16` nats apart, at most 5/4.
    Coarse,
}

impl ValueType {
    /// Bytes per log-probability in a plain column: 2 or 4, `None` for levels.
    ///
    /// ```
    /// assert_eq!(alambic_cache::ValueType::F32.plain_bytes(), Some(4));
    /// ```
    pub fn plain_bytes(self) -> Option<usize> {
        match self {
            Self::F16 => Some(2),
            Self::F32 => Some(4),
            Self::Fine | Self::Coarse => None,
        }
    }

    /// The distance of two levels in nats where a probability is 1, and where it is smallest.
    ///
    /// ```
    /// assert_eq!(alambic_cache::ValueType::Coarse.level_steps(), Some((0.0625, 1.25)));
    /// ```
    pub fn level_steps(self) -> Option<(f64, f64)> {
        match self {
            Self::F16 | Self::F32 => None,
            Self::Fine => Some((1.0 / 32.0, 0.25)),
            Self::Coarse => Some((1.0 / 16.0, 1.25)),
        }
    }

    /// The least log-probability that can be stored.
    pub(crate) fn lowest_log_prob(self) -> f32 {
        match self {
            Self::F32 => f32::MIN,
            Self::F16 => f16::MIN.to_f32(),
            Self::Fine | Self::Coarse => self
                .quantiser()
                .map_or(f32::MIN, |levels| levels.lowest_log_prob() as f32),
        }
    }

    pub(crate) fn quantiser(self) -> Option<Quantiser> {
        self.level_steps()
            .map(|(finest, largest)| Quantiser::new(finest, largest))
    }
}

/// What is stored of the teacher's distribution.
///
/// ```
/// use alambic_cache::{TargetKind, ValueType};
/// let kind = TargetKind::TopK { k: 32, values: ValueType::F16 };
/// assert_eq!(serde_json::to_string(&kind)?, r#"{"kind":"top_k","k":32,"values":"f16"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TargetKind {
    /// The `k` most probable tokens and the mass of the rest; `k == vocab_size` is the whole
    /// distribution.
    TopK {
        /// Stored entries per target, `1..=vocab_size`.
        k: usize,
        /// How their log-probabilities are stored.
        values: ValueType,
    },
    /// Tokens drawn from the distribution, and how often each was drawn.
    Sampled {
        /// Draws per target, `1..=`[`MAX_DRAWS`].
        draws: u16,
        /// Where the random numbers start; they depend on it and on the segment's key alone.
        seed: u64,
        /// How they were drawn.
        #[serde(default)]
        method: DrawMethod,
    },
    /// The `k` most probable tokens, and tokens drawn from among the others.
    HeadPlusSampledTail {
        /// Stored entries of the head, `1..=vocab_size`.
        k: usize,
        /// How their log-probabilities are stored. As numbers, they are exact and so is the mass of the
        /// tail; rounding to levels is a bias of every estimate that is made of them.
        values: ValueType,
        /// Draws per target that has a tail, `1..=`[`MAX_DRAWS`].
        draws: u16,
        /// Where the random numbers start; they depend on it and on the segment's key alone.
        seed: u64,
        /// How they were drawn.
        #[serde(default)]
        method: DrawMethod,
    },
    /// The teacher's last hidden state, of which its head makes the whole distribution.
    Hidden {
        /// Numbers of a state, at least 1.
        width: usize,
        /// How they are stored.
        values: StateType,
        /// The head that belongs to them; it lies in the directory of the cache.
        head: HeadFingerprint,
    },
    /// The `k` most probable tokens of a source that keeps neither the mass of the rest nor the
    /// entropy: what other formats give. Log-probabilities are numbers, not levels.
    HeadOnly {
        /// Stored entries per target, `1..=vocab_size`.
        k: usize,
        /// How their log-probabilities are stored, `F16` or `F32`.
        values: ValueType,
    },
}

/// The most draws per target that a cache stores.
///
/// ```
/// assert_eq!(alambic_cache::MAX_DRAWS, 4095);
/// ```
pub const MAX_DRAWS: u16 = 4095;

/// The most temperatures at which a cache stores the tail of the most probable tokens.
///
/// ```
/// assert_eq!(alambic_cache::MAX_TEMPERATURES, 16);
/// ```
pub const MAX_TEMPERATURES: usize = 16;

impl TargetKind {
    /// The levels of the stored probabilities, if these are levels.
    pub(crate) fn quantiser(self) -> Option<Quantiser> {
        self.head().and_then(|(_, values)| values.quantiser())
    }

    /// How many of the most probable tokens are stored, and how, if any are.
    pub(crate) fn head(self) -> Option<(usize, ValueType)> {
        match self {
            Self::TopK { k, values }
            | Self::HeadOnly { k, values }
            | Self::HeadPlusSampledTail { k, values, .. } => Some((k, values)),
            Self::Sampled { .. } | Self::Hidden { .. } => None,
        }
    }

    /// Whether the targets are stored in one column rather than in plain ones.
    pub(crate) fn is_compact(self) -> bool {
        match self {
            Self::TopK { values, .. } => values.plain_bytes().is_none(),
            Self::Sampled { .. } | Self::HeadPlusSampledTail { .. } | Self::Hidden { .. } => true,
            Self::HeadOnly { .. } => false,
        }
    }

    /// Whether that column needs the codes of the footer.
    pub(crate) fn has_codes(self) -> bool {
        self.is_compact() && !matches!(self, Self::Hidden { .. })
    }
}

/// What a cache was captured from and how it stores it; equal in the manifest and every shard.
///
/// ```
/// use alambic_cache::{CacheSpec, TargetKind, ValueType};
/// let spec = CacheSpec {
///     teacher_fingerprint: "a1".repeat(32),
///     tokenizer_fingerprint: "b2".repeat(32),
///     vocab_size: 4096,
///     targets: TargetKind::TopK { k: 32, values: ValueType::F16 },
///     temperatures: vec![1.0],
///     segments_per_shard: 128,
/// };
/// spec.validate()?;
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
    /// What is stored of the distribution.
    pub targets: TargetKind,
    /// Temperatures at which the targets are exact. For the most probable tokens 1, and the further
    /// ones at which tail and entropy are stored too, at most [`MAX_TEMPERATURES`]: the mass of a
    /// truncated tail at another temperature is not recoverable from the head. For drawn tokens the
    /// one at which they were drawn. `[1.0]` for hidden states, which know every one.
    pub temperatures: Vec<f32>,
    /// The most segments a shard may hold.
    pub segments_per_shard: usize,
}

impl CacheSpec {
    /// Checks the specification against the limits of the format.
    ///
    /// # Errors
    /// [`CacheError::InvalidSpec`] for a fingerprint that is not 64 lower-case hex digits, a
    /// vocabulary that is empty or too large for `u32` ids, `k` outside `1..=vocab_size`, draws
    /// outside `1..=`[`MAX_DRAWS`], states without numbers, other temperatures than the targets may
    /// have, or empty shards.
    ///
    /// ```
    /// use alambic_cache::{CacheSpec, TargetKind, ValueType};
    /// let spec = CacheSpec {
    ///     teacher_fingerprint: "a1".repeat(32),
    ///     tokenizer_fingerprint: "b2".repeat(32),
    ///     vocab_size: 100,
    ///     targets: TargetKind::TopK { k: 101, values: ValueType::F16 },
    ///     temperatures: vec![1.0],
    ///     segments_per_shard: 128,
    /// };
    /// let message = spec.validate().unwrap_err().to_string();
    /// assert_eq!(message, "cache specification: targets.k should be in 1..=100, found 101");
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
        match self.targets {
            TargetKind::TopK { k, .. }
            | TargetKind::HeadOnly { k, .. }
            | TargetKind::HeadPlusSampledTail { k, .. }
                if !(1..=self.vocab_size).contains(&k) =>
            {
                let expected = format!("in 1..={}", self.vocab_size);
                return refuse("targets.k", expected, k.to_string());
            }
            TargetKind::Sampled { draws, .. } | TargetKind::HeadPlusSampledTail { draws, .. }
                if !(1..=MAX_DRAWS).contains(&draws) =>
            {
                let expected = format!("in 1..={MAX_DRAWS}");
                return refuse("targets.draws", expected, draws.to_string());
            }
            TargetKind::Hidden { width: 0, .. } => {
                return refuse("targets.width", "at least 1".into(), "0".into());
            }
            TargetKind::HeadOnly { values, .. } if values.plain_bytes().is_none() => {
                let expected = "F16 or F32, since levels make a distribution of head and tail";
                return refuse("targets.values", expected.into(), format!("{values:?}"));
            }
            _ => {}
        }
        let (valid, expected) = match (self.targets, &self.temperatures[..]) {
            (TargetKind::TopK { .. }, temperatures) => (
                are_temperatures_of_top_k(temperatures),
                "1.0 and then at most 15 others, distinct, finite and above 0",
            ),
            (TargetKind::Hidden { .. } | TargetKind::HeadOnly { .. }, temperatures) => {
                (temperatures == [1.0], "[1.0]")
            }
            (_, &[temperature]) => (
                temperature.is_finite() && temperature > 0.0,
                "one finite number above 0",
            ),
            (_, _) => (false, "the one at which tokens are drawn"),
        };
        if !valid {
            let found = format!("{:?}", self.temperatures);
            return refuse("temperatures", expected.into(), found);
        }
        if self.segments_per_shard == 0 {
            return refuse("segments_per_shard", "at least 1".into(), "0".into());
        }
        Ok(())
    }

    /// Bytes of one target in memory, about: ids and numbers, tail, entropy.
    pub(crate) fn bytes_per_target(&self) -> usize {
        let entries = match self.targets {
            TargetKind::TopK { k, .. } | TargetKind::HeadOnly { k, .. } => k,
            TargetKind::Sampled { draws, .. } => usize::from(draws),
            TargetKind::HeadPlusSampledTail { k, draws, .. } => k.saturating_add(draws.into()),
            TargetKind::Hidden { width, .. } => width / 2,
        };
        entries
            .saturating_add(self.temperatures.len())
            .saturating_mul(2 * size_of::<f32>())
    }

    /// The temperatures beyond 1 at which the tail of the most probable tokens is stored.
    pub(crate) fn further_temperatures(&self) -> &[f32] {
        match self.targets {
            TargetKind::TopK { .. } => self.temperatures.get(1..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Refuses a cache whose segments cannot stand beside those of this specification: one that
    /// differs in more than the size of its shards.
    pub(crate) fn expect_same_targets(&self, other: &Self, path: &Path) -> Result<(), CacheError> {
        let found = Self {
            segments_per_shard: self.segments_per_shard,
            ..other.clone()
        };
        self.expect_same(&found, path).map_err(|error| match error {
            CacheError::SpecMismatch {
                path,
                field,
                expected,
                found,
            } => CacheError::UnlikeCaches {
                path,
                field,
                expected,
                found,
            },
            other => other,
        })
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
                "targets",
                format!("{:?}", self.targets),
                format!("{:?}", found.targets),
            ),
            (
                "temperatures",
                format!("{:?}", self.temperatures),
                format!("{:?}", found.temperatures),
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

/// Whether tail and entropy of the most probable tokens may be stored at these.
fn are_temperatures_of_top_k(temperatures: &[f32]) -> bool {
    let is_new = |i: usize| !temperatures[..i].contains(&temperatures[i]);
    temperatures.len() <= MAX_TEMPERATURES
        && temperatures.first() == Some(&1.0)
        && temperatures.iter().all(|t| t.is_finite() && *t > 0.0)
        && (1..temperatures.len()).all(is_new)
}

/// Whether the text is a lower-case hex SHA-256.
pub(crate) fn is_sha256_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
