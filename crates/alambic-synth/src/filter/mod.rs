//! Filters of documents: what is removed, and why.

mod config_problems;
mod contamination_index;
mod decontamination_report;
mod disjoint_sets;
mod duplicate_bucket;
mod evaluation_questions;
mod exact_duplicates;
mod markdown;
mod min_hash;
mod near_duplicates;
mod near_duplicates_config;
mod normalised_words;
mod shingles;

pub use contamination_index::{Contamination, ContaminationIndex};
pub use decontamination_report::{ContaminatedDocument, DecontaminationReport, SetReport};
pub use evaluation_questions::{DecontaminationConfig, EvaluationQuestion, SearchedBy};
pub use exact_duplicates::{ExactDuplicates, ExactDuplicatesConfig, SameText};
pub use min_hash::{MinHasher, estimated_jaccard};
pub use near_duplicates::{DuplicateClusters, NearDuplicates};
pub use near_duplicates_config::{NearDuplicatesConfig, Verification};
pub use shingles::{ShingleUnit, Shingling};
