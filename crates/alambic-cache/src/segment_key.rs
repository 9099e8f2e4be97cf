//! The name of a segment's targets: what the teacher read and which labels were scored.

use std::fmt;

use sha2::{Digest, Sha256};

/// Separates this hash from every other use of SHA-256 in the project.
const DOMAIN: &[u8] = b"alambic segment key 1\0";
/// The same for draws.
const DRAW_DOMAIN: &[u8] = b"alambic segment draw 1\0";

/// SHA-256 over the teacher's fingerprint, the tokens it read and the labels it scored.
///
/// Two segments share a key if and only if the same teacher would give them the same targets, so
/// a resumed capture recognises its shards by their keys. `Display` writes 64 hex digits.
///
/// ```
/// use alambic_cache::SegmentKey;
/// let key = SegmentKey::of("teacher", &[5, 6, 7], &[false, true, true]);
/// assert_eq!(key.to_string().len(), 64);
/// assert_eq!(key, SegmentKey::of("teacher", &[5, 6, 7], &[false, true, true]));
/// assert_ne!(key, SegmentKey::of("teacher", &[5, 6, 7], &[false, false, true]));
/// assert_ne!(key, SegmentKey::of("another", &[5, 6, 7], &[false, true, true]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentKey([u8; 32]);

impl SegmentKey {
    /// The key of a segment, from the *teacher's* view of it.
    ///
    /// The lengths are part of the hash, so no two different inputs are written alike.
    ///
    /// ```
    /// use alambic_cache::SegmentKey;
    /// let key = SegmentKey::of("t", &[1], &[false]);
    /// assert!(key.to_string().starts_with("131d8aa3f5551ed5"));
    /// ```
    pub fn of(
        teacher_fingerprint: &str,
        teacher_token_ids: &[u32],
        teacher_loss_mask: &[bool],
    ) -> Self {
        let mut bytes = Vec::with_capacity(4 * teacher_token_ids.len());
        for id in teacher_token_ids {
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        let mask: Vec<u8> = teacher_loss_mask
            .iter()
            .map(|&counted| u8::from(counted))
            .collect();
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        for part in [teacher_fingerprint.as_bytes(), &bytes, &mask] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// A number in `[0, 1)` that is a function of key and seed, uniform over keys.
    ///
    /// The upper 53 bits of the first eight bytes of `SHA-256("alambic segment draw 1\0" ‖ seed ‖
    /// key)`, in units of 2⁻⁵³; `seed` is a little-endian u64, the eight bytes are read as one.
    ///
    /// ```
    /// use alambic_cache::SegmentKey;
    /// let draw = SegmentKey::from_bytes([7; 32]).draw(17);
    /// assert!((draw - 0.002479).abs() < 1e-6, "{draw}");
    /// ```
    pub fn draw(&self, seed: u64) -> f64 {
        let mut hash = Sha256::new();
        hash.update(DRAW_DOMAIN);
        hash.update(seed.to_le_bytes());
        hash.update(self.0);
        let digest: [u8; 32] = hash.finalize().into();
        let (words, _) = digest.as_chunks();
        (u64::from_le_bytes(words[0]) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The 32 bytes of the hash, as stored in the column `key`.
    ///
    /// ```
    /// let key = alambic_cache::SegmentKey::from_bytes([7; 32]);
    /// assert_eq!(key.as_bytes(), &[7; 32]);
    /// ```
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key read back from its 32 bytes.
    ///
    /// ```
    /// let key = alambic_cache::SegmentKey::from_bytes([0xab; 32]);
    /// assert_eq!(key.to_string(), "ab".repeat(32));
    /// ```
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_inputs_are_hashed_alike() {
        let inputs: [(&str, &[u32], &[bool]); 7] = [
            ("", &[], &[]),
            ("t", &[1], &[false]),
            ("t\u{1}", &[], &[false]),
            ("t", &[1], &[true]),
            ("t", &[1, 0], &[]),
            ("t", &[1], &[false, false]),
            ("t", &[256], &[false]),
        ];
        let mut keys = inputs.map(|(teacher, ids, mask)| SegmentKey::of(teacher, ids, mask));
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
