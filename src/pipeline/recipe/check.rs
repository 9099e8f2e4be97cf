//! Collects what validation finds, and stays silent about keys already known to be broken.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;

use super::problem::Problem;

/// Collects problems; a check that involves a broken key is skipped.
///
/// Keys are broken when reading them already failed: their value in the recipe is a placeholder,
/// and a complaint about it would send the reader after a value that nobody wrote.
pub(super) struct Checker<'a> {
    broken: &'a BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    /// A checker that trusts every key but the broken ones.
    pub(super) fn new(broken: &'a BTreeSet<String>) -> Self {
        Self {
            broken,
            problems: Vec::new(),
        }
    }

    /// Everything that was found, in the order of the checks.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Reports `problem` unless `holds`.
    pub(super) fn require(&mut self, holds: bool, problem: Problem) {
        self.require_all(&[], holds, problem);
    }

    /// Reports `problem` unless `holds`; the check also reads the keys `also`.
    pub(super) fn require_all(&mut self, also: &[&str], holds: bool, problem: Problem) {
        let readable = !self.is_broken(&problem.key) && also.iter().all(|key| !self.is_broken(key));
        if !holds && readable {
            self.problems.push(problem);
        }
    }

    /// Reports `problem`.
    pub(super) fn report(&mut self, problem: Problem) {
        self.require(false, problem);
    }

    /// Requires a count of at least `least`.
    pub(super) fn at_least(&mut self, least: usize, key: &str, count: usize) {
        self.require(
            count >= least,
            Problem::new(key, format!("at least {least}"), count),
        );
    }

    /// Requires a finite number above 0.
    pub(super) fn positive(&mut self, key: &str, number: f64) {
        let holds = number.is_finite() && number > 0.0;
        self.require(
            holds,
            Problem::new(key, "a finite number above 0", format!("{number:?}")),
        );
    }

    /// Requires a finite number of at least 0.
    pub(super) fn not_negative(&mut self, key: &str, number: f64) {
        let holds = number.is_finite() && number >= 0.0;
        self.require(
            holds,
            Problem::new(key, "a finite number of at least 0", format!("{number:?}")),
        );
    }

    /// Requires a number in `[0, 1)`.
    pub(super) fn fraction(&mut self, key: &str, number: f64) {
        let holds = self.is_fraction(number);
        self.require(
            holds,
            Problem::new(
                key,
                "a number of at least 0 and below 1",
                format!("{number:?}"),
            ),
        );
    }

    /// Says whether a number lies in `[0, 1)`.
    pub(super) fn is_fraction(&self, number: f64) -> bool {
        (0.0..1.0).contains(&number)
    }

    /// Requires a path that is not empty.
    pub(super) fn path(&mut self, key: &str, path: &Path) {
        self.require(
            !path.as_os_str().is_empty(),
            Problem::new(key, "a path", "an empty string"),
        );
    }

    /// Requires that the first count divides the second; counts of 0 are another check's concern.
    pub(super) fn divides(
        &mut self,
        divisor: (&str, usize),
        number: (&str, usize),
        reason: impl Display,
    ) {
        let holds = divisor.1 == 0 || number.1 == 0 || number.1.is_multiple_of(divisor.1);
        self.require_all(
            &[number.0],
            holds,
            Problem::new(
                divisor.0,
                format!("a divisor of {} ({})", number.0, number.1),
                divisor.1,
            )
            .advise(reason.to_string()),
        );
    }

    /// Says whether the key, a table around it or a value inside it is broken.
    fn is_broken(&self, key: &str) -> bool {
        self.broken
            .iter()
            .any(|broken| lies_within(key, broken) || lies_within(broken, key))
    }
}

/// Says whether `key` is `outer` or stands below it.
fn lies_within(key: &str, outer: &str) -> bool {
    match key.strip_prefix(outer) {
        Some(rest) => rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_check_on_a_broken_key_is_skipped() {
        let broken = BTreeSet::from([
            "student".to_string(),
            "objective.terms.0.weight".to_string(),
        ]);
        let mut checker = Checker::new(&broken);
        checker.at_least(1, "student.head_dim", 0);
        checker.report(Problem::new("objective.terms", "a term", "nothing"));
        checker.divides(
            ("training.micro_batch_sequences", 3),
            ("student.hidden_size", 4),
            "reason",
        );
        checker.at_least(1, "students", 0);
        let problems = checker.into_problems();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].key, "students");
    }
}
