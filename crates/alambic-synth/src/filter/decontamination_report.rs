//! What was removed because evaluation sets have it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::contamination::Contamination;
use super::contamination_index::ContaminationIndex;
use super::evaluation_questions::SearchedBy;
use super::markdown::cell;

/// Most removals that the Markdown shows; JSON has all.
const SHOWN_REMOVALS: usize = 50;

/// A document that was removed, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContaminatedDocument {
    /// The document's id.
    pub document: String,
    /// What it contains.
    pub contamination: Contamination,
}

/// What became of one evaluation set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetReport {
    /// Questions of the set.
    pub questions: usize,
    /// Those looked for by n-grams, and found after small edits.
    pub by_ngrams: usize,
    /// Those looked for as a whole, and found after changes of case, punctuation and white space only.
    pub by_all_words: usize,
    /// Those not looked for, since they have too few words.
    pub not_looked_for: Vec<String>,
    /// Those found in a document. Questions with the same words count as the first of them.
    pub questions_found: usize,
    /// Documents that were removed for a question of the set.
    pub documents_removed: usize,
}

/// Which documents were removed for which questions of which evaluation sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecontaminationReport {
    /// Documents that were looked at.
    pub documents: usize,
    /// The evaluation sets, by name.
    pub sets: BTreeMap<String, SetReport>,
    /// The documents that were removed, in order.
    pub removed: Vec<ContaminatedDocument>,
}

impl DecontaminationReport {
    /// The report of `documents` documents, of which `removed` are contaminated.
    #[must_use]
    pub fn new(
        index: &ContaminationIndex,
        documents: usize,
        removed: Vec<ContaminatedDocument>,
    ) -> Self {
        let mut sets: BTreeMap<String, SetReport> = BTreeMap::new();
        for (question, search) in index.questions().iter().zip(index.searches()) {
            let set = sets.entry(question.set.clone()).or_default();
            set.questions += 1;
            match search {
                SearchedBy::Ngrams(_) => set.by_ngrams += 1,
                SearchedBy::AllWords => set.by_all_words += 1,
                SearchedBy::Nothing => set.not_looked_for.push(question.question.clone()),
            }
        }
        let mut found = BTreeSet::new();
        for ContaminatedDocument { contamination, .. } in &removed {
            let set = sets.entry(contamination.set.clone()).or_default();
            set.documents_removed += 1;
            if found.insert((&contamination.set, &contamination.question)) {
                set.questions_found += 1;
            }
        }
        Self {
            documents,
            sets,
            removed,
        }
    }

    /// The report as Markdown: a table of the sets, and of the first 50 removals.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "## Decontamination\n\n{} of {} documents were removed.\n\n| set | questions | by n-grams | as a whole | not looked for | found | documents removed |\n|---|---|---|---|---|---|---|\n",
            self.removed.len(),
            self.documents
        );
        for (name, set) in &self.sets {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                cell(name),
                set.questions,
                set.by_ngrams,
                set.by_all_words,
                set.not_looked_for.len(),
                set.questions_found,
                set.documents_removed
            );
        }
        if self.removed.is_empty() {
            return text;
        }
        text.push_str("\n| document | set | question | n-grams | overlap | passage |\n|---|---|---|---|---|---|\n");
        for removal in self.removed.iter().take(SHOWN_REMOVALS) {
            let found = &removal.contamination;
            let ngrams = match found.searched_by {
                SearchedBy::Ngrams(size) => {
                    format!(
                        "{} of {} of {size} words",
                        found.matched_ngrams, found.own_ngrams
                    )
                }
                SearchedBy::AllWords | SearchedBy::Nothing => "all words".into(),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {ngrams} | {:.2} | {} |",
                cell(&removal.document),
                cell(&found.set),
                cell(&found.question),
                found.overlap(),
                cell(&found.passage)
            );
        }
        if let Some(more) = self.removed.len().checked_sub(SHOWN_REMOVALS)
            && more > 0
        {
            let _ = writeln!(text, "\nAnd {more} more.");
        }
        text
    }
}
