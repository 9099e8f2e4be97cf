//! What a model reaches on a task of given continuations.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Interval, accuracy, mean};
use crate::continuation::ScoredContinuation;

/// What a model reaches on a task of given continuations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContinuationReport {
    /// The task's name.
    pub task: String,
    /// The model's name.
    pub model: String,
    /// The share of continuations that the model would write greedily; `lm-eval`'s `acc`.
    pub accuracy: Interval,
    /// The mean log-likelihood of a continuation, in nats.
    pub log_likelihood: Interval,
    /// How many prompts lost their first tokens.
    pub cut_questions: usize,
    /// Every text with its scores.
    pub questions: Vec<ScoredContinuation>,
}

impl ContinuationReport {
    /// Takes the means; `seed` decides what the bootstrap draws. None if there are no questions.
    pub fn new(
        task: &str,
        model: &str,
        questions: Vec<ScoredContinuation>,
        seed: u64,
    ) -> Option<Self> {
        if questions.is_empty() {
            return None;
        }
        let greedy: Vec<bool> = questions.iter().map(|it| it.is_greedy).collect();
        let log_likelihoods: Vec<f64> = questions.iter().map(|it| it.log_likelihood).collect();
        Some(Self {
            task: task.to_owned(),
            model: model.to_owned(),
            accuracy: accuracy(&greedy, seed),
            log_likelihood: mean(&log_likelihoods, seed),
            cut_questions: questions.iter().filter(|question| question.cut).count(),
            questions,
        })
    }

    /// e to the negative mean log-likelihood of a continuation, whatever its tokens: `lm-eval`'s `perplexity`.
    pub fn perplexity(&self) -> f64 {
        (-self.log_likelihood.mean).exp()
    }

    /// A Markdown table of some reports, a line for each.
    pub fn markdown(reports: &[Self]) -> String {
        let mut text = "| task | model | questions | accuracy | log-likelihood | perplexity |\n\
                        |---|---|---|---|---|---|\n"
            .to_owned();
        for report in reports {
            text += &format!(
                "| {} | {} | {} | {} | {} | {:.3} |\n",
                report.task,
                report.model,
                report.questions.len(),
                report.accuracy,
                report.log_likelihood,
                report.perplexity()
            );
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_report_takes_means_and_survives_json() {
        let text = |log_likelihood: f64, is_greedy| ScoredContinuation {
            id: "q:1".into(),
            log_likelihood,
            is_greedy,
            tokens: 1,
            cut: false,
        };
        let texts = vec![text(-1.0, true), text(-3.0, false)];
        let report = ContinuationReport::new("t", "m", texts, 1).unwrap();
        assert_eq!(
            (report.accuracy.mean, report.log_likelihood.mean),
            (0.5, -2.0)
        );
        assert!((report.perplexity() - 2f64.exp()).abs() < 1e-12);
        let json = serde_json::to_string(&report).unwrap();
        let read: ContinuationReport = serde_json::from_str(&json).unwrap();
        assert_eq!(read, report);
        let table = ContinuationReport::markdown(std::slice::from_ref(&report));
        assert!(table.contains("| t | m | 2 | 0.500 ("), "{table}");
        assert_eq!(ContinuationReport::new("t", "m", vec![], 1), None);
    }
}
