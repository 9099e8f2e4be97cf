//! What a check found.

use serde::{Deserialize, Serialize};

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// There is an answer at all.
    Answered,
    /// The teacher ended it, rather than the limit of its length.
    Finished,
    /// It has a final answer where one is expected.
    FinalAnswer,
    /// The final answer is right.
    Reference,
    /// Most answers to the prompt have the same final answer.
    Agreement,
    /// A judge gives it enough points.
    Judge,
    /// No other answer of the prompt that is kept is the same text.
    Distinct,
}

impl CheckKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Finished => "finished",
            Self::FinalAnswer => "final_answer",
            Self::Reference => "reference",
            Self::Agreement => "agreement",
            Self::Judge => "judge",
            Self::Distinct => "distinct",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What was checked.
    pub check: CheckKind,
    /// Whether the answer passes.
    pub passed: bool,
    /// What was found: a final answer, a share of votes, points, the reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

impl Verdict {
    /// A verdict on what was found.
    pub(crate) fn new(check: CheckKind, passed: bool, found: impl Into<String>) -> Self {
        Self {
            check,
            passed,
            found: Some(found.into()),
            expected: None,
        }
    }

    /// The same, with what was expected.
    pub(crate) fn expecting(self, expected: impl Into<String>) -> Self {
        Self {
            expected: Some(expected.into()),
            ..self
        }
    }
}
