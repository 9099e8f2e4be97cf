//! Synthetic training data from a large model: strategies, answers, checks, filters.

mod error;
mod filter;
mod strategy;

pub use error::SynthError;
pub use filter::{
    Bound, BrokenRule, CalibrationBin, ClassifierReport, ComparisonReport, ContaminatedDocument,
    Contamination, ContaminationIndex, DecontaminationConfig, DecontaminationReport, Diversity,
    DiversityTable, DuplicateClusters, EvaluationQuestion, ExactDuplicates, ExactDuplicatesConfig,
    FeatureVector, Filter, FilterConfig, FilterDocument, FilterOutcome, FilterReport, FilterRun,
    FilterStage, GridChoice, GridPrompt, HeuristicRule, HeuristicsConfig, JudgedText,
    LanguageConfig, LanguageVerdict, LengthConfig, LogisticRegression, LogisticRegressionConfig,
    MinHasher, NearDuplicates, NearDuplicatesConfig, QualityClassifier, QualityConfig,
    QualityFeatures, QualityTraining, Removal, RemovalReason, RepetitionConfig, RepetitionRule,
    SameText, SearchedBy, SetReport, ShingleUnit, Shingling, StageReport, TextStatistics,
    TextbookGrid, UnsureLanguage, Verdict, Verification, estimated_jaccard,
};
pub use strategy::Strategy;
