//! What a model reaches on a task.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Interval, accuracy};
use crate::choice::{ChoiceScores, ScoredQuestion};

/// By what the most probable choice is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// The log-likelihood itself; `lm-eval`'s `acc`.
    Sum,
    /// Divided by the choice's bytes; of ASCII text `lm-eval`'s `acc_norm`, which divides by characters.
    PerByte,
    /// Divided by the choice's tokens.
    PerToken,
    /// Less the log-likelihood without the question (Holtzman et al. 2021, arXiv:2104.08315, domain-conditional PMI).
    Unconditional,
}

impl Normalisation {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Sum,
        Self::PerByte,
        Self::PerToken,
        Self::Unconditional,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::PerByte => "per_byte",
            Self::PerToken => "per_token",
            Self::Unconditional => "unconditional",
        }
    }

    /// What a choice is compared by; none where it was not scored without its question.
    pub fn score(self, choice: &ChoiceScores) -> Option<f64> {
        let sum = choice.log_likelihood;
        match self {
            Self::Sum => Some(sum),
            Self::PerByte => Some(sum / choice.bytes.max(1) as f64),
            Self::PerToken => Some(sum / choice.tokens.max(1) as f64),
            Self::Unconditional => choice.unconditional.map(|without| sum - without),
        }
    }

    /// The place of the choice with the highest score, the first one of equals.
    pub fn chosen(self, question: &ScoredQuestion) -> Option<usize> {
        let scores = question.choices.iter().map(|choice| self.score(choice));
        let scores: Vec<f64> = scores.collect::<Option<_>>()?;
        let mut best = 0;
        for (place, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = place;
            }
        }
        (!scores.is_empty()).then_some(best)
    }
}

/// The share of questions whose right choice is the most probable one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// By what it is found.
    pub normalisation: Normalisation,
    /// The share and its 95 % interval.
    pub share: Interval,
}

/// What a model reaches on a task of questions with choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChoiceReport {
    /// The task's name.
    pub task: String,
    /// The model's name.
    pub model: String,
    /// The share that guessing gets right.
    pub chance: f64,
    /// How many questions lost their first tokens.
    pub cut_questions: usize,
    /// One for each normalisation that all questions have scores for.
    pub accuracies: Vec<Accuracy>,
    /// Every question with its scores.
    pub questions: Vec<ScoredQuestion>,
}

impl ChoiceReport {
    /// Counts right choices; `seed` decides what the bootstrap draws. None if there are no questions.
    pub fn new(task: &str, model: &str, questions: Vec<ScoredQuestion>, seed: u64) -> Option<Self> {
        if questions.is_empty() {
            return None;
        }
        let accuracies = Normalisation::ALL.into_iter().filter_map(|normalisation| {
            let right = questions.iter().map(|question| {
                let chosen = normalisation.chosen(question);
                chosen.map(|chosen| chosen == question.right)
            });
            let right: Vec<bool> = right.collect::<Option<_>>()?;
            Some(Accuracy {
                normalisation,
                share: accuracy(&right, seed),
            })
        });
        let guessed = questions.iter().map(|it| 1.0 / it.choices.len() as f64);
        Some(Self {
            task: task.to_owned(),
            model: model.to_owned(),
            chance: guessed.sum::<f64>() / questions.len() as f64,
            cut_questions: questions.iter().filter(|question| question.cut).count(),
            accuracies: accuracies.collect(),
            questions,
        })
    }

    /// The accuracy by a normalisation, if all questions have scores for it.
    pub fn accuracy(&self, normalisation: Normalisation) -> Option<Interval> {
        let mut accuracies = self.accuracies.iter();
        let found = accuracies.find(|accuracy| accuracy.normalisation == normalisation);
        found.map(|accuracy| accuracy.share)
    }

    /// A Markdown table of some reports, a line for each.
    pub fn markdown(reports: &[Self]) -> String {
        let mut text = "| task | model | questions | chance |".to_owned();
        for normalisation in Normalisation::ALL {
            let _ = write!(text, " {} |", normalisation.name());
        }
        text += "\n|---|---|---|---|---|---|---|---|\n";
        for report in reports {
            let (questions, chance) = (report.questions.len(), report.chance);
            let _ = write!(
                text,
                "| {} | {} | {questions} | {chance:.3} |",
                report.task, report.model
            );
            for normalisation in Normalisation::ALL {
                let _ = match report.accuracy(normalisation) {
                    None => write!(text, " |"),
                    Some(share) => write!(text, " {share} |"),
                };
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn choice(
        log_likelihood: f64,
        unconditional: f64,
        tokens: usize,
        bytes: usize,
    ) -> ChoiceScores {
        ChoiceScores {
            log_likelihood,
            unconditional: Some(unconditional),
            tokens,
            bytes,
        }
    }

    /// Four choices, each the best by one of the four.
    fn question() -> ScoredQuestion {
        ScoredQuestion {
            id: "q:1".into(),
            right: 2,
            choices: vec![
                choice(-4.0, -1.0, 2, 4),
                choice(-6.0, -3.0, 2, 20),
                choice(-6.0, -5.0, 6, 8),
                choice(-7.0, -9.0, 3, 7),
            ],
            cut: false,
        }
    }

    #[test]
    fn every_normalisation_prefers_another_choice() {
        let chosen = Normalisation::ALL.map(|it| it.chosen(&question()));
        assert_eq!(chosen, [Some(0), Some(1), Some(2), Some(3)]);
        let mut equal = question();
        equal.choices[3].log_likelihood = -4.0;
        assert_eq!(Normalisation::Sum.chosen(&equal), Some(0));
        equal.choices[0].unconditional = None;
        assert_eq!(Normalisation::Unconditional.chosen(&equal), None);
    }

    #[test]
    fn a_report_counts_and_survives_json() {
        let mut second = question();
        second.right = 0;
        let report = ChoiceReport::new("t", "m", vec![question(), second], 1).unwrap();
        let shares = Normalisation::ALL.map(|it| report.accuracy(it).unwrap().mean);
        assert_eq!(shares, [0.5, 0.0, 0.5, 0.0]);
        assert_eq!((report.chance, report.cut_questions), (0.25, 0));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<ChoiceReport>(&json).unwrap(), report);
        let table = ChoiceReport::markdown(std::slice::from_ref(&report));
        assert!(table.contains("| t | m | 2 | 0.250 | 0.500 ("), "{table}");
        assert_eq!(ChoiceReport::new("t", "m", vec![], 1), None);
    }
}
