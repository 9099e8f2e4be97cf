//! What the models write, side by side.

use std::ops::ControlFlow;

use alambic_text::{SpecialTokens, SpecialTokensInText};
use alambic_transformer::{GenerationConfig, Sampling, generate};

use super::Plan;
use super::evaluate::{Measured, Measurements};
use crate::pipeline::report::{ModelArm, Sample};
use crate::pipeline::{ModelTokenizer, PipelineError};

/// Solved or unsolved problems shown in a report, besides the recipe's prompts.
const SHOWN_PROBLEMS: usize = 4;

/// The recipe's prompts continued by every model, and the first problems with their answers.
pub(super) fn samples(plan: &Plan, all: &Measurements) -> Result<Vec<Sample>, PipelineError> {
    let mut samples = Vec::new();
    for prompt in &plan.recipe.evaluation.prompts {
        let continued = |arm| -> Result<Option<String>, PipelineError> {
            all.of(arm)
                .map(|model| continuation(plan, model, prompt))
                .transpose()
        };
        samples.push(Sample {
            prompt: prompt.clone(),
            teacher: continued(ModelArm::Teacher)?.unwrap_or_default(),
            student: continued(ModelArm::Distilled)?.unwrap_or_default(),
            baseline: continued(ModelArm::HardLabels)?,
            expected: None,
        });
    }
    for (index, problem) in all.problems.iter().enumerate().take(SHOWN_PROBLEMS) {
        let text = |arm| {
            all.of(arm)
                .and_then(|model: &Measured| model.answers.as_ref()?.texts.get(index).cloned())
        };
        samples.push(Sample {
            prompt: problem.prompt(),
            teacher: text(ModelArm::Teacher).unwrap_or_default(),
            student: text(ModelArm::Distilled).unwrap_or_default(),
            baseline: text(ModelArm::HardLabels),
            expected: Some(format!(
                " {}\nAnswer: {}",
                problem.explanation, problem.answer
            )),
        });
    }
    Ok(samples)
}

/// The greedy continuation of a prompt.
fn continuation(plan: &Plan, model: &Measured, prompt: &str) -> Result<String, PipelineError> {
    let ModelTokenizer {
        tokenizer,
        eos_token_ids,
        ..
    } = plan.tokenizer_of(model.arm);
    let ids = tokenizer.encode(prompt, SpecialTokens::Add)?.ids;
    let config = GenerationConfig {
        max_new_tokens: plan.recipe.evaluation.sample_tokens,
        sampling: Sampling::Greedy,
        repetition_penalty: None,
        stop_tokens: eos_token_ids,
        seed: plan.recipe.seed,
    };
    let generated = generate(&model.decoder, &ids, &config, |_| ControlFlow::Continue(()))?;
    Ok(tokenizer.decode(&generated.token_ids, SpecialTokensInText::Skip)?)
}
