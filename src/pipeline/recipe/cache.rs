//! `[cache]`: what is kept of the teacher's answers.

use std::path::{Path, PathBuf};

use alambic_cache::{CacheError, CacheLocation, MAX_DRAWS, TargetKind, ValueType};
use alambic_distill::loss::ObjectiveTerm;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problem::Problem;

/// The key of [`CacheSection::path`].
pub(super) const CACHE_PATH: &str = "cache.path";

/// The `[cache]` section: `top_k` with `values`, or `draws` with `draw_seed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheSection {
    /// Most likely tokens kept per label; the mass of all others is kept as one number.
    pub top_k: Option<usize>,
    /// How the log-probabilities of the most likely tokens are stored.
    pub values: Option<ValueType>,
    /// Tokens drawn per label from the teacher's distribution.
    pub draws: Option<u16>,
    /// Where the random numbers of the draws start.
    pub draw_seed: Option<u64>,
    /// Segments per shard file: the unit of resuming and of shuffling.
    pub segments_per_shard: usize,
    /// Shares one cache between runs, or between processes on many machines: a directory, or a URL
    /// such as `s3://BUCKET/PREFIX`. Inside the run directory when absent.
    pub path: Option<PathBuf>,
}

impl CacheSection {
    /// What is kept of the teacher's distributions.
    ///
    /// # Panics
    /// If the section is not valid.
    pub fn targets(&self) -> TargetKind {
        match (self.top_k, self.values, self.draws, self.draw_seed) {
            (Some(k), Some(values), None, None) => TargetKind::TopK { k, values },
            (None, None, Some(draws), Some(seed)) => TargetKind::Sampled { draws, seed },
            other => panic!("a recipe is checked before it is used, found {other:?}"),
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
        checker.at_least(1, "cache.segments_per_shard", self.segments_per_shard);
        if let Some(path) = &self.path {
            checker.path(CACHE_PATH, path);
            self.check_location(path, checker);
        }
    }

    fn check_location(&self, path: &Path, checker: &mut Checker) {
        let problem = match read_location(path) {
            _ if path.as_os_str().is_empty() => return,
            Err(CacheError::InvalidLocation { expected, found }) => {
                Problem::new(CACHE_PATH, expected, found)
            }
            Err(error) => Problem::new(CACHE_PATH, "where caches are", error),
            Ok(_) => return,
        };
        checker.require(false, problem);
    }

    /// Either the most likely tokens or drawn ones, with all that belongs to them.
    fn check_kind(&self, checker: &mut Checker) {
        let keys = [
            "cache.top_k",
            "cache.values",
            "cache.draws",
            "cache.draw_seed",
        ];
        let given = [
            self.top_k.is_some(),
            self.values.is_some(),
            self.draws.is_some(),
            self.draw_seed.is_some(),
        ];
        if given == [true, true, false, false] || given == [false, false, true, true] {
            return;
        }
        let found: Vec<&str> = keys
            .into_iter()
            .zip(given)
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
        let problem = Problem::new(
            "cache",
            "cache.top_k and cache.values, or cache.draws and cache.draw_seed",
            match found.is_empty() {
                true => "none of them".into(),
                false => found.join(", "),
            },
        )
        .advise(
            "keep the most likely tokens (top_k), or draw tokens at random (draws); an override such as \
             cache.top_k=unset leaves a key out",
        );
        checker.require_all(&keys, false, problem);
    }

    /// Reports losses that drawn tokens cannot estimate.
    pub(super) fn check_against(&self, terms: &[ObjectiveTerm], checker: &mut Checker) {
        if self.draws.is_none() {
            return;
        }
        for (index, term) in terms.iter().enumerate() {
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

fn read_location(path: &Path) -> Result<CacheLocation, CacheError> {
    match path.to_str() {
        Some(text) => CacheLocation::parse(text),
        // A URL has no other letters.
        None => Ok(path.into()),
    }
}
