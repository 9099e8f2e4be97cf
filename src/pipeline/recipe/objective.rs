//! `[objective]`: what the student minimises.

use alambic_distill::loss::{
    LayerTerm, LossError, LossSetting, Objective, ObjectiveTerm, TailTreatment, TemperatureFactor,
    WeightRamp,
};
use serde::{Deserialize, Serialize};

use super::cache::CacheSection;
use super::check::Checker;
use super::problem::Problem;

/// The `[objective]` section: a weighted sum of loss terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveSection {
    /// Softens both distributions before they are compared; 1 compares them as they are.
    pub temperature: f64,
    /// What terms that compare distributions are multiplied with: `squared`, the square of the
    /// temperature, if not given.
    pub temperature_factor: Option<TemperatureFactor>,
    /// What the entries mean that a truncated teacher does not store; `tail_bucket` if not given. Hidden
    /// states leave nothing out, and have none.
    pub tail: Option<TailTreatment>,
    /// The terms; each kind at most once. `universal_logit` and `hybrid_logit` are between two vocabularies, for a
    /// student with a tokenizer of its own (`student.tokenizer`). A weight changes over the steps with
    /// `ramp = { kind = "linear", to = 0.1, first_step = 1, last_step = 1000 }`.
    pub terms: Vec<ObjectiveTerm>,
    /// Losses between layers of the student and of the teacher, beside `terms`; the teacher then answers
    /// while the student trains. Each kind at most once. For example `{ kind = "hidden_cosine", weight = 1.0,
    /// layers = [{ student = 2, teacher = 4 }] }`.
    pub layer_terms: Option<Vec<LayerTerm>>,
}

impl ObjectiveSection {
    /// What the entries mean that a truncated teacher does not store.
    pub fn tail_treatment(&self) -> TailTreatment {
        self.tail.unwrap_or_default()
    }

    /// The losses between layers, if there are any.
    pub fn layer_terms(&self) -> &[LayerTerm] {
        self.layer_terms.as_deref().unwrap_or_default()
    }

    /// Writes out what was not given, so that a resolved recipe shows it.
    pub(super) fn resolve(&mut self) {
        self.temperature_factor.get_or_insert_default();
    }

    /// Writes out how a truncated teacher of such a cache is read.
    pub(super) fn resolve_tail(&mut self, cache: &CacheSection) {
        if cache.hidden_states.is_none() && cache.draws.is_none() {
            self.tail.get_or_insert_default();
        }
    }

