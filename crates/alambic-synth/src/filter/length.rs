//! Texts that are too short or too long.

use serde::{Deserialize, Serialize};

use super::bound::{Bound, BrokenRule, broken};
use super::config_problems::ConfigProblems;

/// Bounds of a text's length; a bound that is not given is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthConfig {
    /// Least words, which white space separates.
    pub min_words: Option<usize>,
    /// Most words.
    pub max_words: Option<usize>,
    /// Least characters (Unicode scalar values), white space included.
    pub min_characters: Option<usize>,
    /// Most characters.
    pub max_characters: Option<usize>,
}

impl LengthConfig {
    /// The first bound that `text` does not keep.
    ///
    /// ```
    /// let length = alambic_synth::LengthConfig { min_words: Some(3), ..Default::default() };
    /// assert!(length.broken_rule("one two three").is_none());
    /// assert_eq!(length.broken_rule("one two").unwrap().value, 2.0);
    /// ```
    #[must_use]
    pub fn broken_rule(&self, text: &str) -> Option<BrokenRule> {
        let words = || text.split_whitespace().count();
        let characters = || text.chars().count();
        let least = |name, bound: Option<usize>, measure: &dyn Fn() -> usize| {
            bound.and_then(|bound| broken(name, measure() as f64, Bound::AtLeast(bound as f64)))
        };
        let most = |name, bound: Option<usize>, measure: &dyn Fn() -> usize| {
            bound.and_then(|bound| broken(name, measure() as f64, Bound::AtMost(bound as f64)))
        };
        least("min_words", self.min_words, &words)
            .or_else(|| most("max_words", self.max_words, &words))
            .or_else(|| least("min_characters", self.min_characters, &characters))
            .or_else(|| most("max_characters", self.max_characters, &characters))
    }

    pub(crate) fn check(&self, problems: &mut ConfigProblems) {
        for (key, least, most) in [
            ("max_words", self.min_words, self.max_words),
            ("max_characters", self.min_characters, self.max_characters),
        ] {
            if let Some(most) = most {
                problems.at_least(key, most, least.unwrap_or(0));
            }
        }
        problems.expect(
            *self != Self::default(),
            "min_words",
            "one bound or more in this section",
            "none",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_named_when_it_is_broken() {
        let all = LengthConfig {
            min_words: Some(2),
            max_words: Some(3),
            min_characters: Some(5),
            max_characters: Some(9),
        };
        let rule = |text| all.broken_rule(text).map(|broken| broken.rule);
        assert_eq!(rule("ab cde"), None);
        assert_eq!(rule("abcde").as_deref(), Some("min_words"));
        assert_eq!(rule("a b c d").as_deref(), Some("max_words"));
        assert_eq!(rule("é b").as_deref(), Some("min_characters"));
        assert_eq!(rule("abcde fghi").as_deref(), Some("max_characters"));
    }
}
