//! Synthetic training data from a large model: strategies, answers, checks, filters.

mod error;
mod filter;
mod strategy;

pub use error::SynthError;
pub use filter::{
    ContaminatedDocument, Contamination, ContaminationIndex, DecontaminationConfig,
    DecontaminationReport, DuplicateClusters, EvaluationQuestion, ExactDuplicates,
    ExactDuplicatesConfig, MinHasher, NearDuplicates, NearDuplicatesConfig, SameText, SearchedBy,
    SetReport, ShingleUnit, Shingling, Verification, estimated_jaccard,
};
pub use strategy::Strategy;
