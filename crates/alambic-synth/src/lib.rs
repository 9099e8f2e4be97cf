//! Synthetic training data from a large model: strategies, answers, checks, filters.

mod error;
mod strategy;

pub use error::SynthError;
pub use strategy::Strategy;
