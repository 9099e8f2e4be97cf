//! `[cache]`: what is kept of the teacher's answers.

use std::path::{Path, PathBuf};

use alambic_cache::{
    CacheError, CacheLocation, DrawMethod, MAX_DRAWS, MAX_TEMPERATURES, StateType, TargetKind,
    ValueType,
};
use alambic_distill::loss::ObjectiveTerm;
use alambic_distill::teacher::Teacher;
use alambic_distill::{DistillError, hidden_targets};
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The key of [`CacheSection::path`].
pub(super) const CACHE_PATH: &str = "cache.path";

/// The `[cache]` section: `top_k` with `values` and perhaps `temperatures`, or `draws` with `draw_seed`,
/// or both but for temperatures: then the draws are from among the tokens that are not the most likely
/// ones; or `hidden_states`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSection {
    /// Most likely tokens kept per label; the mass of all others is kept as one number.
    pub top_k: Option<usize>,
    /// How the log-probabilities of the most likely tokens are stored.
    pub values: Option<ValueType>,
    /// Temperatures that the most likely tokens can be trained at: 1 and, for each further one, the
    /// mass of all others at it; `[1.0]` if not given.
    pub temperatures: Option<Vec<f64>>,
    /// Tokens drawn per label from the teacher's distribution, or from what `top_k` leaves of it.
    pub draws: Option<u16>,
    /// Where the random numbers of the draws start.
    pub draw_seed: Option<u64>,
    /// How tokens are drawn: `systematic` if not given, or `independent`.
    pub draw_method: Option<DrawMethod>,
    /// How the teacher's last hidden states are stored, with its head once beside them: the whole
    /// distribution at any temperature.
    pub hidden_states: Option<StateType>,
    /// Segments per shard file: the unit of resuming and of shuffling.
    pub segments_per_shard: usize,
    /// Finished caches (directories or URLs with a `manifest.json`) of the same teacher and the same
    /// settings of this section: what they hold is not captured again.
    pub reuse: Option<Vec<PathBuf>>,
    /// Shares one cache between runs, or between processes on many machines: a directory, or a URL
    /// such as `s3://BUCKET/PREFIX`. Inside the run directory when absent.
    pub path: Option<PathBuf>,
}

impl CacheSection {
    /// What is kept of the answers of `teacher`, whose head belongs to hidden states.
    ///
    /// # Errors
    /// [`DistillError::TeacherCannot`] for hidden states that it does not give.
    ///
    /// # Panics
    /// If the section is not valid.
    pub fn targets_of(&self, teacher: &dyn Teacher) -> Result<TargetKind, DistillError> {
        match self.hidden_states {
            Some(values) => hidden_targets(teacher, values),
            None => Ok(self.targets()),
        }
    }

    /// What is kept of a teacher's distributions.
    ///
    /// # Panics
    /// If the section is not valid, or names hidden states: see [`Self::targets_of`].
    pub(crate) fn targets(&self) -> TargetKind {
        let method = self.draw_method.unwrap_or(DrawMethod::Systematic);
        match (self.top_k, self.values, self.draws, self.draw_seed) {
            (Some(k), Some(values), None, None) => TargetKind::TopK { k, values },
            (None, None, Some(draws), Some(seed)) => TargetKind::Sampled {
                draws,
                seed,
                method,
            },
            (Some(k), Some(values), Some(draws), Some(seed)) => TargetKind::HeadPlusSampledTail {
                k,
                values,
                draws,
                seed,
                method,
            },
            other => panic!("a recipe is checked before it is used, found {other:?}"),
        }
    }

    /// The temperatures that the most likely tokens can be trained at, as a cache keeps them.
    pub fn temperatures(&self) -> Vec<f32> {
        let given = self.temperatures.as_deref().unwrap_or(&[1.0]);
        given
            .iter()
            .map(|&temperature| temperature as f32)
            .collect()
    }

    /// Writes out what was not given, so that a resolved recipe shows it.
    pub(super) fn resolve(&mut self) {
        if self.top_k.is_some() && self.draws.is_none() {
            self.temperatures.get_or_insert_with(|| vec![1.0]);
        }
        if self.draws.is_some() {
            self.draw_method.get_or_insert(DrawMethod::Systematic);
        }
    }

    /// Where the caches are, if not inside the run directory.
    ///
    /// # Panics
    /// If the section is not valid.
    pub fn location(&self) -> Option<CacheLocation> {
        let location = self.path.as_deref().map(read_location);
        location.map(|location| location.expect("a recipe is checked before it is used"))
    }

    /// The caches that are reused.
    ///
    /// # Panics
    /// If the section is not valid.
    pub fn reused(&self) -> Vec<CacheLocation> {
        let locations = self.reuse.iter().flatten().map(|path| read_location(path));
        locations
            .map(|location| location.expect("a recipe is checked before it is used"))
            .collect()
    }

