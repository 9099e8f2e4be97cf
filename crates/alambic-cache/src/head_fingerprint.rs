//! The name of a teacher's head.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spec::is_sha256_hex;

/// SHA-256 over the file of a [`TeacherHead`](crate::TeacherHead), in the specification of a cache.
///
/// `Display` and JSON write 64 hex digits.
///
/// ```
/// use alambic_cache::{HeadFingerprint, TeacherHead};
/// let head = TeacherHead::try_new(vec![0.5, -1.0], 2, 1)?;
/// assert_eq!(head.fingerprint().to_string().len(), 64);
/// assert_ne!(head.fingerprint(), head.clone().with_logit_scale(0.5)?.fingerprint());
/// # Ok::<(), alambic_cache::CacheError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeadFingerprint([u8; 32]);

impl HeadFingerprint {
    /// A fingerprint from its 32 bytes.
    ///
    /// ```
    /// let fingerprint = alambic_cache::HeadFingerprint::from_bytes([0xab; 32]);
    /// assert_eq!(fingerprint.to_string(), "ab".repeat(32));
    /// ```
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for HeadFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HeadFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadFingerprint({self})")
    }
}

impl Serialize for HeadFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HeadFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !is_sha256_hex(&text) {
            let message = format!("expected 64 lower-case hex digits, found {text:?}");
            return Err(D::Error::custom(message));
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(D::Error::custom)?;
            *byte = u8::from_str_radix(digits, 16).map_err(D::Error::custom)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_one_spelling() {
        let fingerprint = HeadFingerprint::from_bytes(std::array::from_fn(|i| 7 * i as u8));
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(json, format!("\"{fingerprint}\""));
        assert_eq!(
            serde_json::from_str::<HeadFingerprint>(&json).unwrap(),
            fingerprint
        );
        for wrong in [
            "\"\"".to_owned(),
            json.to_uppercase(),
            json.replacen("00", "0g", 1),
        ] {
            let error = serde_json::from_str::<HeadFingerprint>(&wrong).unwrap_err();
            assert!(
                error.to_string().contains("64 lower-case hex digits"),
                "{error}"
            );
        }
    }
}
