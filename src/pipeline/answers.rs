//! How many of the textbook's problems a model solves.

use std::collections::BTreeMap;

use alambic_distill::StopHandle;
use alambic_text::{Problem, SpecialTokens, SpecialTokensInText, Split, TextbookItem, Tokenizer};
use alambic_transformer::{Decoder, GenerationConfig, Sampling, generate_batch};

use super::PipelineError;
use super::recipe::TextbookSection;

/// Room for an explanation and an answer.
const MAX_ANSWER_TOKENS: usize = 160;
/// Prompts answered at a time; bounds the key-value cache.
const PROMPTS_PER_BATCH: usize = 64;

/// Solved and asked problems of one family.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FamilyScore {
    pub(crate) asked: u64,
    pub(crate) solved: u64,
    pub(crate) chance_sum: f64,
}

/// Scores by family, with what was generated.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerScore {
    pub(crate) families: BTreeMap<&'static str, FamilyScore>,
    pub(crate) texts: Vec<String>,
}

impl AnswerScore {
    /// Share of problems solved.
    pub(crate) fn accuracy(&self) -> f64 {
        let (asked, solved) = self
            .families
            .values()
            .fold((0, 0), |(asked, solved), family| {
                (asked + family.asked, solved + family.solved)
            });
        solved as f64 / asked.max(1) as f64
    }

    /// Share that blind guessing would solve.
    pub(crate) fn chance(&self) -> f64 {
        let asked: u64 = self.families.values().map(|family| family.asked).sum();
        self.families
            .values()
            .map(|family| family.chance_sum)
            .sum::<f64>()
            / asked.max(1) as f64
    }
}

/// The first `count` problems of the test split: templates that no training text has.
pub(crate) fn test_problems(
    section: &TextbookSection,
    count: usize,
) -> Result<Vec<Problem>, PipelineError> {
    let textbook = section.textbook(Split::Test)?;
    let problems = (0..)
        .map(|index| textbook.item(index))
        .filter_map(|item| match item {
            TextbookItem::Problem(problem) => Some(problem),
            TextbookItem::Story(_) => None,
        });
    Ok(problems.take(count).collect())
}

/// Lets a model write an explanation and an answer for every problem, greedily.
pub(crate) fn answer(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    stop_tokens: &[u32],
    problems: &[Problem],
    stop: &StopHandle,
    mut on_answered: impl FnMut(usize),
) -> Result<AnswerScore, PipelineError> {
    let config = GenerationConfig {
        max_new_tokens: MAX_ANSWER_TOKENS,
        sampling: Sampling::Greedy,
        repetition_penalty: None,
        stop_tokens: stop_tokens.to_vec(),
        seed: 0,
    };
    let mut score = AnswerScore::default();
    for batch in problems.chunks(PROMPTS_PER_BATCH) {
        if stop.is_stopped() {
            return Err(PipelineError::Stopped { stage: "answers" });
        }
        let prompts: Vec<Vec<u32>> = batch
            .iter()
            .map(|problem| Ok(tokenizer.encode(&problem.prompt(), SpecialTokens::Add)?.ids))
            .collect::<Result<_, PipelineError>>()?;
        for (problem, generated) in batch
            .iter()
            .zip(generate_batch(decoder, &prompts, &config)?)
        {
            let text = tokenizer.decode(&generated.token_ids, SpecialTokensInText::Skip)?;
            let family = score.families.entry(problem.family.name()).or_default();
            family.asked += 1;
            family.chance_sum += problem.chance();
            family.solved += u64::from(problem.is_solved_by(&text));
            score.texts.push(text);
        }
        on_answered(score.texts.len());
    }
    Ok(score)
}
