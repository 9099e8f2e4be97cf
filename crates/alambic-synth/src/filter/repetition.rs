//! Texts that repeat themselves.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::bound::{Bound, BrokenRule, broken};
use super::config_problems::ConfigProblems;
use super::end_loop::end_loop_characters;
use super::text_statistics::ratio;

/// A rule about repetition, with the most that is accepted.
///
/// Lines and paragraphs (parts between blank lines) are trimmed, and empty ones do not count. One that stood before is a
/// duplicate, the first is not. Words are what white space separates, and shares of characters are of words' characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepetitionRule {
    /// Share of lines that are duplicates.
    MaxDuplicateLineRatio,
    /// Share of paragraphs that are duplicates.
    MaxDuplicateParagraphRatio,
    /// Share of the lines' characters that are in duplicates.
    MaxDuplicateLineCharacterRatio,
    /// Share of the paragraphs' characters that are in duplicates.
    MaxDuplicateParagraphCharacterRatio,
    /// Share of characters in the most frequent pair of words, if it occurs twice or more.
    #[serde(rename = "max_top_2_gram_character_ratio")]
    MaxTop2Gram,
    /// The same of three words in a row.
    #[serde(rename = "max_top_3_gram_character_ratio")]
    MaxTop3Gram,
    /// The same of four words in a row.
    #[serde(rename = "max_top_4_gram_character_ratio")]
    MaxTop4Gram,
    /// Share of characters in any five words in a row that stood before; none is counted twice.
    #[serde(rename = "max_duplicate_5_gram_character_ratio")]
    MaxDuplicate5Gram,
    /// The same of six words in a row.
    #[serde(rename = "max_duplicate_6_gram_character_ratio")]
    MaxDuplicate6Gram,
    /// The same of seven words in a row.
    #[serde(rename = "max_duplicate_7_gram_character_ratio")]
    MaxDuplicate7Gram,
    /// The same of eight words in a row.
    #[serde(rename = "max_duplicate_8_gram_character_ratio")]
    MaxDuplicate8Gram,
    /// The same of nine words in a row.
    #[serde(rename = "max_duplicate_9_gram_character_ratio")]
    MaxDuplicate9Gram,
    /// The same of ten words in a row.
    #[serde(rename = "max_duplicate_10_gram_character_ratio")]
    MaxDuplicate10Gram,
    /// Characters at the end that only repeat what stands before them, three times or more in a row: a model that was stopped
    /// while it went round in circles.
    MaxEndLoopCharacters,
}

impl RepetitionRule {
    /// The rule's name in configurations and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxDuplicateLineRatio => "max_duplicate_line_ratio",
            Self::MaxDuplicateParagraphRatio => "max_duplicate_paragraph_ratio",
            Self::MaxDuplicateLineCharacterRatio => "max_duplicate_line_character_ratio",
            Self::MaxDuplicateParagraphCharacterRatio => "max_duplicate_paragraph_character_ratio",
            Self::MaxTop2Gram => "max_top_2_gram_character_ratio",
            Self::MaxTop3Gram => "max_top_3_gram_character_ratio",
            Self::MaxTop4Gram => "max_top_4_gram_character_ratio",
            Self::MaxDuplicate5Gram => "max_duplicate_5_gram_character_ratio",
            Self::MaxDuplicate6Gram => "max_duplicate_6_gram_character_ratio",
            Self::MaxDuplicate7Gram => "max_duplicate_7_gram_character_ratio",
            Self::MaxDuplicate8Gram => "max_duplicate_8_gram_character_ratio",
            Self::MaxDuplicate9Gram => "max_duplicate_9_gram_character_ratio",
            Self::MaxDuplicate10Gram => "max_duplicate_10_gram_character_ratio",
            Self::MaxEndLoopCharacters => "max_end_loop_characters",
        }
    }

    /// What the rule measures of `text`.
    #[must_use]
    pub fn value(self, text: &str) -> f64 {
        let words = || text.split_whitespace().collect::<Vec<_>>();
        match self {
            Self::MaxDuplicateLineRatio => duplicates(&lines(text)).0,
            Self::MaxDuplicateParagraphRatio => duplicates(&paragraphs(text)).0,
            Self::MaxDuplicateLineCharacterRatio => duplicates(&lines(text)).1,
            Self::MaxDuplicateParagraphCharacterRatio => duplicates(&paragraphs(text)).1,
            Self::MaxTop2Gram => top_ngram_ratio(&words(), 2),
            Self::MaxTop3Gram => top_ngram_ratio(&words(), 3),
            Self::MaxTop4Gram => top_ngram_ratio(&words(), 4),
            Self::MaxDuplicate5Gram => duplicate_ngram_ratio(&words(), 5),
            Self::MaxDuplicate6Gram => duplicate_ngram_ratio(&words(), 6),
            Self::MaxDuplicate7Gram => duplicate_ngram_ratio(&words(), 7),
            Self::MaxDuplicate8Gram => duplicate_ngram_ratio(&words(), 8),
            Self::MaxDuplicate9Gram => duplicate_ngram_ratio(&words(), 9),
            Self::MaxDuplicate10Gram => duplicate_ngram_ratio(&words(), 10),
            Self::MaxEndLoopCharacters => end_loop_characters(text) as f64,
        }
    }
}

