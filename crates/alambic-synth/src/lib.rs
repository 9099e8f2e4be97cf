//! Synthetic training data from a large model: strategies, answers, checks, filters.

mod answer;
mod answer_run;
mod check;
mod error;
mod filter;
mod journal;
mod plan;
mod prompt;
mod prompt_files;
mod request;
mod shipped_strategies;
mod strategy;
mod strategy_map;
mod synthetic_conversation;
mod writer;

pub use answer::{Answer, Delivery, Finish, Outcome, ServedToken, TokenLogProb, Usage};
pub use answer_run::{AnswerRecord, AnswerRun, EarlierFailures, RunEnd, RunPolicy, RunSummary};
pub use check::{
    Agreement, AnswerCheck, CheckKind, Keep, Rubric, Verdict, WithoutReference, select,
    shipped_rubric, shipped_rubrics,
};
pub use error::{Problems, SynthError};
pub use filter::{
    Bound, BrokenRule, CalibrationBin, ClassifierReport, ComparisonReport, ContaminatedDocument,
    Contamination, ContaminationIndex, DecontaminationConfig, DecontaminationReport, Diversity,
    DiversityTable, DuplicateClusters, EvaluationQuestion, ExactDuplicates, ExactDuplicatesConfig,
    FeatureVector, Filter, FilterConfig, FilterDocument, FilterOutcome, FilterReport, FilterRun,
    FilterStage, FilterVerdict, GridChoice, GridPrompt, HeuristicRule, HeuristicsConfig,
    JudgedText, LanguageConfig, LanguageVerdict, LengthConfig, LogisticRegression,
    LogisticRegressionConfig, MinHasher, NearDuplicates, NearDuplicatesConfig, QualityClassifier,
    QualityConfig, QualityFeatures, QualityTraining, Removal, RemovalReason, RepetitionConfig,
    RepetitionRule, SameText, SearchedBy, SetReport, ShingleUnit, Shingling, StageReport,
    TextStatistics, TextbookGrid, UnsureLanguage, Verification, estimated_jaccard,
};
pub use plan::Plan;
pub use prompt::{Prompt, Source};
pub use prompt_files::PromptFiles;
pub use request::{AnswerRequest, RequestKey, Sampling};
pub use shipped_strategies::{shipped_strategies, shipped_strategy};
pub use strategy::Strategy;
pub use strategy_map::{StrategyMap, StrategyRule};
pub use synthetic_conversation::SyntheticConversation;
pub use writer::{AnswerWriter, ReadyAnswers, WriteEnd};
#[cfg(feature = "endpoint")]
pub use writer::{Budget, Endpoint, EndpointApi, EndpointConfig, Prices, Retries};
