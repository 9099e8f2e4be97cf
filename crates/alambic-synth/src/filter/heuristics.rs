//! Rules of quality that need no model, each with its bound.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bound::{Bound, BrokenRule, broken};
use super::config_problems::ConfigProblems;
use super::text_statistics::TextStatistics;

/// A rule about a [`TextStatistics`]; its name says of what, and whether its bound is the least or the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the fields of `TextStatistics` say what is measured
pub enum HeuristicRule {
    MinWords,
    MaxWords,
    MinMeanWordCharacters,
    MaxMeanWordCharacters,
    MaxHashWordRatio,
    MaxEllipsisWordRatio,
    MaxBulletLineRatio,
    MaxEllipsisLineRatio,
    MinAlphabeticWordRatio,
    MinStopWords,
    MinSentences,
    MinTerminalLineRatio,
    MaxCurlyBrackets,
    MaxLoremIpsum,
    MaxJavascriptLines,
}

impl HeuristicRule {
    /// The rule's name in configurations and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MinWords => "min_words",
            Self::MaxWords => "max_words",
            Self::MinMeanWordCharacters => "min_mean_word_characters",
            Self::MaxMeanWordCharacters => "max_mean_word_characters",
            Self::MaxHashWordRatio => "max_hash_word_ratio",
            Self::MaxEllipsisWordRatio => "max_ellipsis_word_ratio",
            Self::MaxBulletLineRatio => "max_bullet_line_ratio",
            Self::MaxEllipsisLineRatio => "max_ellipsis_line_ratio",
            Self::MinAlphabeticWordRatio => "min_alphabetic_word_ratio",
            Self::MinStopWords => "min_stop_words",
            Self::MinSentences => "min_sentences",
            Self::MinTerminalLineRatio => "min_terminal_line_ratio",
            Self::MaxCurlyBrackets => "max_curly_brackets",
            Self::MaxLoremIpsum => "max_lorem_ipsum",
            Self::MaxJavascriptLines => "max_javascript_lines",
        }
    }

    /// What the rule measures.
    #[must_use]
    pub fn value(self, of: &TextStatistics) -> f64 {
        match self {
            Self::MinWords | Self::MaxWords => of.words as f64,
            Self::MinMeanWordCharacters | Self::MaxMeanWordCharacters => of.mean_word_characters,
            Self::MaxHashWordRatio => of.hash_word_ratio,
            Self::MaxEllipsisWordRatio => of.ellipsis_word_ratio,
            Self::MaxBulletLineRatio => of.bullet_line_ratio,
            Self::MaxEllipsisLineRatio => of.ellipsis_line_ratio,
            Self::MinAlphabeticWordRatio => of.alphabetic_word_ratio,
            Self::MinStopWords => of.stop_words as f64,
            Self::MinSentences => of.sentences as f64,
            Self::MinTerminalLineRatio => of.terminal_line_ratio,
            Self::MaxCurlyBrackets => of.curly_brackets as f64,
            Self::MaxLoremIpsum => of.lorem_ipsum as f64,
            Self::MaxJavascriptLines => of.javascript_lines as f64,
        }
    }

    /// The bound as what it is: the least or the most.
    #[must_use]
    pub fn bound(self, bound: f64) -> Bound {
        if self.name().starts_with("min_") {
            Bound::AtLeast(bound)
        } else {
            Bound::AtMost(bound)
        }
    }
}

/// The rules that apply, with their bounds; a table of TOML. What is not in it is not asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeuristicsConfig {
    /// Bounds by rule.
    pub bounds: BTreeMap<HeuristicRule, f64>,
}

impl HeuristicsConfig {
    /// The rules of Gopher's MassiveWeb (Rae et al. 2021, arXiv:2112.11446, appendix A.1.1). They are made for web pages: short
    /// generated texts have fewer than 50 words.
    #[must_use]
    pub fn gopher() -> Self {
        Self::from_iter([
            (HeuristicRule::MinWords, 50.0),
            (HeuristicRule::MaxWords, 100_000.0),
            (HeuristicRule::MinMeanWordCharacters, 3.0),
            (HeuristicRule::MaxMeanWordCharacters, 10.0),
            (HeuristicRule::MaxHashWordRatio, 0.1),
            (HeuristicRule::MaxEllipsisWordRatio, 0.1),
            (HeuristicRule::MaxBulletLineRatio, 0.9),
            (HeuristicRule::MaxEllipsisLineRatio, 0.3),
            (HeuristicRule::MinAlphabeticWordRatio, 0.8),
            (HeuristicRule::MinStopWords, 2.0),
        ])
    }

