//! What became of a document, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bound::BrokenRule;
use super::contamination::Contamination;
use super::language::LanguageVerdict;

/// The filters, in the order in which they are asked.
///
/// Cheap ones come first. Contaminated documents go before duplicates are looked for: otherwise a document could be removed for
/// resembling one that is itself removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterStage {
    /// [`LengthConfig`](super::length::LengthConfig).
    Length,
    /// [`LanguageConfig`](super::language::LanguageConfig).
    Language,
    /// [`HeuristicsConfig`](super::heuristics::HeuristicsConfig).
    Heuristics,
    /// [`RepetitionConfig`](super::repetition::RepetitionConfig).
    Repetition,
    /// [`QualityConfig`](super::filter_config::QualityConfig).
    Quality,
    /// [`DecontaminationConfig`](super::evaluation_questions::DecontaminationConfig).
    Decontamination,
    /// [`ExactDuplicatesConfig`](super::exact_duplicates::ExactDuplicatesConfig).
    ExactDuplicates,
    /// [`NearDuplicatesConfig`](super::near_duplicates_config::NearDuplicatesConfig).
    NearDuplicates,
}

impl FilterStage {
    /// The stage's section in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Language => "language",
            Self::Heuristics => "heuristics",
            Self::Repetition => "repetition",
            Self::Quality => "quality",
            Self::Decontamination => "decontamination",
            Self::ExactDuplicates => "exact_duplicates",
            Self::NearDuplicates => "near_duplicates",
        }
    }
}

/// Why a document was removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalReason {
    /// A measured value did not keep its bound.
    BrokenRule(BrokenRule),
    /// The language is another one, or not sure.
    Language(LanguageVerdict),
    /// It contains an evaluation question.
    Contamination(Contamination),
    /// It is like an earlier document.
    DuplicateOf {
        /// Position of that document in the input, from 0.
        position: u64,
        /// Jaccard similarity, estimated unless configured otherwise; 1 for exact duplicates.
        similarity: f64,
    },
}

/// Which filter removed a document, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// The filter.
    pub filter: FilterStage,
    /// What it found.
    pub reason: RemovalReason,
}

impl Removal {
    /// What removals are counted by: the broken rule, the language, the evaluation set.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.reason {
            RemovalReason::BrokenRule(broken) => broken.rule.clone(),
            RemovalReason::Language(verdict) => {
                verdict.language.clone().unwrap_or("unknown".into())
            }
            RemovalReason::Contamination(found) => found.set.clone(),
            RemovalReason::DuplicateOf { .. } => "duplicate".into(),
        }
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.filter.name())?;
        match &self.reason {
            RemovalReason::BrokenRule(broken) => broken.fmt(f),
            RemovalReason::Language(verdict) => {
                let language = verdict.language.as_deref().unwrap_or("unknown");
                write!(
                    f,
                    "language {language}, confidence {:.2}",
                    verdict.confidence
                )
            }
            RemovalReason::Contamination(found) => {
                let overlap = found.overlap();
                write!(
                    f,
                    "contains {} of {}, overlap {overlap:.2}",
                    found.question, found.set
                )
            }
            RemovalReason::DuplicateOf {
                position,
                similarity,
            } => {
                write!(f, "like document {position}, similarity {similarity:.2}")
            }
        }
    }
}

/// What is known of a document once it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterVerdict {
    /// No filter removes it.
    Kept,
    /// A filter removes it.
    Removed(Removal),
    /// No filter so far; near-duplicates are known when all documents were read.
    Undecided,
}
