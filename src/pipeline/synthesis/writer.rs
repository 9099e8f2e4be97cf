//! The writers that a recipe can name.

use alambic_synth::{
    AnswerRequest, AnswerWriter, Delivery, LocalModel, Prompt, ReadyAnswers, SynthError, Usage,
    WriteEnd,
};
use alambic_text::{Textbook, TextbookConfig, TextbookItem};
use burn::tensor::Device;

use super::log_probs::chat_template;
use super::recipe::{SynthesisRecipe, TeacherSource, TextbookPrompts};
use crate::pipeline::hub::find_model;
use crate::pipeline::{LanguageModel, PipelineError, Progress};

/// Who wrote the textbook's own solutions.
const TEXTBOOK: &str = "textbook";

/// One of the writers that a recipe can name.
pub(super) enum Writer {
    #[cfg(feature = "endpoint")]
    Endpoint(Box<alambic_synth::Endpoint>),
    Local(Box<LocalModel>),
    Ready(ReadyAnswers),
}

impl Writer {
    /// Opens what the recipe names; `taken` is what earlier runs of the directory took.
    pub(super) fn open(
        source: &TeacherSource,
        recipe: &SynthesisRecipe,
        taken: Usage,
        device: &Device,
        progress: &dyn Progress,
    ) -> Result<Self, PipelineError> {
        match source {
            #[cfg(feature = "endpoint")]
            TeacherSource::Endpoint(config) => {
                let endpoint = alambic_synth::Endpoint::new((**config).clone(), taken)?;
                Ok(Self::Endpoint(Box::new(endpoint)))
            }
            #[cfg(not(feature = "endpoint"))]
            TeacherSource::Endpoint(_) => {
                let _ = taken;
                Err(PipelineError::Input {
                    what: "teacher.endpoint".into(),
                    expected: "a build that can ask servers".into(),
                    found: "one that cannot".into(),
                    advice: "build with the feature `endpoint`".into(),
                })
            }
            TeacherSource::Checkpoint {
                path,
                batch_requests,
            } => {
                let directory = find_model(path, progress)?;
                let model = LanguageModel::load(&directory, device)?;
                let template = chat_template(&directory)?;
                Ok(Self::Local(Box::new(LocalModel {
                    name: model.name(),
                    decoder: model.teacher.decoder().clone(),
                    tokenizer: model.tokenizer.clone(),
                    template,
                    stop_tokens: model.eos_token_ids.clone(),
                    batch_requests: *batch_requests,
                })))
            }
            TeacherSource::File { path, model } => {
                Ok(Self::Ready(ReadyAnswers::from_file(path, model)?))
            }
            TeacherSource::WorkedSolutions => match &recipe.textbook {
                Some(_) if recipe.strategies.is_some() => Err(PipelineError::Input {
                    what: "strategies".into(),
                    expected: "none, since the textbook's solutions follow none".into(),
                    found: "some".into(),
                    advice: "remove [strategies], or name another teacher".into(),
                }),
                Some(textbook) => Ok(Self::Ready(worked_solutions(textbook)?)),
                None => Err(PipelineError::Input {
                    what: "teacher.worked_solutions".into(),
                    expected: "problems of the textbook".into(),
                    found: "no [textbook]".into(),
                    advice: "add [textbook], or name another teacher".into(),
                }),
            },
        }
    }
}

impl AnswerWriter for Writer {
    fn identity(&self) -> String {
        match self {
            #[cfg(feature = "endpoint")]
            Self::Endpoint(endpoint) => endpoint.identity(),
            Self::Local(model) => model.identity(),
            Self::Ready(answers) => answers.identity(),
        }
    }

    fn write(
        &mut self,
        requests: &mut dyn Iterator<Item = AnswerRequest>,
        deliver: &mut dyn FnMut(Delivery) -> Result<(), SynthError>,
    ) -> Result<WriteEnd, SynthError> {
        match self {
            #[cfg(feature = "endpoint")]
            Self::Endpoint(endpoint) => endpoint.write(requests, deliver),
            Self::Local(model) => model.write(requests, deliver),
            Self::Ready(answers) => answers.write(requests, deliver),
        }
    }
}

/// The textbook that a recipe takes its prompts from.
pub(super) fn textbook(prompts: &TextbookPrompts) -> Result<Textbook, PipelineError> {
    let config = TextbookConfig {
        seed: prompts.seed,
        split: prompts.split,
        story_ratio: 0.0,
    };
    Ok(Textbook::new(config)?)
}

/// The explanation of each problem, and its answer on a line of its own.
fn worked_solutions(prompts: &TextbookPrompts) -> Result<ReadyAnswers, PipelineError> {
    let textbook = textbook(prompts)?;
    let asked = Prompt::of_textbook(&textbook, prompts.problems, &prompts.source);
    let problems = textbook.items(0..prompts.problems as u64);
    let answers = asked.zip(problems).filter_map(|(prompt, item)| match item {
        TextbookItem::Problem(problem) => {
            let answer = format!("{}\nAnswer: {}", problem.explanation, problem.answer);
            Some((prompt.id, answer))
        }
        TextbookItem::Story(_) => None,
    });
    Ok(ReadyAnswers::of_prompts(TEXTBOOK, answers))
}