    /// The rules of C4 about whole pages (Raffel et al. 2020, arXiv:1910.10683, section 2.2). C4 also removes single lines,
    /// which no filter here does: a document is kept as it is, or removed.
    #[must_use]
    pub fn c4() -> Self {
        Self::from_iter([
            (HeuristicRule::MinSentences, 3.0),
            (HeuristicRule::MaxCurlyBrackets, 0.0),
            (HeuristicRule::MaxLoremIpsum, 0.0),
        ])
    }

    /// The first rule that `text` breaks, in the order of [`HeuristicRule`].
    ///
    /// ```
    /// let broken = alambic_synth::HeuristicsConfig::gopher().broken_rule("Too short.").unwrap();
    /// assert_eq!(broken.to_string(), "min_words: expected at least 50, found 2.0000");
    /// ```
    #[must_use]
    pub fn broken_rule(&self, text: &str) -> Option<BrokenRule> {
        let statistics = TextStatistics::new(text);
        self.bounds.iter().find_map(|(rule, bound)| {
            broken(rule.name(), rule.value(&statistics), rule.bound(*bound))
        })
    }

    pub(crate) fn check(&self, problems: &mut ConfigProblems) {
        for (rule, &bound) in &self.bounds {
            problems.expect(
                bound >= 0.0 && bound.is_finite(),
                rule.name(),
                "a number from 0",
                bound,
            );
        }
    }
}

impl FromIterator<(HeuristicRule, f64)> for HeuristicsConfig {
    fn from_iter<I: IntoIterator<Item = (HeuristicRule, f64)>>(bounds: I) -> Self {
        Self {
            bounds: bounds.into_iter().collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PROSE: &str =
        "The old miller had to walk with his donkey to the market, and that was a long way to go.";

    #[test]
    fn every_rule_of_gopher_removes_what_it_is_for() {
        let prose = format!("{PROSE}\n{PROSE}\n{PROSE}");
        let gopher = HeuristicsConfig::gopher();
        assert_eq!(gopher.broken_rule(&prose), None);
        let many = |word: &str| format!("{prose} {}", [word; 30].join(" "));
        for (text, rule) in [
            (PROSE.to_owned(), "min_words"),
            (many("to a a a a a a a"), "min_mean_word_characters"),
            (many(&"long".repeat(9)), "max_mean_word_characters"),
            (many("#tagged words"), "max_hash_word_ratio"),
            (many("and so..."), "max_ellipsis_word_ratio"),
            (
                [PROSE; 4].join("\n- ").replacen("The", "- The", 1),
                "max_bullet_line_ratio",
            ),
            ([PROSE; 8].join("..\n"), "max_ellipsis_line_ratio"),
            (many("1234"), "min_alphabetic_word_ratio"),
            (["good words only"; 20].join(" "), "min_stop_words"),
        ] {
            assert_eq!(gopher.broken_rule(&text).unwrap().rule, rule, "{text}");
        }
    }

    #[test]
    fn rules_are_read_by_name_and_unknown_ones_are_refused() {
        let config: HeuristicsConfig =
            toml::from_str("min_words = 3\nmax_curly_brackets = 0.0").unwrap();
        assert_eq!(config.bounds[&HeuristicRule::MinWords], 3.0);
        assert_eq!(
            config.broken_rule("let a = {1};").unwrap().rule,
            "max_curly_brackets"
        );
        let error = toml::from_str::<HeuristicsConfig>("min_wrods = 3").unwrap_err();
        assert!(error.to_string().contains("min_words"), "{error}");
    }

    #[test]
    fn names_are_those_of_configurations() {
        for rule in HeuristicsConfig::gopher()
            .bounds
            .keys()
            .chain(HeuristicsConfig::c4().bounds.keys())
        {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
    }
}
