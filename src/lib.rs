//! Alambic distils small language models from large ones.

pub mod pipeline;

pub use alambic_cache as cache;
pub use alambic_distill as distill;
pub use alambic_text as text;
pub use alambic_transformer as transformer;
