//! What a model reaches on a task of answers in its own words.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Interval, mean};
use crate::generation::GeneratedAnswer;

/// What a model reaches on a task of answers in its own words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerationReport {
    /// The task's name.
    pub task: String,
    /// The model's name.
    pub model: String,
    /// The mean score: of comparisons that know right and wrong only, the share of right answers.
    pub score: Interval,
    /// How many texts have no answer that could be found; they count as wrong.
    pub without_answer: usize,
    /// How many texts did not end by themselves before the longest answer.
    pub unfinished: usize,
    /// How many prompts lost their first tokens.
    pub cut_questions: usize,
    /// Every question with its text, its answer and its score.
    pub questions: Vec<GeneratedAnswer>,
}

impl GenerationReport {
    /// Takes the mean; `seed` decides what the bootstrap draws. None if there are no questions.
    pub fn new(
        task: &str,
        model: &str,
        questions: Vec<GeneratedAnswer>,
        seed: u64,
    ) -> Option<Self> {
        if questions.is_empty() {
            return None;
        }
        let count = |is: fn(&GeneratedAnswer) -> bool| questions.iter().filter(|it| is(it)).count();
        let scores: Vec<f64> = questions.iter().map(|question| question.score).collect();
        Some(Self {
            task: task.to_owned(),
            model: model.to_owned(),
            score: mean(&scores, seed),
            without_answer: count(|question| question.extracted.is_none()),
            unfinished: count(|question| !question.finished),
            cut_questions: count(|question| question.cut),
            questions,
        })
    }

    /// A Markdown table of some reports, a line for each.
    pub fn markdown(reports: &[Self]) -> String {
        let mut text = "| task | model | questions | score | without answer | unfinished |\n\
                        |---|---|---|---|---|---|\n"
            .to_owned();
        for report in reports {
            text += &format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                report.task,
                report.model,
                report.questions.len(),
                report.score,
                report.without_answer,
                report.unfinished
            );
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(extracted: Option<&str>, score: f64, finished: bool) -> GeneratedAnswer {
        GeneratedAnswer {
            id: "q:1".into(),
            text: "some text".into(),
            extracted: extracted.map(str::to_owned),
            accepted: vec!["5".into()],
            score,
            finished,
            cut: false,
        }
    }

    #[test]
    fn a_report_counts_and_survives_json() {
        let answers = vec![
            answer(Some("5"), 1.0, true),
            answer(Some("6"), 0.0, true),
            answer(None, 0.0, false),
            answer(Some("5 x"), 0.6, true),
        ];
        let report = GenerationReport::new("t", "m", answers, 1).unwrap();
        assert_eq!(report.score.mean, 0.4);
        assert!(report.score.low < 0.4 && 0.4 < report.score.high);
        assert_eq!((report.without_answer, report.unfinished), (1, 1));
        let json = serde_json::to_string(&report).unwrap();
        let read: GenerationReport = serde_json::from_str(&json).unwrap();
        assert_eq!(read, report);
        let table = GenerationReport::markdown(std::slice::from_ref(&report));
        assert!(table.contains("| t | m | 4 | 0.400 ("), "{table}");
        assert_eq!(GenerationReport::new("t", "m", vec![], 1), None);
    }
}
