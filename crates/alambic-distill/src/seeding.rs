//! Named random streams: one seed, many independent uses.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The random stream `name` of a run's seed.
pub(crate) fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// A 64-bit seed for the stream `name`, for libraries that take one number.
pub fn derive_seed(seed: u64, name: &str) -> u64 {
    use rand::RngExt;
    stream(seed, name).random()
}