    /// Reports what is wrong inside this section.
    pub(super) fn check(
        &self,
        total_steps: usize,
        cache: Option<&CacheSection>,
        checker: &mut Checker,
    ) {
        self.check_temperature(cache, checker);
        self.check_tail_is_read(cache, checker);
        checker.require(
            !self.terms.is_empty(),
            Problem::new("objective.terms", "at least one term", "an empty array")
                .advise("for example { kind = \"forward_kl\", weight = 1.0 }"),
        );
        for (index, term) in self.terms.iter().enumerate() {
            checker.not_negative(&format!("objective.terms.{index}.weight"), term.weight);
            let key = format!("objective.terms.{index}");
            check_ramp(checker, &key, term.ramp.as_ref(), total_steps);
            check_settings(checker, index, term);
            if let Some(cache) = cache {
                check_logits(checker, index, term, cache);
            }
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
        let objective = Objective::try_new(self.terms.clone(), self.tail_treatment());
        if let (Err(LossError::EmptyObjective { step }), false) = (objective, self.terms.is_empty())
        {
            checker.report(
                Problem::new(
                    "objective.terms",
                    "at least one weight above 0 at every step",
                    format!("only weights of 0 at step {step}"),
                )
                .advise("the student's head would learn nothing"),
            );
        }
    }

    fn check_temperature(&self, cache: Option<&CacheSection>, checker: &mut Checker) {
        checker.positive("objective.temperature", self.temperature);
        if !self.temperature.is_finite() || self.temperature <= 0.0 || self.temperature == 1.0 {
            return;
        }
        let found = format!("{:?}", self.temperature);
        let mut terms = self.terms.iter();
        let uses_cache = terms.any(|term| term.kind.compares_distributions());
        let stored = self.temperature as f32;
        let cache = match cache {
            Some(cache) => cache,
            None if uses_cache => return, // the cache that is lacking is the problem
            None => {
                return checker.require_all(&["objective.terms"], false, unused_temperature(found));
            }
        };
        if uses_cache && cache.draws.is_some() && !(stored.is_finite() && stored > 0.0) {
            let expected = "a number that a cache can store as f32, finite and above 0";
            let problem = Problem::new("objective.temperature", expected, found);
            checker.require_all(&["cache.draws"], false, problem);
            return;
        }
        if uses_cache && (cache.draws.is_some() || cache.hidden_states.is_some()) {
            return; // tokens are drawn at this temperature, hidden states know every one
        }
        if uses_cache && cache.temperatures().contains(&(self.temperature as f32)) {
            return; // the mass of all others is kept at this temperature
        }
        let problem = if uses_cache {
            let declared = cache.temperatures();
            Problem::new(
                "objective.temperature",
                format!("one of cache.temperatures ({declared:?})"),
                &found,
            )
            .advise(format!(
                "the cache keeps the k largest probabilities and one mass for all others, and what that mass \
                 becomes at another temperature depends on tokens that were not kept: add {found} to \
                 cache.temperatures and capture with that, set temperature = 1.0, draw tokens at this \
                 temperature (cache.draws), or keep hidden states (cache.hidden_states)"
            ))
        } else {
            unused_temperature(found)
        };
        checker.require_all(&["objective.terms", "cache.temperatures"], false, problem);
    }

    /// Reports what a truncated teacher would need, where nothing is left out.
    fn check_tail_is_read(&self, cache: Option<&CacheSection>, checker: &mut Checker) {
        let Some(cache) = cache else {
            return; // reported with the student's tokenizer, or with the cache that is lacking
        };
        let (reason, advice) = match (cache.hidden_states.is_some(), cache.draws.is_some()) {
            (true, _) => (
                "cache.hidden_states",
                "hidden states leave no token out, so there is no tail to treat: remove it",
            ),
            (_, true) => (
                "cache.draws",
                "draws estimate every token's probability, so there is no tail to treat: remove it",
            ),
            _ => return,
        };
        let Some(tail) = self.tail else {
            return;
        };
        let problem = Problem::new(
            "objective.tail",
            format!("no such key, because {reason} is given"),
            format!("{:?}", tail.name()),
        )
        .advise(advice);
        checker.require_all(&[reason], false, problem);
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

fn unused_temperature(found: String) -> Problem {
    Problem::new(
        "objective.temperature",
        "1.0, because no entry of objective.terms uses a temperature",
        found,
    )
    .advise("set temperature = 1.0, or add a term that compares with the teacher")
}

/// Reports a weight that does not go from one step of the run to a later one.
pub(super) fn check_ramp(
    checker: &mut Checker,
    term: &str,
    ramp: Option<&WeightRamp>,
    total_steps: usize,
) {
    let Some(ramp) = ramp else { return };
    let key = |name: &str| format!("{term}.ramp.{name}");
    checker.not_negative(&key("to"), ramp.to);
    checker.require_all(
        &[&key("first_step")],
        ramp.first_step < ramp.last_step,
        Problem::new(
            key("last_step"),
            format!("a step after {} ({})", key("first_step"), ramp.first_step),
            ramp.last_step,
        ),
    );
    checker.require_all(
        &["training.total_steps"],
        ramp.last_step <= total_steps as u64,
        Problem::new(
            key("last_step"),
            format!("at most training.total_steps ({total_steps})"),
            ramp.last_step,
        ),
    );
}

/// Reports a term that reads logits where the cache keeps none.
fn check_logits(checker: &mut Checker, index: usize, term: &ObjectiveTerm, cache: &CacheSection) {
    checker.require_all(
        &["cache.hidden_states"],
        !term.kind.needs_logits() || cache.hidden_states.is_some(),
        Problem::new(
            format!("objective.terms.{index}.kind"),
            "a kind that a cache can serve",
            format!("{:?}", term.kind.name()),
        )
        .advise(
            "it compares raw logits, which only hidden states give (cache.hidden_states): keep these, or use a \
             divergence such as \"forward_kl\"",
        ),
    );
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
