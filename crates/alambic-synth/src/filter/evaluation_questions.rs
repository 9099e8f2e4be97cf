//! Texts that a model is to be evaluated on, and how documents are searched for them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config_problems::ConfigProblems;
use crate::SynthError;

/// A question that a model is to be evaluated on, which no training text may contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationQuestion {
    /// The evaluation set, such as `gsm8k`.
    pub set: String,
    /// The question's name within the set.
    pub question: String,
    /// What is looked for: the question, with or without choices and answer.
    pub text: String,
}

impl EvaluationQuestion {
    /// Reads questions from a file of JSON lines, each an object of `set`, `question` and `text`.
    ///
    /// # Errors
    /// [`SynthError::File`], and [`SynthError::Line`].
    pub fn read_json_lines(path: &Path) -> Result<Vec<Self>, SynthError> {
        let lines = std::fs::read_to_string(path)
            .map_err(|source| SynthError::file("read", path, source))?;
        let filled = lines
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        let question = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| SynthError::Line {
                path: path.to_owned(),
                line: number as u64 + 1,
                problem: error.to_string(),
            })
        };
        filled.map(question).collect()
    }
}

/// Options of [`ContaminationIndex`](super::contamination_index::ContaminationIndex).
///
/// Each question is looked for by n-grams of words: the longest ones, up to `max_ngram_words`, with which it is still found
/// after `edited_words` of its words were replaced. Replacing a word changes at most n of its n-grams, so with c n-grams of its
/// own that is the largest n with `edited_words · n ≤ (1 − min_overlap) c`. With the defaults a question of 11 words or more
/// (whose n-grams are its own) is found with any one word changed, one of 19 or more with two words changed if
/// `edited_words` is 2. Words that are added or left out count as replaced ones.
///
/// GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C) takes any common 13-gram for contamination, PaLM (Chowdhery et al.
/// 2022, arXiv:2204.02311, section 8) 70 % of a question's 8-grams. Long questions are treated here as there, short ones, which
/// such n-grams lose to one changed word, by shorter n-grams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecontaminationConfig {
    /// Words of the longest n-grams.
    pub max_ngram_words: usize,
    /// Words of the shortest n-grams; questions too short for them are looked for as they stand.
    pub min_ngram_words: usize,
    /// Share of a question's own n-grams that a document has, near each other, if it contains the question; in `(0, 1]`.
    pub min_overlap: f64,
    /// Words of a question that may be replaced so that it is still found.
    pub edited_words: usize,
    /// n-grams that more questions have than this are a template's and nobody's own.
    pub max_questions_of_ngram: usize,
    /// Questions of fewer words are not looked for, and are named in the report: `What is it?` is in every book.
    pub min_question_words: usize,
}

impl Default for DecontaminationConfig {
    fn default() -> Self {
        Self {
            max_ngram_words: 13,
            min_ngram_words: 4,
            min_overlap: 0.5,
            edited_words: 1,
            max_questions_of_ngram: 10,
            min_question_words: 5,
        }
    }
}

impl DecontaminationConfig {
    pub(crate) fn check(&self, problems: &mut ConfigProblems) {
        problems.at_least("min_ngram_words", self.min_ngram_words, 1);
        problems.at_least(
            "max_ngram_words",
            self.max_ngram_words,
            self.min_ngram_words,
        );
        problems.at_least("max_questions_of_ngram", self.max_questions_of_ngram, 1);
        problems.at_least("min_question_words", self.min_question_words, 1);
        problems.expect(
            self.min_overlap > 0.0 && self.min_overlap <= 1.0,
            "min_overlap",
            "a number above 0 and at most 1",
            self.min_overlap,
        );
    }

    /// Whether a question with `own` n-grams of `size` words is found whichever words are replaced.
    pub(crate) fn is_found_when_edited(&self, own: usize, size: usize) -> bool {
        let spared = (1.0 - self.min_overlap) * own as f64;
        own > 0 && (self.edited_words * size) as f64 <= spared
    }
}

/// How a question is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchedBy {
    /// By n-grams of this many words, a share of which is enough.
    Ngrams(usize),
    /// As a whole: all its words in a row. It is too short, or too much like the others of its set, for n-grams.
    AllWords,
    /// Not at all: it has fewer than `min_question_words` words.
    Nothing,
}
