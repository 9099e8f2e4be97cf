//! What a dataset is made of, for people.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::answer::{Delivery, Usage};
use crate::checked_answer::CheckedAnswer;
use crate::filter::DiversityTable;
use crate::prompt::{Prompt, Source};
use crate::synthetic_conversation::SyntheticConversation;

/// What became of the answers of one kind of prompts under one strategy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindCounts {
    /// Answers that were asked for and have come, or failed for good.
    pub answers: usize,
    /// Those that passed all checks.
    pub passed: usize,
    /// Those that were kept.
    pub kept: usize,
}

/// Lengths of texts, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthStatistics {
    /// The shortest.
    pub shortest: usize,
    /// A tenth is shorter.
    pub tenth: usize,
    /// Half is shorter.
    pub median: usize,
    /// Nine tenths are shorter.
    pub ninetieth: usize,
    /// The longest.
    pub longest: usize,
}

impl LengthStatistics {
    /// None if there are no texts.
    #[must_use]
    pub fn new(mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        let last = lengths.len().checked_sub(1)?;
        let at = |tenths: usize| lengths[(last * tenths + 5) / 10];
        Some(Self {
            shortest: lengths[0],
            tenth: at(1),
            median: at(5),
            ninetieth: at(9),
            longest: lengths[last],
        })
    }
}

/// What a dataset is made of: counts, lengths, strategies, rejections, sources with their licences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetCard {
    /// The dataset's name.
    pub name: String,
    /// Who wrote the answers.
    pub teachers: Vec<String>,
    /// Prompts that were read.
    pub prompts: usize,
    /// Prompts of which an answer is kept.
    pub prompts_kept: usize,
    /// Conversations that are kept.
    pub conversations: usize,
    /// What the writers took.
    pub usage: Usage,
    /// By kind, then by strategy; answers without one stand under `none`.
    pub kinds: BTreeMap<String, BTreeMap<String, KindCounts>>,
    /// How many answers each check rejected, by its name: the first that an answer fails.
    pub rejections: BTreeMap<String, usize>,
    /// Lengths of the answers that are kept.
    pub answer_characters: Option<LengthStatistics>,
    /// How diverse the answers are that are kept, of all and by kind and label.
    pub diversity: Option<DiversityTable>,
    /// Conversations by source.
    pub sources: Vec<(Source, usize)>,
}

impl DatasetCard {
    /// Counts answers and conversations.
    #[must_use]
    pub fn new(
        name: &str,
        prompts: &[Prompt],
        checked: &[CheckedAnswer],
        kept: &[SyntheticConversation],
    ) -> Self {
        let mut kinds: BTreeMap<String, BTreeMap<String, KindCounts>> = BTreeMap::new();
        let mut rejections = BTreeMap::new();
        let mut usage = Usage::default();
        for answer in checked {
            let Delivery {
                request,
                usage: taken,
                ..
            } = &answer.record.delivery;
            usage += *taken;
            let kind = &prompts[answer.prompt].kind;
            let counts = counts_of(&mut kinds, kind, request.strategy.as_deref());
            counts.answers += 1;
            counts.passed += usize::from(answer.passes());
            let failed = answer.verdicts.iter().find(|verdict| !verdict.passed);
            if let Some(verdict) = failed {
                *rejections
                    .entry(verdict.check.name().to_owned())
                    .or_default() += 1;
            }
        }
        let mut sources: BTreeMap<Source, usize> = BTreeMap::new();
        let mut teachers: Vec<String> = Vec::new();
        for conversation in kept {
            let strategy = conversation.strategy.as_deref();
            counts_of(&mut kinds, &conversation.kind, strategy).kept += 1;
            *sources.entry(conversation.source.clone()).or_default() += 1;
            if !teachers.contains(&conversation.teacher) {
                teachers.push(conversation.teacher.clone());
            }
        }
        let mut prompts_kept: Vec<&str> = kept.iter().map(|it| prompt_of(&it.id)).collect();
        prompts_kept.dedup();
        let labels: HashMap<&str, &Prompt> =
            prompts.iter().map(|it| (it.id.as_str(), it)).collect();
        let answers = kept.iter().filter_map(|it| {
            let mut parts = vec![format!("kind: {}", it.kind)];
            parts.extend(
                labels
                    .get(prompt_of(&it.id))
                    .map(|it| it.labels.clone())
                    .unwrap_or_default(),
            );
            Some((parts, it.messages.last()?.content.as_str()))
        });
        let answers: Vec<(Vec<String>, &str)> = answers.collect();
        let lengths = kept.iter().filter_map(|it| it.messages.last());
        Self {
            name: name.to_owned(),
            teachers,
            prompts: prompts.len(),
            prompts_kept: prompts_kept.len(),
            conversations: kept.len(),
            usage,
            kinds,
            rejections,
            answer_characters: LengthStatistics::new(
                lengths
                    .map(|message| message.content.chars().count())
                    .collect(),
            ),
            diversity: (!answers.is_empty()).then(|| DiversityTable::new(&answers)),
            sources: sources.into_iter().collect(),
        }
    }

