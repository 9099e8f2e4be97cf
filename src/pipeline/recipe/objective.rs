//! `[objective]`: what the student minimises.

use alambic_distill::loss::{LossError, LossSetting, ObjectiveTerm, TailTreatment};
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The `[objective]` section: a weighted sum of loss terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveSection {
    /// Softens both distributions before they are compared; 1 compares them as they are.
    pub temperature: f64,
    /// What the entries mean that a truncated teacher does not store; `tail_bucket` if not given.
    pub tail: Option<TailTreatment>,
    /// The terms; each kind at most once.
    pub terms: Vec<ObjectiveTerm>,
}

impl ObjectiveSection {
    /// What the entries mean that a truncated teacher does not store.
    pub fn tail_treatment(&self) -> TailTreatment {
        self.tail.unwrap_or_default()
    }

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
            check_settings(checker, index, term);
            self.check_tail(checker, index, term);
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
        let uses_cache = self.terms.iter().any(|term| term.kind.needs_targets());
        let problem = if uses_cache {
            Problem::new("objective.temperature", "1.0 for a divergence on a top-k cache", found).advise(
                "the cache keeps the k largest probabilities and one mass for all others, and what that mass \
                 becomes at another temperature depends on tokens that were not kept: set temperature = 1.0",
            )
        } else {
            Problem::new(
                "objective.temperature",
                "1.0, because no entry of objective.terms uses a temperature",
                found,
            )
            .advise("set temperature = 1.0, or add a term that compares with the teacher")
        };
        checker.require_all(&["objective.terms"], false, problem);
    }

    fn check_tail(&self, checker: &mut Checker, index: usize, term: &ObjectiveTerm) {
        let tail = self.tail_treatment();
        let Ok(Some(divergence)) = term.divergence() else {
            return; // a broken setting, or no teacher to compare with
        };
        let Err(error) = tail.check(&*divergence) else {
            return;
        };
        checker.require_all(
            &["objective.tail"],
            false,
            Problem::new(
                format!("objective.terms.{index}.kind"),
                format!(
                    "a kind that is finite under objective.tail = {:?}",
                    tail.name()
                ),
                format!("{:?}", term.kind.name()),
            )
            .advise(error.to_string()),
        );
    }
}

/// Reports settings that the term's loss lacks, does not read or cannot take.
fn check_settings(checker: &mut Checker, index: usize, term: &ObjectiveTerm) {
    let name = term.kind.name();
    for setting in LossSetting::ALL {
        let key = format!("objective.terms.{index}.{}", setting.name());
        let read = term.kind.setting() == Some(setting);
        let problem = match (read, term.setting(setting)) {
            (true, None) => Problem::new(&key, format!("a number, which {name} reads"), "none")
                .advise(format!(
                    "the paper of this loss has {} = {}",
                    setting.name(),
                    setting.published()
                )),
            (false, Some(value)) => {
                Problem::new(&key, format!("no such key, {name} does not read it"), value)
                    .advise("remove it")
            }
            _ => continue,
        };
        checker.require_all(&[&format!("objective.terms.{index}.kind")], false, problem);
    }
    if let Err(LossError::OutOfRange {
        setting,
        expected,
        found,
    }) = term.divergence()
    {
        checker.report(Problem::new(
            format!("objective.terms.{index}.{setting}"),
            expected,
            format!("{found:?}"),
        ));
    }
}
