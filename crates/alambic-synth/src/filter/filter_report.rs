//! How many documents each filter removed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::decontamination_report::DecontaminationReport;
use super::markdown::cell;
use super::verdict::FilterStage;

/// What one filter did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// The filter.
    pub filter: FilterStage,
    /// Documents that came to it.
    pub documents: u64,
    /// Documents that it removed.
    pub removed: u64,
    /// The removed ones by broken rule, language or evaluation set.
    pub by_reason: BTreeMap<String, u64>,
}

/// How thorough the search for near-duplicates was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparisonReport {
    /// Pairs that were compared.
    pub comparisons: u64,
    /// Pairs that were not, because of `max_comparisons`.
    pub left_out: u64,
}

/// What all filters did, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterReport {
    /// Documents that were read.
    pub documents: u64,
    /// Documents that are kept.
    pub kept: u64,
    /// The filters that applied, in order.
    pub stages: Vec<StageReport>,
    /// Pairs of the search for near-duplicates, if there was one.
    pub near_duplicates: Option<ComparisonReport>,
    /// What was removed for which evaluation question, if that was looked for.
    pub decontamination: Option<DecontaminationReport>,
}

impl FilterReport {
    /// The report as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "## Filters\n\n{} of {} documents were kept.\n\n| filter | documents | removed | by reason |\n|---|---|---|---|\n",
            self.kept, self.documents
        );
        for stage in &self.stages {
            let reasons = stage.by_reason.iter();
            let reasons: Vec<String> = reasons
                .map(|(reason, count)| format!("{} {count}", cell(reason)))
                .collect();
            let (name, documents, removed) = (stage.filter.name(), stage.documents, stage.removed);
            let _ = writeln!(
                text,
                "| {name} | {documents} | {removed} | {} |",
                reasons.join(", ")
            );
        }
        if let Some(ComparisonReport {
            left_out,
            comparisons,
        }) = self.near_duplicates
            && left_out > 0
        {
            let _ = writeln!(
                text,
                "\n{left_out} pairs of possible near-duplicates were not compared (`max_comparisons`), {comparisons} were."
            );
        }
        if let Some(decontamination) = &self.decontamination {
            text.push('\n');
            text.push_str(&decontamination.to_markdown());
        }
        text
    }
}
