//! All that is wrong with a configuration, with key paths.

use std::fmt::Display;

use crate::{Problems, SynthError};

/// Collects what is wrong, so that all of it is told at once.
#[derive(Debug, Default)]
pub(crate) struct ConfigProblems {
    section: Option<&'static str>,
    found: Vec<String>,
}

impl ConfigProblems {
    /// What `check` finds wrong with the keys of `section`.
    pub(crate) fn in_section(&mut self, section: &'static str, check: impl FnOnce(&mut Self)) {
        let outer = self.section.replace(section);
        check(self);
        self.section = outer;
    }

    /// `key` should have been `expected`, unless it `holds`.
    pub(crate) fn expect(&mut self, holds: bool, key: &str, expected: &str, found: impl Display) {
        if !holds {
            let path = match self.section {
                Some(section) => format!("{section}.{key}"),
                None => key.to_owned(),
            };
            self.found
                .push(format!("{path}: expected {expected}, found {found}"));
        }
    }

    /// `key` should be at least `least`.
    pub(crate) fn at_least(&mut self, key: &str, value: usize, least: usize) {
        self.expect(value >= least, key, &format!("at least {least}"), value);
    }

    /// `key` should be a number from 0 to 1.
    pub(crate) fn ratio(&mut self, key: &str, value: f64) {
        let holds = (0.0..=1.0).contains(&value);
        self.expect(holds, key, "a number from 0 to 1", value);
    }

    /// An error that lists everything, if there is anything.
    pub(crate) fn into_result(self) -> Result<(), SynthError> {
        if self.found.is_empty() {
            return Ok(());
        }
        Err(SynthError::Settings(Problems(self.found)))
    }
}

/// Whether one part of a configuration is sound.
pub(crate) fn checked(check: impl FnOnce(&mut ConfigProblems)) -> Result<(), SynthError> {
    let mut problems = ConfigProblems::default();
    check(&mut problems);
    problems.into_result()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_listed_with_their_key_paths() {
        let error = checked(|problems| {
            problems.in_section("length", |problems| problems.at_least("min_words", 0, 1));
            problems.ratio("share", 2.0);
        });
        let message = error.map_err(|error| error.to_string()).err();
        assert_eq!(
            message.as_deref(),
            Some(
                "length.min_words: expected at least 1, found 0; share: expected a number from 0 to 1, found 2"
            )
        );
    }
}