    /// The card as a page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.name);
        let _ = writeln!(
            text,
            "{} conversations from {} of {} prompts, written by {}.\n",
            self.conversations,
            self.prompts_kept,
            self.prompts,
            listed(&self.teachers)
        );
        text += "## Sources\n\n| source | licence | conversations |\n|---|---|---:|\n";
        for (source, count) in &self.sources {
            let _ = writeln!(text, "| {} | {} | {count} |", source.name, source.licence);
        }
        text += "\n## Kinds and strategies\n\n";
        text += "| kind | strategy | answers | passed | kept |\n|---|---|---:|---:|---:|\n";
        for (kind, strategies) in &self.kinds {
            for (strategy, counts) in strategies {
                let KindCounts {
                    answers,
                    passed,
                    kept,
                } = counts;
                let _ = writeln!(
                    text,
                    "| {kind} | {strategy} | {answers} | {passed} | {kept} |"
                );
            }
        }
        text += "\n## Rejected answers\n\n";
        match self.rejections.is_empty() {
            true => text += "None.\n",
            false => {
                text += "By the first check that an answer failed.\n\n| check | answers |\n|---|---:|\n";
                for (check, count) in &self.rejections {
                    let _ = writeln!(text, "| {check} | {count} |");
                }
            }
        }
        if let Some(lengths) = self.answer_characters {
            let LengthStatistics {
                shortest,
                tenth,
                median,
                ninetieth,
                longest,
            } = lengths;
            text += "\n## Lengths of answers, in characters\n\n";
            text += "| shortest | 10 % | median | 90 % | longest |\n|---:|---:|---:|---:|---:|\n";
            let _ = writeln!(
                text,
                "| {shortest} | {tenth} | {median} | {ninetieth} | {longest} |"
            );
        }
        if let Some(diversity) = &self.diversity {
            text += "\n## Diversity of answers\n\n";
            text += &diversity.to_markdown();
        }
        let usage = self.usage;
        let _ = write!(
            text,
            "\n## What it took\n\n{} tokens of prompts and {} of answers",
            usage.prompt_tokens, usage.answer_tokens
        );
        text += &match usage.bounded_tokens {
            0 => ".\n".to_owned(),
            bounded => {
                format!("; {bounded} of them are upper bounds, since the writer did not say.\n")
            }
        };
        text
    }
}

fn counts_of<'a>(
    kinds: &'a mut BTreeMap<String, BTreeMap<String, KindCounts>>,
    kind: &str,
    strategy: Option<&str>,
) -> &'a mut KindCounts {
    let strategies = kinds.entry(kind.to_owned()).or_default();
    strategies
        .entry(strategy.unwrap_or("none").to_owned())
        .or_default()
}

/// The prompt's part of a conversation's identity.
fn prompt_of(id: &str) -> &str {
    let mut parts = id.rsplitn(3, '/');
    parts.nth(2).unwrap_or(id)
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        names => names.join(", "),
    }
}
