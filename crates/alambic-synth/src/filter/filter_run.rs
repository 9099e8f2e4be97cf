//! Filters applied to documents: one pass, or two where documents have to be compared with each other.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::decontamination_report::{ContaminatedDocument, DecontaminationReport};
use super::document_filter::{Filter, FilterDocument};
use super::exact_duplicates::ExactDuplicates;
use super::filter_report::{ComparisonReport, FilterReport, StageReport};
use super::near_duplicates::NearDuplicates;
use super::verdict::{FilterStage, FilterVerdict, Removal, RemovalReason};
use crate::SynthError;

/// A run of filters over documents that are read once, in order.
///
/// Without near-duplicates every verdict is known when a document was read, and documents can be streamed. With them verdicts
/// are known at the end ([`FilterRun::finish`]), and documents have to be read a second time to be written.
///
/// # Memory
/// For each removed document its removal, some 200 bytes; for the others what [`ExactDuplicates`] and [`NearDuplicates`] state,
/// and 8 bytes. Texts are not kept.
#[derive(Debug)]
pub struct FilterRun<'a> {
    filter: &'a Filter,
    exact: Option<ExactDuplicates>,
    near: Option<NearDuplicates>,
    /// Positions in the input of the texts that near-duplicates are looked for among.
    near_positions: Vec<u64>,
    removals: BTreeMap<u64, Removal>,
    contaminated: Vec<ContaminatedDocument>,
    documents: u64,
}

impl<'a> FilterRun<'a> {
    /// No documents yet.
    pub(crate) fn new(filter: &'a Filter) -> Result<Self, SynthError> {
        let near = filter.config.near_duplicates.clone();
        Ok(Self {
            filter,
            exact: filter.config.exact_duplicates.map(ExactDuplicates::new),
            near: near.map(NearDuplicates::new).transpose()?,
            near_positions: Vec::new(),
            removals: BTreeMap::new(),
            contaminated: Vec::new(),
            documents: 0,
        })
    }

    /// Reads the next documents, in parallel, and says what is known of each. How documents are divided into calls does not
    /// change verdicts.
    ///
    /// # Errors
    /// [`SynthError::Classifier`] if the classifier was made for other features.
    pub fn read(
        &mut self,
        documents: &[FilterDocument<'_>],
    ) -> Result<Vec<FilterVerdict>, SynthError> {
        let alone: Vec<Option<Removal>> = documents
            .par_iter()
            .map(|document| self.filter.alone(document.text))
            .collect::<Result<_, _>>()?;
        let mut survivors = Vec::new();
        let mut verdicts = Vec::with_capacity(documents.len());
        for (document, removal) in documents.iter().zip(alone) {
            let position = self.documents;
            self.documents += 1;
            let removal = removal.or_else(|| self.exact_duplicate(position, document.text));
            verdicts.push(match removal {
                Some(removal) => {
                    self.record(position, document.id, &removal);
                    FilterVerdict::Removed(removal)
                }
                None if self.near.is_some() => {
                    survivors.push(document.text);
                    self.near_positions.push(position);
                    FilterVerdict::Undecided
                }
                None => FilterVerdict::Kept,
            });
        }
        if let Some(near) = &mut self.near {
            near.add(&survivors);
        }
        Ok(verdicts)
    }

    fn exact_duplicate(&mut self, position: u64, text: &str) -> Option<Removal> {
        let first = self.exact.as_mut()?.first_at(position, text)?;
        Some(Removal {
            filter: FilterStage::ExactDuplicates,
            reason: RemovalReason::DuplicateOf {
                position: first,
                similarity: 1.0,
            },
        })
    }

    fn record(&mut self, position: u64, id: &str, removal: &Removal) {
        if let RemovalReason::Contamination(contamination) = &removal.reason {
            self.contaminated.push(ContaminatedDocument {
                document: id.to_owned(),
                contamination: contamination.clone(),
            });
        }
        self.removals.insert(position, removal.clone());
    }

    /// Looks for near-duplicates, if that is configured, and reports.
    #[must_use]
    pub fn finish(mut self) -> FilterOutcome {
        let mut comparisons = None;
        if let Some(near) = self.near.take() {
            let clusters = near.clusters();
            comparisons = Some(ComparisonReport {
                comparisons: clusters.comparisons(),
                left_out: clusters.comparisons_left_out(),
            });
            for (text, &position) in self.near_positions.iter().enumerate() {
                if let Some(first) = clusters.first_of(text) {
                    let reason = RemovalReason::DuplicateOf {
                        position: self.near_positions[first],
                        similarity: clusters.similarity_to_first(text),
                    };
                    let filter = FilterStage::NearDuplicates;
                    self.removals.insert(position, Removal { filter, reason });
                }
            }
        }
        let report = FilterReport {
            documents: self.documents,
            kept: self.documents - self.removals.len() as u64,
            stages: self.stage_reports(),
            near_duplicates: comparisons,
            decontamination: self.filter.contamination.as_ref().map(|index| {
                let asked = self
                    .removals
                    .values()
                    .filter(|removal| removal.filter < FilterStage::Decontamination);
                let documents = self.documents as usize - asked.count();
                DecontaminationReport::new(index, documents, self.contaminated)
            }),
        };
        FilterOutcome {
            removals: self.removals,
            report,
        }
    }

    fn stage_reports(&self) -> Vec<StageReport> {
        let mut by_stage: BTreeMap<FilterStage, BTreeMap<String, u64>> = BTreeMap::new();
        for removal in self.removals.values() {
            let reasons = by_stage.entry(removal.filter).or_default();
            *reasons.entry(removal.label()).or_insert(0) += 1;
        }
        let mut documents = self.documents;
        let report = |filter| {
            let by_reason = by_stage.remove(&filter).unwrap_or_default();
            let removed = by_reason.values().sum();
            let report = StageReport {
                filter,
                documents,
                removed,
                by_reason,
            };
            documents -= removed;
            report
        };
        self.filter.stages().map(report).collect()
    }
}

/// What became of all documents.
#[derive(Clone, Debug)]
pub struct FilterOutcome {
    removals: BTreeMap<u64, Removal>,
    /// How many documents each filter removed.
    pub report: FilterReport,
}

impl FilterOutcome {
    /// Why the document at `position`, from 0, was removed; `None` if it is kept.
    #[must_use]
    pub fn removal(&self, position: u64) -> Option<&Removal> {
        self.removals.get(&position)
    }

    /// All removals, by position.
    pub fn removals(&self) -> impl Iterator<Item = (u64, &Removal)> {
        self.removals
            .iter()
            .map(|(&position, removal)| (position, removal))
    }
}
