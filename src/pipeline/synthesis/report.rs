//! What a synthesis came to.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use alambic_synth::{
    DatasetCard, FilterReport, RunEnd, RunSummary, StrategyTrial, SyntheticConversation,
};
use serde::{Deserialize, Serialize};

use super::picture::picture;
use super::{LogProbCounts, SynthesisRecipe};
use crate::pipeline::PipelineError;
use crate::pipeline::run_directory::write_atomically;

/// Names of the files beside the conversations.
const CARD: &str = "README.md";
const PICTURE: &str = "card.svg";
const REPORT: &str = "synthesis.json";

/// What a synthesis came to. Parts that it did not reach are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthesisReport {
    /// The dataset's name.
    pub name: String,
    /// Prompts that were read.
    pub prompts: usize,
    /// The answers of the trial of strategies, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_answers: Option<RunSummary>,
    /// What the strategies are worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<StrategyTrial>,
    /// The answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<RunSummary>,
    /// The judge's answers, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgements: Option<RunSummary>,
    /// What the filters removed, if there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<FilterReport>,
    /// What became of the log-probabilities of their tokens, if they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_probs: Option<LogProbCounts>,
    /// The file with the conversations, once all answers are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversations: Option<PathBuf>,
    /// What they are made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<DatasetCard>,
}

impl SynthesisReport {
    pub(super) fn new(recipe: &SynthesisRecipe, prompts: usize) -> Self {
        Self {
            name: recipe.name.clone(),
            prompts,
            trial_answers: None,
            trial: None,
            answers: None,
            judgements: None,
            filters: None,
            log_probs: None,
            conversations: None,
            card: None,
        }
    }

    /// Writes the card with its picture, and this report, beside the conversations.
    pub(super) fn finish(
        &mut self,
        out: &Path,
        conversations: PathBuf,
        card: DatasetCard,
        kept: &[SyntheticConversation],
    ) -> Result<(), PipelineError> {
        let lengths = kept.iter().filter_map(|it| it.messages.last());
        let lengths: Vec<usize> = lengths
            .map(|message| message.content.chars().count())
            .collect();
        let picture = picture(&card, &lengths)?;
        let mut page = card.markdown();
        let _ = write!(
            page,
            "\n![Answers by strategy, and their lengths]({PICTURE})\n"
        );
        if let Some(trial) = &self.trial {
            page += "\n## Trial of strategies\n\nAnswers that passed all checks.\n\n";
            page += &trial.markdown();
        }
        if let Some(filters) = &self.filters {
            page += "\n## Filters\n\n";
            page += &filters.to_markdown();
        }
        self.conversations = Some(conversations);
        self.card = Some(card);
        let json = serde_json::to_string_pretty(self);
        let json = json.expect("a report can be written as JSON");
        for (name, text) in [(CARD, page), (PICTURE, picture), (REPORT, json + "\n")] {
            let path = out.join(name);
            write_atomically(&path, text.as_bytes())
                .map_err(|source| PipelineError::io("write", path, source))?;
        }
        Ok(())
    }

    /// Whether the dataset is written.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.conversations.is_some()
    }

    /// A few lines for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (what, summary) in [
            ("trial", &self.trial_answers),
            ("answers", &self.answers),
            ("judgements", &self.judgements),
        ] {
            if let Some(summary) = summary {
                let _ = writeln!(text, "{what}: {}", counts(summary));
            }
        }
        if let Some(trial) = &self.trial {
            let _ = write!(text, "\n{}\n", trial.markdown());
        }
        if let Some(filters) = &self.filters {
            let _ = writeln!(
                text,
                "filters: {} of {} kept",
                filters.kept, filters.documents
            );
        }
        if let Some(LogProbCounts { lines, left_out }) = &self.log_probs {
            let _ = write!(text, "log-probabilities of {lines} answers");
            if let Some((id, reason)) = left_out.first() {
                let _ = write!(text, ", not of {}; of {id}: {reason}", left_out.len());
            }
            text.push('\n');
        }
        match (&self.card, &self.conversations) {
            (Some(card), Some(path)) => {
                let _ = write!(
                    text,
                    "{} conversations of {} prompts in {}",
                    card.conversations,
                    card.prompts_kept,
                    path.display()
                );
            }
            _ => {
                text += "the dataset is not written yet: run the same command again to go on";
                let failed = [&self.trial_answers, &self.answers, &self.judgements];
                if failed
                    .into_iter()
                    .flatten()
                    .any(|summary| summary.failed > 0)
                {
                    text += ", with --retry-failed to ask again for what failed";
                }
            }
        }
        text
    }
}

fn counts(summary: &RunSummary) -> String {
    let RunSummary {
        end,
        finished_before,
        answered,
        failed,
        open,
        usage,
        torn_bytes,
    } = summary;
    let mut text = format!("{answered} answered, {failed} failed");
    if *finished_before > 0 {
        let _ = write!(text, ", {finished_before} were there");
    }
    if *open > 0 {
        let reason = match end {
            RunEnd::Complete => "",
            RunEnd::BudgetSpent => ": the budget allows no further one",
            RunEnd::Stopped => ": stopped",
            RunEnd::TooManyFailures => ": too many failed one after the other",
        };
        let _ = write!(text, ", {open} open{reason}");
    }
    let _ = write!(text, "; {} tokens in all", usage.tokens());
    if *torn_bytes > 0 {
        let _ = write!(
            text,
            "; a record of {torn_bytes} bytes that was cut off is gone"
        );
    }
    text
}
