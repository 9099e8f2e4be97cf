//! The filters that look at one document alone, and what all of them begin with.

use super::bound::{Bound, BrokenRule, broken};
use super::config_problems::checked;
use super::contamination_index::ContaminationIndex;
use super::evaluation_questions::EvaluationQuestion;
use super::filter_config::FilterConfig;
use super::filter_run::{FilterOutcome, FilterRun};
use super::quality::QualityClassifier;
use super::verdict::{FilterStage, Removal, RemovalReason};
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
    pub(crate) config: FilterConfig,
    classifier: Option<QualityClassifier>,
    pub(crate) contamination: Option<ContaminationIndex>,
}

impl Filter {
    /// Makes filters ready: reads the classifier and indexes evaluation questions, where they are configured.
    ///
    /// # Errors
    /// [`SynthError::Settings`] lists what is wrong with the options; questions without a section `decontamination`, or the
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
    /// As [`NearDuplicates::new`](super::near_duplicates::NearDuplicates::new).
    pub fn start(&self) -> Result<FilterRun<'_>, SynthError> {
        FilterRun::new(self)
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
    pub(crate) fn alone(&self, text: &str) -> Result<Option<Removal>, SynthError> {
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
    pub(crate) fn stages(&self) -> impl Iterator<Item = FilterStage> {
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
