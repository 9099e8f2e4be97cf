//! Texts in other languages.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::config_problems::ConfigProblems;

/// What becomes of a text whose language is not sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnsureLanguage {
    /// It is kept.
    Keep,
    /// It is removed.
    Remove,
}

/// Which languages are kept.
///
/// Languages are told by the frequency of trigrams and by script (the crate `whatlang`, 70 languages): well on paragraphs, badly
/// on a line, and not at all on formulas, which is what `unsure` is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageConfig {
    /// Languages that are kept, by their ISO 639-3 codes, such as `eng`.
    pub keep: BTreeSet<String>,
    /// Confidence, from 0 to 1, beneath which a verdict is unsure.
    pub min_confidence: f64,
    /// What becomes of texts without a sure verdict.
    pub unsure: UnsureLanguage,
}

/// The language of a text, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageVerdict {
    /// ISO 639-3 code of the most likely language; `None` for a text without letters.
    pub language: Option<String>,
    /// From 0 to 1.
    pub confidence: f64,
}

impl LanguageVerdict {
    /// The most likely language of `text`.
    ///
    /// ```
    /// let verdict = alambic_synth::LanguageVerdict::of("The miller went down to the river to look for his boat.");
    /// assert_eq!(verdict.language.as_deref(), Some("eng"));
    /// ```
    #[must_use]
    pub fn of(text: &str) -> Self {
        match whatlang::detect(text) {
            Some(found) => Self {
                language: Some(found.lang().code().to_owned()),
                confidence: found.confidence(),
            },
            None => Self {
                language: None,
                confidence: 0.0,
            },
        }
    }
}

impl LanguageConfig {
    /// The verdict on `text`, if it is to be removed for its language.
    #[must_use]
    pub fn foreign(&self, text: &str) -> Option<LanguageVerdict> {
        let verdict = LanguageVerdict::of(text);
        let sure = verdict.confidence >= self.min_confidence;
        let keeps = match (&verdict.language, sure) {
            (Some(language), true) => self.keep.contains(language),
            _ => self.unsure == UnsureLanguage::Keep,
        };
        (!keeps).then_some(verdict)
    }

    pub(crate) fn check(&self, problems: &mut ConfigProblems) {
        problems.expect(
            !self.keep.is_empty(),
            "keep",
            "one language or more",
            "none",
        );
        for code in &self.keep {
            let known = whatlang::Lang::from_code(code).is_some();
            problems.expect(
                known,
                "keep",
                "ISO 639-3 codes of known languages, such as `eng`",
                code,
            );
        }
        problems.ratio("min_confidence", self.min_confidence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: &str = "Der alte Müller ging zum Fluss hinunter, um nach seinem verlorenen Boot zu suchen, und fand es nicht.";
    const ENGLISH: &str = "The old miller went down to the river to look for his lost boat, and he did not find it there.";

    fn english(unsure: UnsureLanguage) -> LanguageConfig {
        LanguageConfig {
            keep: BTreeSet::from(["eng".to_owned()]),
            min_confidence: 0.5,
            unsure,
        }
    }

    #[test]
    fn other_languages_are_named() {
        let config = english(UnsureLanguage::Keep);
        assert_eq!(config.foreign(ENGLISH), None);
        let verdict = config.foreign(GERMAN);
        assert_eq!(
            verdict.and_then(|verdict| verdict.language).as_deref(),
            Some("deu")
        );
    }

    #[test]
    fn what_is_not_sure_is_decided_by_the_option() {
        for text in ["", "7 + 5 = 12", "Hm."] {
            assert_eq!(english(UnsureLanguage::Keep).foreign(text), None, "{text}");
            assert!(
                english(UnsureLanguage::Remove).foreign(text).is_some(),
                "{text}"
            );
        }
    }
}
