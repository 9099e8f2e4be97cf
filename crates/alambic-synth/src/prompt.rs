//! Prompts: what the teacher is asked.

use alambic_text::{AcceptedAnswers, Problem, Textbook, TextbookItem};
use serde::{Deserialize, Serialize};

use crate::filter::GridPrompt;

/// A task for the teacher, before any strategy is chosen for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Names it in records; no two prompts of a run have the same.
    pub id: String,
    /// What kind of task it is, such as `word_arithmetic`: what strategies are chosen by.
    pub kind: String,
    /// What the user says.
    pub user: String,
    /// Parts of the dataset that it belongs to, beside its kind: of each the diversity of answers is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The right answers, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<AcceptedAnswers>,
    /// Where it comes from.
    pub source: Source,
}

/// Where a prompt comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The collection, such as `gsm8k`.
    pub name: String,
    /// Its licence, such as `MIT`.
    pub licence: String,
}

impl Prompt {
    /// Problems of the textbook: the first `count` of its items that are problems, their family as their kind.
    ///
    /// ```
    /// use alambic_synth::{Prompt, Source};
    /// use alambic_text::{Split, Textbook, TextbookConfig};
    ///
    /// let textbook = Textbook::new(TextbookConfig { seed: 17, split: Split::Train, story_ratio: 0.0 })?;
    /// let source = Source { name: "textbook".into(), licence: "MIT OR Apache-2.0".into() };
    /// let prompts: Vec<Prompt> = Prompt::of_textbook(&textbook, 3, &source).collect();
    /// assert_eq!(prompts.len(), 3);
    /// assert!(prompts[0].user.ends_with(['?', '.', ':']) && prompts[0].accepted.is_some());
    /// # Ok::<(), alambic_text::TextError>(())
    /// ```
    pub fn of_textbook(
        textbook: &Textbook,
        count: usize,
        source: &Source,
    ) -> impl Iterator<Item = Self> {
        let problems = textbook.items(0..u64::MAX).enumerate();
        let problems = problems.filter_map(|(index, item)| match item {
            TextbookItem::Problem(problem) => {
                Some(Self::of_problem(index, problem, source.clone()))
            }
            TextbookItem::Story(_) => None,
        });
        problems.take(count)
    }

    /// A prompt of a grid; its form is its kind.
    #[must_use]
    pub fn of_grid(prompt: GridPrompt, source: &Source) -> Self {
        Self {
            labels: prompt.labels().to_vec(),
            id: format!("{}:{}", source.name, prompt.id),
            kind: prompt.form,
            user: prompt.user,
            accepted: None,
            source: source.clone(),
        }
    }

    fn of_problem(index: usize, problem: Problem, source: Source) -> Self {
        Self {
            id: format!("{}:{index}", source.name),
            kind: problem.family.name().to_owned(),
            labels: Vec::new(),
            user: problem.question,
            accepted: Some(AcceptedAnswers::one(problem.answer)),
            source,
        }
    }
}
