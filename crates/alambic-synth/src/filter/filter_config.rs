//! Which filters apply, and their options.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::config_problems::{ConfigProblems, checked};
use super::evaluation_questions::DecontaminationConfig;
use super::exact_duplicates::ExactDuplicatesConfig;
use super::heuristics::HeuristicsConfig;
use super::language::LanguageConfig;
use super::length::LengthConfig;
use super::near_duplicates_config::NearDuplicatesConfig;
use super::repetition::RepetitionConfig;
use crate::SynthError;

/// Removes texts that a [`QualityClassifier`](super::quality::QualityClassifier) finds bad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityConfig {
    /// The classifier's JSON file; a relative path is one from the working directory.
    pub classifier: PathBuf,
    /// Least probability that a text is good, from 0 to 1.
    pub min_probability: f64,
}

impl QualityConfig {
    fn check(&self, problems: &mut ConfigProblems) {
        problems.ratio("min_probability", self.min_probability);
    }
}

/// The filters that apply: each section is one, and those that are not there do not. A TOML file.
///
/// ```
/// use alambic_synth::{FilterConfig, SynthError};
/// let config: FilterConfig = r#"
/// [length]
/// min_words = 5
/// [repetition]
/// max_end_loop_characters = 60
/// max_top_2_gram_character_ratio = 0.2
/// [decontamination]
/// edited_words = 2
/// [exact_duplicates]
/// same = "words"
/// [near_duplicates]
/// jaccard_threshold = 0.7
/// "#.parse()?;
/// assert_eq!(config.near_duplicates.unwrap().bands, 20);
/// assert!(config.language.is_none());
/// # Ok::<(), SynthError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterConfig {
    /// Texts that are too short or too long.
    pub length: Option<LengthConfig>,
    /// Texts in other languages.
    pub language: Option<LanguageConfig>,
    /// Rules of quality.
    pub heuristics: Option<HeuristicsConfig>,
    /// Texts that repeat themselves.
    pub repetition: Option<RepetitionConfig>,
    /// Texts that a classifier finds bad.
    pub quality: Option<QualityConfig>,
    /// Texts that contain evaluation questions.
    pub decontamination: Option<DecontaminationConfig>,
    /// Texts that were there before.
    pub exact_duplicates: Option<ExactDuplicatesConfig>,
    /// Texts that resemble earlier ones.
    pub near_duplicates: Option<NearDuplicatesConfig>,
}

impl FilterConfig {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`SynthError::File`], and as [`from_str`](Self::from_str).
    pub fn from_file(path: &Path) -> Result<Self, SynthError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SynthError::file("read", path, source))?;
        Self::parsed(&text, &path.display().to_string())
    }

    /// Whether all options can be used.
    ///
    /// # Errors
    /// [`SynthError::Settings`] lists everything that is wrong, with key paths.
    pub fn validate(&self) -> Result<(), SynthError> {
        checked(|all| {
            if let Some(config) = &self.length {
                all.in_section("length", |problems| config.check(problems));
            }
            if let Some(config) = &self.language {
                all.in_section("language", |problems| config.check(problems));
            }
            if let Some(config) = &self.heuristics {
                all.in_section("heuristics", |problems| config.check(problems));
            }
            if let Some(config) = &self.repetition {
                all.in_section("repetition", |problems| config.check(problems));
            }
            if let Some(config) = &self.quality {
                all.in_section("quality", |problems| config.check(problems));
            }
            if let Some(config) = &self.decontamination {
                all.in_section("decontamination", |problems| config.check(problems));
            }
            if let Some(config) = &self.near_duplicates {
                all.in_section("near_duplicates", |problems| config.check(problems));
            }
        })
    }

    fn parsed(text: &str, origin: &str) -> Result<Self, SynthError> {
        let config: Self = toml::from_str(text).map_err(|error| SynthError::FilterSource {
            origin: origin.to_owned(),
            problem: error.to_string(),
        })?;
        config.validate()?;
        Ok(config)
    }
}

impl FromStr for FilterConfig {
    type Err = SynthError;

    /// Reads and validates TOML.
    ///
    /// # Errors
    /// [`SynthError::FilterSource`] if it is no TOML or has other keys, and as [`validate`](Self::validate).
    fn from_str(text: &str) -> Result<Self, SynthError> {
        Self::parsed(text, "the filters' configuration")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_told_at_once_with_their_keys() {
        let text = r#"
            [length]
            min_words = 9
            max_words = 3
            [language]
            keep = ["english"]
            min_confidence = 1.5
            unsure = "keep"
            [heuristics]
            min_words = -1.0
            [repetition]
            max_top_2_gram_character_ratio = 2.0
            [quality]
            classifier = "q.json"
            min_probability = -0.1
            [decontamination]
            min_overlap = 0.0
            [near_duplicates]
            permutations = 128
            bands = 10
        "#;
        let message = FilterConfig::from_str(text).unwrap_err().to_string();
        assert_eq!(message.matches("expected").count(), 8, "{message}");
        for key in [
            "length.max_words: expected at least 9, found 3",
            "language.keep",
            "language.min_confidence",
            "heuristics.min_words",
            "repetition.max_top_2_gram_character_ratio",
            "quality.min_probability",
            "decontamination.min_overlap",
            "near_duplicates.bands: expected a divisor of permutations (128), found 10",
        ] {
            assert!(message.contains(key), "{key} in {message}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        for text in [
            "[lenght]\nmin_words = 1",
            "[length]\nminimum = 1",
            "[near_duplicates]\nband = 4",
        ] {
            let message = FilterConfig::from_str(text).unwrap_err().to_string();
            assert!(message.contains("unknown field"), "{message}");
        }
    }

    #[test]
    fn a_configuration_survives_toml() {
        let config = FilterConfig {
            heuristics: Some(HeuristicsConfig::gopher()),
            repetition: Some(RepetitionConfig::gopher()),
            near_duplicates: Some(NearDuplicatesConfig::default()),
            ..Default::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(FilterConfig::from_str(&text).unwrap(), config);
    }
}
