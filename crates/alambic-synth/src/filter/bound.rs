//! Bounds of measured values, and what broke one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a measured value has to keep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The value is this or more.
    AtLeast(f64),
    /// The value is this or less.
    AtMost(f64),
}

impl Bound {
    /// Whether `value` keeps the bound; what is not a number does not.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= *bound,
            Self::AtMost(bound) => value <= *bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::AtMost(bound) => write!(f, "at most {bound}"),
        }
    }
}

/// A rule that a text broke: what was measured, and what it should have been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrokenRule {
    /// The rule, as configurations name it.
    pub rule: String,
    /// What was measured.
    pub value: f64,
    /// What it should have been.
    pub bound: Bound,
}

impl fmt::Display for BrokenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {:.4}",
            self.rule, self.bound, self.value
        )
    }
}

/// `rule` is broken if `value` does not keep `bound`.
pub(crate) fn broken(rule: &str, value: f64, bound: Bound) -> Option<BrokenRule> {
    (!bound.holds(value)).then(|| BrokenRule {
        rule: rule.to_owned(),
        value,
        bound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_themselves_and_never_for_what_is_no_number() {
        assert!(Bound::AtLeast(2.0).holds(2.0) && Bound::AtMost(2.0).holds(2.0));
        assert!(!Bound::AtLeast(0.0).holds(f64::NAN) && !Bound::AtMost(0.0).holds(f64::NAN));
    }

    #[test]
    fn a_broken_rule_says_what_was_expected_and_found() {
        let rule = broken("min_words", 3.0, Bound::AtLeast(50.0)).map(|rule| rule.to_string());
        assert_eq!(
            rule.as_deref(),
            Some("min_words: expected at least 50, found 3.0000")
        );
    }
}
