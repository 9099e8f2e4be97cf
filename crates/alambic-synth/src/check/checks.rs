//! The checks of all kinds of prompts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answer_check::{AnswerCheck, finished};
use super::verdict::Verdict;
use crate::SynthError;
use crate::answer::Outcome;
use crate::error::Problems;
use crate::prompt::Prompt;

/// How the answers to each kind of prompts are checked. Answers to kinds without a check pass if the teacher ended them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checks {
    /// For kinds that are not listed.
    #[serde(default)]
    pub default: Option<AnswerCheck>,
    /// By kind.
    #[serde(default)]
    pub kinds: BTreeMap<String, AnswerCheck>,
}

impl Checks {
    /// Checks the settings; all problems are told at once.
    ///
    /// # Errors
    /// [`SynthError::Settings`].
    pub fn validate(&self) -> Result<(), SynthError> {
        let mut problems = Problems::default();
        let default = self
            .default
            .iter()
            .map(|check| ("default".to_owned(), check));
        let kinds = self.kinds.iter();
        let kinds = kinds.map(|(kind, check)| (format!("kinds.{kind}"), check));
        for (key, check) in default.chain(kinds) {
            if let Some(agreement) = &check.agreement {
                agreement.check(&format!("check.{key}.agreement"), &mut problems);
            }
        }
        problems.into_result()
    }

    /// The check of a kind, if it has one.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Option<&AnswerCheck> {
        self.kinds.get(kind).or(self.default.as_ref())
    }

    /// The verdicts on all answers to one prompt, in their order.
    #[must_use]
    pub fn verdicts(&self, prompt: &Prompt, outcomes: &[Outcome]) -> Vec<Vec<Verdict>> {
        match self.of_kind(&prompt.kind) {
            Some(check) => check.verdicts(prompt, outcomes),
            None => outcomes.iter().map(finished).collect(),
        }
    }
}
