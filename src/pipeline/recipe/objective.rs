//! `[objective]`: what the student minimises.

use alambic_distill::loss::{LossKind, ObjectiveTerm};
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The `[objective]` section: a weighted sum of loss terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveSection {
    /// Softens both distributions before they are compared; 1 compares them as they are.
    pub temperature: f64,
    /// The terms; each kind at most once.
    pub terms: Vec<ObjectiveTerm>,
}

impl ObjectiveSection {
    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        self.check_temperature(checker);
        checker.require(
            !self.terms.is_empty(),
            Problem::new("objective.terms", "at least one term", "an empty array")
                .advise("for example { kind = \"forward_kl\", weight = 1.0 }"),
        );
        for (index, term) in self.terms.iter().enumerate() {
            checker.not_negative(&format!("objective.terms.{index}.weight"), term.weight);
            if let Some(first) = self.terms[..index]
                .iter()
                .position(|other| other.kind == term.kind)
            {
                let key = format!("objective.terms.{index}.kind");
                let name = term.kind.name();
                checker.require_all(
                    &[&format!("objective.terms.{first}.kind")],
                    false,
                    Problem::new(
                        &key,
                        format!("a kind other than that of objective.terms.{first}"),
                        format!("{name:?} again"),
                    )
                    .advise("name each kind once, with the sum of the weights"),
                );
            }
        }
        checker.require(
            self.terms.is_empty() || self.terms.iter().any(|term| term.weight != 0.0),
            Problem::new(
                "objective.terms",
                "at least one weight above 0",
                "only weights of 0",
            )
            .advise("the student would learn nothing"),
        );
    }

    fn check_temperature(&self, checker: &mut Checker) {
        checker.positive("objective.temperature", self.temperature);
        if !self.temperature.is_finite() || self.temperature <= 0.0 || self.temperature == 1.0 {
            return;
        }
        let found = format!("{:?}", self.temperature);
        let uses_cache = self
            .terms
            .iter()
            .any(|term| term.kind == LossKind::ForwardKl);
        let problem = if uses_cache {
            Problem::new("objective.temperature", "1.0 for forward_kl on a top-k cache", found).advise(
                "the cache keeps the k largest probabilities and one mass for all others, and what that mass \
                 becomes at another temperature depends on tokens that were not kept: set temperature = 1.0",
            )
        } else {
            Problem::new(
                "objective.temperature",
                "1.0, because no entry of objective.terms uses a temperature",
                found,
            )
            .advise("set temperature = 1.0, or add a forward_kl term")
        };
        checker.require_all(&["objective.terms"], false, problem);
    }
}