    /// Reports what is wrong inside this section.
    pub(super) fn check(&self, checker: &mut Checker) {
        if let Some(top_k) = self.top_k {
            checker.at_least(1, "cache.top_k", top_k);
        }
        if let Some(draws) = self.draws {
            checker.require(
                (1..=MAX_DRAWS).contains(&draws),
                Problem::new("cache.draws", format!("1 to {MAX_DRAWS}"), draws),
            );
        }
        self.check_kind(checker);
        if let (Some(method), None) = (self.draw_method, self.draws) {
            let expected = "no such key, because cache.draws is not given";
            let problem = Problem::new("cache.draw_method", expected, method.name());
            let problem = problem.advise("remove it, or give cache.draws and cache.draw_seed");
            checker.require_all(&["cache.draws"], false, problem);
        }
        self.check_temperatures(checker);
        checker.at_least(1, "cache.segments_per_shard", self.segments_per_shard);
        for (index, path) in self.reuse.iter().flatten().enumerate() {
            let key = format!("cache.reuse.{index}");
            checker.path(&key, path);
            check_location(&key, path, checker);
        }
        if let Some(path) = &self.path {
            checker.path(CACHE_PATH, path);
            check_location(CACHE_PATH, path, checker);
        }
    }

    /// The most likely tokens, drawn ones, both or hidden states, with all that belongs to them.
    fn check_kind(&self, checker: &mut Checker) {
        let keys = [
            "cache.top_k",
            "cache.values",
            "cache.draws",
            "cache.draw_seed",
            "cache.hidden_states",
        ];
        let given = [
            self.top_k.is_some(),
            self.values.is_some(),
            self.draws.is_some(),
            self.draw_seed.is_some(),
            self.hidden_states.is_some(),
        ];
        let [top_k, values, draws, draw_seed, hidden_states] = given;
        let pairs_are_whole = top_k == values && draws == draw_seed;
        if pairs_are_whole && (top_k || draws) != hidden_states {
            return;
        }
        let found: Vec<&str> = keys
            .into_iter()
            .zip(given)
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
        let problem = Problem::new(
            "cache",
            "cache.top_k and cache.values, or cache.draws and cache.draw_seed, or all four, or \
             cache.hidden_states alone",
            match found.is_empty() {
                true => "none of them".into(),
                false => found.join(", "),
            },
        )
        .advise(
            "keep the most likely tokens (top_k), draw tokens at random (draws), draw from what the most likely \
             ones leave (both), or keep the teacher's last hidden states (hidden_states); an override such as \
             cache.top_k=unset leaves a key out",
        );
        checker.require_all(&keys, false, problem);
    }

    /// Temperatures belong to the most likely tokens; 1 is the first of them.
    fn check_temperatures(&self, checker: &mut Checker) {
        let Some(given) = &self.temperatures else {
            return;
        };
        let key = "cache.temperatures";
        let found = format!("{given:?}");
        let superfluous = [
            (
                self.draws.is_some(),
                "cache.draws",
                "remove it: tokens are drawn at objective.temperature",
            ),
            (
                self.hidden_states.is_some(),
                "cache.hidden_states",
                "remove it: hidden states know every temperature",
            ),
        ];
        if let Some((_, beside, advice)) = superfluous.into_iter().find(|(given, ..)| *given) {
            let expected = format!("no such key beside {beside}");
            let problem = Problem::new(key, expected, found).advise(advice);
            checker.require_all(&[beside], false, problem);
            return;
        }
        let kept = self.temperatures();
        let is_new = |index: usize| !kept[..index].contains(&kept[index]);
        let holds = kept.first() == Some(&1.0)
            && kept.len() <= MAX_TEMPERATURES
            && kept.iter().all(|t| t.is_finite() && *t > 0.0)
            && (1..kept.len()).all(is_new);
        let expected = format!(
            "1.0 and then at most {} others, distinct, finite and above 0",
            MAX_TEMPERATURES - 1
        );
        let problem = Problem::new(key, expected, found)
            .advise("for example [1.0, 2.0]; the log-probabilities are kept at 1.0");
        checker.require(holds, problem);
    }

    /// Reports losses that drawn tokens cannot estimate.
    pub(super) fn check_against(&self, terms: &[ObjectiveTerm], checker: &mut Checker) {
        if self.draws.is_none() {
            return;
        }
        for (index, term) in terms.iter().enumerate() {
            if term.kind.compares_vocabularies() {
                continue; // no cache serves it: reported there
            }
            let Err(error) = term.kind.check_linear() else {
                continue;
            };
            let key = format!("objective.terms.{index}.kind");
            let problem = Problem::new(
                &key,
                "forward_kl or cross_entropy, because cache.draws is given",
                format!("{:?}", term.kind.name()),
            )
            .advise(error.to_string());
            checker.require_all(&["cache.draws"], false, problem);
        }
    }
}

/// Whether a value of `cache.path` is a path as it is written, and no URL.
pub(super) fn is_plain_path(path: &Path) -> bool {
    read_location(path).is_ok_and(|location| location.as_directory() == Some(path))
}

/// Reports a text that names no place where a cache can be.
fn check_location(key: &str, path: &Path, checker: &mut Checker) {
    let problem = match read_location(path) {
        _ if path.as_os_str().is_empty() => return,
        Err(CacheError::InvalidLocation { expected, found }) => Problem::new(key, expected, found),
        Err(error) => Problem::new(key, "where caches are", error),
        Ok(_) => return,
    };
    checker.require(false, problem);
}

fn read_location(path: &Path) -> Result<CacheLocation, CacheError> {
    match path.to_str() {
        Some(text) => CacheLocation::parse(text),
        // A URL has no other letters.
        None => Ok(path.into()),
    }
}
