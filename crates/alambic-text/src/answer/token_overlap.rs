//! Words that two answers share, as SQuAD and DROP count them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::normalisation::{TextNormalisation, normalised};

/// How answers are divided into words, and what is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapNormalisation {
    /// SQuAD's (Rajpurkar et al. 2016, arXiv:1606.05250): without case, punctuation and articles; words count as often as they
    /// occur.
    Squad,
    /// DROP's (Dua et al. 2019, arXiv:1903.00161): words end at hyphens too, numbers are compared by value, an answer of other
    /// numbers shares nothing, words count once, and F1 is rounded to two digits.
    Drop,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapMeasure {
    /// The harmonic mean of the shares of common words in both answers.
    F1,
    /// 1 where all words are the same, else 0.
    ExactMatch,
}

impl OverlapNormalisation {
    /// Compares an answer with an accepted one of some spans.
    pub(super) fn score(self, measure: OverlapMeasure, given: &str, spans: &[String]) -> f64 {
        match self {
            Self::Squad => squad(measure, given, &spans.join(", ")),
            Self::Drop => drop(measure, given, spans),
        }
    }
}

fn squad(measure: OverlapMeasure, given: &str, accepted: &str) -> f64 {
    let ignored = [
        TextNormalisation::Case,
        TextNormalisation::Punctuation,
        TextNormalisation::Articles,
    ];
    let (given, accepted) = (normalised(given, &ignored), normalised(accepted, &ignored));
    if measure == OverlapMeasure::ExactMatch {
        return f64::from(u8::from(given == accepted));
    }
    let given: Vec<&str> = given.split(' ').filter(|word| !word.is_empty()).collect();
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    let mut accepted_words = 0;
    for word in accepted.split(' ').filter(|word| !word.is_empty()) {
        *left.entry(word).or_default() += 1;
        accepted_words += 1;
    }
    if given.is_empty() || accepted_words == 0 {
        return f64::from(u8::from(given.len() == accepted_words));
    }
    let mut shared = 0;
    for word in &given {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    f1(shared, given.len(), accepted_words)
}

fn f1(shared: usize, given: usize, accepted: usize) -> f64 {
    if shared == 0 {
        return 0.0;
    }
    let (precision, recall) = (
        shared as f64 / given as f64,
        shared as f64 / accepted as f64,
    );
    2.0 * precision * recall / (precision + recall)
}

/// One answer beside some accepted spans: it stands for one of them at most.
fn drop(measure: OverlapMeasure, given: &str, spans: &[String]) -> f64 {
    let given = drop_words(given);
    let spans: Vec<Vec<String>> = spans.iter().map(|span| drop_words(span)).collect();
    if measure == OverlapMeasure::ExactMatch {
        return f64::from(u8::from(spans.len() == 1 && spans[0] == given));
    }
    let given: BTreeSet<&str> = given.iter().map(String::as_str).collect();
    let best = spans.iter().map(|span| {
        let span: BTreeSet<&str> = span.iter().map(String::as_str).collect();
        match numbers_agree(&span, &given) {
            false => 0.0,
            true => drop_f1(&given, &span),
        }
    });
    let mean = best.fold(0.0, f64::max) / spans.len().max(1) as f64;
    (mean * 100.0).round_ties_even() / 100.0
}

fn drop_f1(given: &BTreeSet<&str>, span: &BTreeSet<&str>) -> f64 {
    let shared = given.intersection(span).count() as f64;
    // The published evaluation divides nothing by nothing as 1.
    let share = |words: usize| match words {
        0 => 1.0,
        words => shared / words as f64,
    };
    let (precision, recall) = (share(given.len()), share(span.len()));
    match precision + recall {
        0.0 => 0.0,
        sum => 2.0 * precision * recall / sum,
    }
}

/// An answer with numbers of its own shares nothing with one that has none of them.
fn numbers_agree(accepted: &BTreeSet<&str>, given: &BTreeSet<&str>) -> bool {
    let mut numbers = accepted.iter().filter(|word| is_number(word)).peekable();
    numbers.peek().is_none() || numbers.any(|number| given.contains(number))
}

fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

fn drop_words(text: &str) -> Vec<String> {
    let words = text.split([' ', '-']).map(|word| {
        let word = word.to_lowercase();
        let word = match is_number(&word) {
            true => word,
            false => TextNormalisation::Punctuation.apply(&word),
        };
        let word = match word.parse::<f64>() {
            Ok(number) => format!("{number:?}"),
            Err(_) => word,
        };
        TextNormalisation::Articles.apply(&word)
    });
    let words = words.filter(|word| !word.is_empty());
    // What other white space divides is one word until here.
    words
        .flat_map(|word| word.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::OverlapMeasure::{ExactMatch, F1};
    use super::OverlapNormalisation::{Drop, Squad};
    use super::*;

    fn score(
        kind: OverlapNormalisation,
        measure: OverlapMeasure,
        given: &str,
        spans: &[&str],
    ) -> f64 {
        let spans: Vec<String> = spans.iter().map(|span| (*span).to_owned()).collect();
        kind.score(measure, given, &spans)
    }

    #[test]
    fn squad_counts_words_without_articles_and_punctuation() {
        assert_eq!(score(Squad, ExactMatch, "The cat.", &["cat"]), 1.0);
        assert_eq!(score(Squad, F1, "a black cat", &["the cat"]), 2.0 / 3.0);
        assert_eq!(score(Squad, F1, "dog", &["cat"]), 0.0);
        assert_eq!(score(Squad, F1, "", &["the"]), 1.0);
        // Twice the same word is shared once where the other has it once.
        assert_eq!(score(Squad, F1, "no no", &["no"]), 2.0 / 3.0);
    }

    #[test]
    fn drop_compares_numbers_by_value_and_refuses_other_numbers() {
        assert_eq!(score(Drop, ExactMatch, " 12", &["12.0"]), 1.0);
        assert_eq!(score(Drop, F1, "12 yards", &["13 yards"]), 0.0);
        assert_eq!(score(Drop, F1, "the 12 yards", &["12"]), 0.67);
        assert_eq!(score(Drop, F1, "forty-two", &["forty two"]), 1.0);
        // One answer is at most one of two spans.
        assert_eq!(score(Drop, F1, "Ann", &["Ann", "Bob"]), 0.5);
        assert_eq!(score(Drop, ExactMatch, "Ann", &["Ann", "Bob"]), 0.0);
        assert_eq!(score(Drop, F1, "", &["Ann"]), 0.0);
    }
}