/// The rules that apply, with the most that each accepts; a table of TOML. What is not in it is not asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepetitionConfig {
    /// Bounds by rule.
    pub bounds: BTreeMap<RepetitionRule, f64>,
}

impl RepetitionConfig {
    /// The rules of Gopher's MassiveText (Rae et al. 2021, arXiv:2112.11446, table A1).
    #[must_use]
    pub fn gopher() -> Self {
        Self::from_iter([
            (RepetitionRule::MaxDuplicateLineRatio, 0.30),
            (RepetitionRule::MaxDuplicateParagraphRatio, 0.30),
            (RepetitionRule::MaxDuplicateLineCharacterRatio, 0.20),
            (RepetitionRule::MaxDuplicateParagraphCharacterRatio, 0.20),
            (RepetitionRule::MaxTop2Gram, 0.20),
            (RepetitionRule::MaxTop3Gram, 0.18),
            (RepetitionRule::MaxTop4Gram, 0.16),
            (RepetitionRule::MaxDuplicate5Gram, 0.15),
            (RepetitionRule::MaxDuplicate6Gram, 0.14),
            (RepetitionRule::MaxDuplicate7Gram, 0.13),
            (RepetitionRule::MaxDuplicate8Gram, 0.12),
            (RepetitionRule::MaxDuplicate9Gram, 0.11),
            (RepetitionRule::MaxDuplicate10Gram, 0.10),
        ])
    }

    /// The first rule that `text` breaks, in the order of [`RepetitionRule`].
    ///
    /// ```
    /// let text = "I do not know. ".repeat(20);
    /// let broken = alambic_synth::RepetitionConfig::gopher().broken_rule(&text).unwrap();
    /// assert_eq!(broken.rule, "max_top_2_gram_character_ratio");
    /// ```
    #[must_use]
    pub fn broken_rule(&self, text: &str) -> Option<BrokenRule> {
        self.bounds
            .iter()
            .find_map(|(rule, &bound)| broken(rule.name(), rule.value(text), Bound::AtMost(bound)))
    }

    pub(crate) fn check(&self, problems: &mut ConfigProblems) {
        for (rule, &bound) in &self.bounds {
            match rule {
                RepetitionRule::MaxEndLoopCharacters => {
                    problems.expect(bound >= 0.0, rule.name(), "a number from 0", bound);
                }
                _ => problems.ratio(rule.name(), bound),
            }
        }
    }
}

impl FromIterator<(RepetitionRule, f64)> for RepetitionConfig {
    fn from_iter<I: IntoIterator<Item = (RepetitionRule, f64)>>(bounds: I) -> Self {
        Self {
            bounds: bounds.into_iter().collect(),
        }
    }
}

fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).collect()
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![Vec::new()];
    for line in text.lines().map(str::trim) {
        if !line.is_empty() {
            paragraphs
                .last_mut()
                .into_iter()
                .for_each(|paragraph| paragraph.push(line));
        } else if paragraphs
            .last()
            .is_some_and(|paragraph| !paragraph.is_empty())
        {
            paragraphs.push(Vec::new());
        }
    }
    let filled = paragraphs.iter().filter(|paragraph| !paragraph.is_empty());
    filled.map(|paragraph| paragraph.join("\n")).collect()
}

/// Shares of parts that stood before, and of the characters in them.
fn duplicates<T: AsRef<str> + Hash + Eq>(parts: &[T]) -> (f64, f64) {
    let mut seen = HashSet::new();
    let (mut count, mut characters, mut all) = (0, 0, 0);
    for part in parts {
        let length = part.as_ref().chars().count();
        all += length;
        if !seen.insert(part.as_ref()) {
            count += 1;
            characters += length;
        }
    }
    (ratio(count, parts.len()), ratio(characters, all))
}

fn characters(words: &[&str]) -> usize {
    words.iter().map(|word| word.chars().count()).sum()
}

/// Share of the characters in the n-gram of most characters times occurrences, if it occurs twice.
fn top_ngram_ratio(words: &[&str], size: usize) -> f64 {
    let mut counts: HashMap<&[&str], usize> = HashMap::new();
    for ngram in words.windows(size) {
        *counts.entry(ngram).or_insert(0) += 1;
    }
    let repeated = counts.iter().filter(|(_, count)| **count > 1);
    // Occurrences may overlap (`a a a`), and then cover fewer characters than counted here, but never more than all.
    let most = repeated
        .map(|(ngram, count)| count * characters(ngram))
        .max();
    ratio(most.unwrap_or(0), characters(words)).min(1.0)
}

/// Share of the characters in n-grams that stood before.
fn duplicate_ngram_ratio(words: &[&str], size: usize) -> f64 {
    let mut seen = HashSet::new();
    let (mut covered_to, mut covered) = (0, 0);
    for (start, ngram) in words.windows(size).enumerate() {
        if !seen.insert(ngram) {
            let end = start + size;
            covered += characters(&words[start.max(covered_to)..end]);
            covered_to = end;
        }
    }
    ratio(covered, characters(words))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_lines_and_paragraphs_are_those_that_stood_before() {
        let text = "aaaa\nbb\naaaa\n\ncc\n\n\naaaa\nbb\naaaa\n";
        assert_eq!(RepetitionRule::MaxDuplicateLineRatio.value(text), 4.0 / 7.0);
        assert_eq!(
            RepetitionRule::MaxDuplicateLineCharacterRatio.value(text),
            14.0 / 22.0
        );
        assert_eq!(
            RepetitionRule::MaxDuplicateParagraphRatio.value(text),
            1.0 / 3.0
        );
        assert_eq!(
            RepetitionRule::MaxDuplicateParagraphCharacterRatio.value(text),
            12.0 / 26.0
        );
    }

    #[test]
    fn ngrams_are_counted_in_characters_of_words() {
        let text = "one two x one two y one two";
        assert_eq!(RepetitionRule::MaxTop2Gram.value(text), 18.0 / 20.0);
        assert_eq!(RepetitionRule::MaxTop3Gram.value(text), 0.0);
        // The five last words stood before, and overlap with nothing.
        let five = "a b c d e x a b c d e";
        assert_eq!(RepetitionRule::MaxDuplicate5Gram.value(five), 5.0 / 11.0);
        // Two duplicates that overlap in four words.
        assert_eq!(
            RepetitionRule::MaxDuplicate5Gram.value("a b c d e f x a b c d e f"),
            6.0 / 13.0
        );
        assert_eq!(RepetitionRule::MaxDuplicate6Gram.value(five), 0.0);
    }

    #[test]
    fn texts_without_words_repeat_nothing() {
        for rule in RepetitionConfig::gopher().bounds.keys() {
            assert_eq!(rule.value("\n \n"), 0.0, "{}", rule.name());
        }
    }

    #[test]
    fn names_are_those_of_configurations() {
        let loops = RepetitionRule::MaxEndLoopCharacters;
        for rule in RepetitionConfig::gopher().bounds.keys().chain([&loops]) {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
    }
}
