//! A regular expression that finds an answer.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::Occurrence;
use crate::error::TextError;

/// The largest compiled pattern, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A regular expression whose first group that takes part in a match is the answer; the whole match without a group.
///
/// The syntax is that of the crate `regex`: Python's, without looking around and references back, in time linear in the
/// text. In a file it is its source.
///
/// ```
/// use alambic_text::{AnswerPattern, Occurrence};
/// let pattern = AnswerPattern::new(r"#### (-?[0-9.,]+)")?;
/// assert_eq!(pattern.find("so\n#### 1,5 or #### 16", Occurrence::First), Some("1,5"));
/// assert_eq!(pattern.find("no", Occurrence::First), None);
/// # Ok::<(), alambic_text::TextError>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AnswerPattern(Regex);

impl AnswerPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`TextError::Answer`] for a pattern that is malformed or very large.
    pub fn new(pattern: &str) -> Result<Self, TextError> {
        let built = RegexBuilder::new(pattern).size_limit(MOST_BYTES).build();
        built.map(Self).map_err(|error| TextError::Answer {
            what: "the pattern of an answer",
            problem: error.to_string(),
        })
    }

    /// The answer in a text, if the pattern occurs.
    #[must_use]
    pub fn find<'a>(&self, text: &'a str, occurrence: Occurrence) -> Option<&'a str> {
        let captures = occurrence.of(self.0.captures_iter(text))?;
        let group = captures.iter().skip(1).flatten().next();
        group.or(captures.get(0)).map(|found| found.as_str())
    }
}

impl TryFrom<String> for AnswerPattern {
    type Error = TextError;

    fn try_from(pattern: String) -> Result<Self, TextError> {
        Self::new(&pattern)
    }
}

impl From<AnswerPattern> for String {
    fn from(pattern: AnswerPattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl PartialEq for AnswerPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for AnswerPattern {}

impl fmt::Debug for AnswerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnswerPattern")
            .field(&self.0.as_str())
            .finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_alternatives_the_group_that_took_part_is_the_answer() {
        let pattern = AnswerPattern::new(r"(-?[$0-9.,]{2,})|(-?[0-9]+)").unwrap();
        let text = "They had 7, then $1,200.";
        assert_eq!(pattern.find(text, Occurrence::Last), Some("$1,200."));
        assert_eq!(pattern.find(text, Occurrence::First), Some("7,"));
        assert_eq!(pattern.find("only 7", Occurrence::Last), Some("7"));
        let whole = AnswerPattern::new("[a-c]+").unwrap();
        assert_eq!(whole.find("xx abc", Occurrence::First), Some("abc"));
    }

    #[test]
    fn patterns_that_are_malformed_or_very_large_are_refused() {
        for pattern in ["(", r"(?=a)", "((a{500}){500}){500}"] {
            let error = AnswerPattern::new(pattern).unwrap_err().to_string();
            assert!(error.starts_with("the pattern of an answer: "), "{error}");
        }
    }
}
