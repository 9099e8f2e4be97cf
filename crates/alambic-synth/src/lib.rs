//! Synthetic training data from a large model: strategies, answers, checks, filters.

mod answer;
mod answer_run;
mod check;
mod checked_answer;
mod dataset;
mod error;
mod journal;
mod plan;
mod prompt;
mod prompt_files;
mod request;
mod shipped_strategies;
mod strategy;
mod strategy_map;
mod strategy_trial;
mod synthetic_conversation;
mod writer;

pub use answer::{Answer, Delivery, Finish, Outcome, ServedToken, TokenLogProb, Usage};
pub use answer_run::{AnswerRecord, AnswerRun, EarlierFailures, RunEnd, RunPolicy, RunSummary};
pub use check::{
    Agreement, AnswerCheck, CheckKind, Checks, Keep, Rubric, Verdict, WithoutReference, select,
    shipped_rubric, shipped_rubrics,
};
pub use checked_answer::{CheckedAnswer, check_answers, keep_answers};
pub use dataset::{
    DatasetCard, DatasetFormat, KindCounts, LengthStatistics, read_conversations,
    write_conversations,
};
pub use error::{Problems, SynthError};
pub use plan::Plan;
pub use prompt::{Prompt, Source};
pub use prompt_files::PromptFiles;
pub use request::{AnswerRequest, RequestKey, Sampling};
pub use shipped_strategies::{shipped_strategies, shipped_strategy};
pub use strategy::Strategy;
pub use strategy_map::{StrategyMap, StrategyRule};
pub use strategy_trial::{StrategyScore, StrategyTrial};
pub use synthetic_conversation::SyntheticConversation;
#[cfg(feature = "endpoint")]
pub use writer::Endpoint;
#[cfg(feature = "local")]
pub use writer::LocalModel;
pub use writer::{
    AnswerWriter, Budget, EndpointApi, EndpointConfig, Prices, ReadyAnswers, Retries, WriteEnd,
};
