//! Synthetic training data from a large model, the Orca 2 way (Mitra et al. 2023, arXiv:2311.11045).
//!
//! A teacher answers each task under the [`Strategy`] that suits it; answers are checked; the student sees them without the strategy.
//!
//! ```text
//! PromptFiles -> Prompt -> Plan -> AnswerRequest -> AnswerWriter -> AnswerRun -> Checks -> SyntheticConversation
//!   files                strategies                  a teacher      on disk               what the student sees
//! ```
//!
//! # A guide in one example
//!
//! ```
//! use alambic_synth::*;
//! use alambic_text::PromptErasing;
//!
//! # #[derive(serde::Deserialize)] struct Settings { prompts: PromptFiles, check: Checks, sampling: Sampling }
//! # let dir = tempfile::tempdir()?;
//! // 1. Prompts of somebody's file, and when an answer is right.
//! let settings: Settings = toml::from_str(r#"
//!     sampling = { temperature = 0.0, max_new_tokens = 50, seed = 0 }
//!     [prompts]
//!     files = []
//!     records = { format = "json_lines" }
//!     source = { name = "sums", licence = "CC0-1.0" }
//!     id = "{{ id }}"
//!     kind = "arithmetic"
//!     user = "{{ question }}"
//!     reference = "answer"
//!     [check.default]
//!     extraction = { find = "number", occurrence = "last" }
//!     comparison = { by = "number" }
//!     without_reference = "reject"
//! "#)?;
//! let lines = br#"{"id": "a", "question": "7 + 5?", "answer": 12}
//! {"id": "b", "question": "7 - 5?", "answer": 2}"#;
//! let prompts = settings.prompts.prompts(lines, "sums.jsonl")?;
//!
//! // 2. Strategies by kind, and the requests that follow.
//! let strategy = shipped_strategy("step_by_step")?;
//! let plan = Plan {
//!     map: Some("kinds = { arithmetic = 'step_by_step' }".parse()?),
//!     strategies: [(strategy.name.clone(), strategy)].into(),
//!     samples: 1,
//!     sampling: settings.sampling,
//! };
//! let requests = plan.requests(&prompts)?;
//!
//! // 3. A teacher; this one has its answers ready, the second of them wrong. Every answer is on disk before it is counted.
//! let ready = [("a", "7 and 3 is 10, and 2 is 12."), ("b", "It is 3.")];
//! let ready = ready.map(|(prompt, answer)| (prompt.to_owned(), answer.to_owned()));
//! let mut teacher = ReadyAnswers::of_prompts("somebody", ready);
//! let policy = RunPolicy { earlier_failures: EarlierFailures::Keep, most_failures_in_a_row: 10 };
//! let mut run = AnswerRun::open(dir.path())?;
//! let summary = run.complete(requests.clone(), &mut teacher, policy, &|| false, &mut |_| ())?;
//! assert_eq!((summary.end, summary.answered), (RunEnd::Complete, 2));
//!
//! // 4. Right answers become conversations of which the student sees no strategy.
//! let records = run.records(&requests, &teacher.identity())?.into_iter().flatten().collect();
//! let mut checked = check_answers(&prompts, records, &settings.check);
//! let kept = keep_answers(&prompts, &mut checked, Keep::All, &PromptErasing::RemoveSystem);
//! assert_eq!(kept.len(), 1);
//! assert_eq!(kept[0].messages.len(), 2);
//! assert!(kept[0].teacher_system.as_ref().unwrap().contains("small steps"));
//! write_conversations(dir.path(), DatasetFormat::Jsonl, &kept)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - A strategy's prompt cannot be trained on by mistake: `messages` of a [`SyntheticConversation`] is what the student sees.
//! - Nothing is asked twice: a run goes on with the requests that have no answer yet ([`AnswerRun`]).
//! - A budget is never exceeded, and keys stand in no file and no message ([`EndpointConfig`]).

mod answer;
mod answer_run;
mod check;
mod checked_answer;
mod dataset;
mod error;
mod filter;
mod journal;
mod plan;
mod prompt;
mod prompt_files;
mod request;
mod served_log_probs;
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
pub use served_log_probs::{LogProbLine, ServedTokenReader};
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
