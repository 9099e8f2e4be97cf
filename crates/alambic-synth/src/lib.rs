//! Synthetic training data from a large model: strategies, answers, checks, filters.

mod error;
mod filter;
mod strategy;

pub use error::SynthError;
pub use filter::{Bound, BrokenRule, CalibrationBin, ClassifierReport, ContaminatedDocument, Contamination, ContaminationIndex, DecontaminationConfig, DecontaminationReport, DuplicateClusters, EvaluationQuestion, ExactDuplicates, ExactDuplicatesConfig, FeatureVector, HeuristicRule, HeuristicsConfig, JudgedText, LanguageConfig, LanguageVerdict, LengthConfig, LogisticRegression, LogisticRegressionConfig, MinHasher, NearDuplicates, NearDuplicatesConfig, QualityClassifier, QualityFeatures, QualityTraining, RepetitionConfig, RepetitionRule, SameText, SearchedBy, SetReport, ShingleUnit, Shingling, TextStatistics, UnsureLanguage, Verification, estimated_jaccard};
pub use strategy::Strategy;
