//! What is known of a question that was found in a document.

use serde::{Deserialize, Serialize};

use super::evaluation_questions::SearchedBy;

/// A question found in a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contamination {
    /// The evaluation set.
    pub set: String,
    /// The question within it.
    pub question: String,
    /// Other questions, of any set, with the same words.
    pub same_questions: usize,
    /// How it was looked for.
    pub searched_by: SearchedBy,
    /// n-grams of the question that the document has.
    pub matched_ngrams: usize,
    /// n-grams that are the question's own.
    pub own_ngrams: usize,
    /// Words of the document from the first to the last matched n-gram, normalised.
    pub passage: String,
}

impl Contamination {
    /// Share of the question's own n-grams that the document has.
    #[must_use]
    pub fn overlap(&self) -> f64 {
        self.matched_ngrams as f64 / self.own_ngrams as f64
    }
}
