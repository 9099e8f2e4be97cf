//! Filters applied to documents: one pass, or two where documents have to be compared with each other.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::bound::{Bound, BrokenRule, broken};
use super::config_problems::checked;
use super::contamination_index::ContaminationIndex;
use super::decontamination_report::{ContaminatedDocument, DecontaminationReport};
use super::evaluation_questions::EvaluationQuestion;
use super::exact_duplicates::ExactDuplicates;
use super::filter_config::FilterConfig;
use super::filter_report::{ComparisonReport, FilterReport, StageReport};
use super::near_duplicates::NearDuplicates;
use super::quality::QualityClassifier;
use super::verdict::{FilterStage, Removal, RemovalReason, Verdict};
use crate::SynthError;

/// What filters see of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterDocument<'a> {
    /// The document's name, for reports.
    pub id: &'a str,
    /// What is looked at.
    pub text: &'a str,
}

/// The filters of a [`FilterConfig`], ready to be applied.
///
/// ```
/// use alambic_synth::{Filter, FilterDocument, FilterStage};
/// let config = "[length]\nmin_words = 3\n[exact_duplicates]\nsame = \"words\"".parse()?;
/// let filter = Filter::new(config, Vec::new())?;
/// let texts = ["A fox and a hen.", "Hello!", "a fox, and a hen"];
/// let documents = texts.map(|text| FilterDocument { id: text, text });
/// let outcome = filter.apply(&documents)?;
/// assert!(outcome.removal(0).is_none());
/// assert_eq!(outcome.removal(1).unwrap().filter, FilterStage::Length);
/// assert_eq!(outcome.removal(2).unwrap().to_string(), "exact_duplicates: like document 0, similarity 1.00");
/// assert_eq!(outcome.report.kept, 1);
/// # Ok::<(), alambic_synth::SynthError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    config: FilterConfig,
    classifier: Option<QualityClassifier>,
    contamination: Option<ContaminationIndex>,
}

impl Filter {
    /// Makes filters ready: reads the classifier and indexes evaluation questions, where they are configured.
    ///
    /// # Errors
    /// [`SynthError::FilterConfig`] lists what is wrong with the options; questions without a section `decontamination`, or the
    /// section without questions, are among it. [`SynthError::File`] and [`SynthError::FilterSource`] for the classifier.
    pub fn new(
        config: FilterConfig,
        questions: Vec<EvaluationQuestion>,
    ) -> Result<Self, SynthError> {
        config.validate()?;
        checked(|problems| {
            let (expected, found) = match config.decontamination {
                Some(_) => ("evaluation questions, or no such section", "no questions"),
                None => (
                    "a section, or no evaluation questions",
                    "questions without a section",
                ),
            };
            let agree = config.decontamination.is_some() != questions.is_empty();
            problems.expect(agree, "decontamination", expected, found);
        })?;
        let quality = config.quality.as_ref();
        let classifier = quality
            .map(|quality| QualityClassifier::from_file(&quality.classifier))
            .transpose()?;
        let index = |options| ContaminationIndex::new(options, questions);
        Ok(Self {
            contamination: config.decontamination.clone().map(index).transpose()?,
            classifier,
            config,
        })
    }

    /// Begins a run that documents are given to piece by piece.
    ///
    /// # Errors
    /// As [`NearDuplicates::new`].
    pub fn start(&self) -> Result<FilterRun<'_>, SynthError> {
        let near = self.config.near_duplicates.clone();
        Ok(FilterRun {
            filter: self,
            exact: self.config.exact_duplicates.map(ExactDuplicates::new),
            near: near.map(NearDuplicates::new).transpose()?,
            near_positions: Vec::new(),
            removals: BTreeMap::new(),
            contaminated: Vec::new(),
            documents: 0,
        })
    }

    /// Applies the filters to documents that are all in memory.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`FilterRun::read`].
    pub fn apply(&self, documents: &[FilterDocument<'_>]) -> Result<FilterOutcome, SynthError> {
        let mut run = self.start()?;
        run.read(documents)?;
        Ok(run.finish())
    }

    /// What the filters say that look at one document alone.
    fn alone(&self, text: &str) -> Result<Option<Removal>, SynthError> {
        let config = &self.config;
        let by_rule = |filter, broken: Option<BrokenRule>| {
            broken.map(|broken| Removal {
                filter,
                reason: RemovalReason::BrokenRule(broken),
            })
        };
        if let Some(length) = &config.length
            && let Some(removal) = by_rule(FilterStage::Length, length.broken_rule(text))
        {
            return Ok(Some(removal));
        }
        if let Some(language) = &config.language
            && let Some(verdict) = language.foreign(text)
        {
            let reason = RemovalReason::Language(verdict);
            return Ok(Some(Removal {
                filter: FilterStage::Language,
                reason,
            }));
        }
        if let Some(heuristics) = &config.heuristics
            && let Some(removal) = by_rule(FilterStage::Heuristics, heuristics.broken_rule(text))
        {
            return Ok(Some(removal));
        }
        if let Some(repetition) = &config.repetition
            && let Some(removal) = by_rule(FilterStage::Repetition, repetition.broken_rule(text))
        {
            return Ok(Some(removal));
        }
        if let (Some(quality), Some(classifier)) = (&config.quality, &self.classifier) {
            let least = Bound::AtLeast(quality.min_probability);
            let bad = broken("min_probability", classifier.probability(text)?, least);
            if let Some(removal) = by_rule(FilterStage::Quality, bad) {
                return Ok(Some(removal));
            }
        }
        let found = self
            .contamination
            .as_ref()
            .and_then(|index| index.find(text));
        Ok(found.map(|found| Removal {
            filter: FilterStage::Decontamination,
            reason: RemovalReason::Contamination(found),
        }))
    }

    /// The filters that are configured, in order.
    fn stages(&self) -> impl Iterator<Item = FilterStage> {
        let config = &self.config;
        [
            (FilterStage::Length, config.length.is_some()),
            (FilterStage::Language, config.language.is_some()),
            (FilterStage::Heuristics, config.heuristics.is_some()),
            (FilterStage::Repetition, config.repetition.is_some()),
            (FilterStage::Quality, config.quality.is_some()),
            (
                FilterStage::Decontamination,
                config.decontamination.is_some(),
            ),
            (
                FilterStage::ExactDuplicates,
                config.exact_duplicates.is_some(),
            ),
            (
                FilterStage::NearDuplicates,
                config.near_duplicates.is_some(),
            ),
        ]
        .into_iter()
        .filter_map(|(stage, applies)| applies.then_some(stage))
    }
}

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

impl FilterRun<'_> {
    /// Reads the next documents, in parallel, and says what is known of each. How documents are divided into calls does not
    /// change verdicts.
    ///
    /// # Errors
    /// [`SynthError::Classifier`] if the classifier was made for other features.
    pub fn read(&mut self, documents: &[FilterDocument<'_>]) -> Result<Vec<Verdict>, SynthError> {
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
                    Verdict::Removed(removal)
                }
                None if self.near.is_some() => {
                    survivors.push(document.text);
                    self.near_positions.push(position);
                    Verdict::Undecided
                }
                None => Verdict::Kept,
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
