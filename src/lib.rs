#![doc = include_str!("../README.md")]

pub mod pipeline;

pub use alambic_cache as cache;
pub use alambic_distill as distill;
pub use alambic_eval as eval;
pub use alambic_synth as synth;
pub use alambic_text as text;
pub use alambic_transformer as transformer;
