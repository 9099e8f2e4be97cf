//! Training the quickstart's teacher from nothing.

use std::path::Path;
use std::sync::Arc;

use alambic_distill::loss::Objective;
use alambic_distill::trainer::{StopReason, Trainer};
use alambic_distill::{DistillError, PlainText, StopHandle, derive_seed};
use alambic_text::{Ending, ExampleTokenizer, SegmentConfig, SegmentStream, Split, Tokenizer};
use alambic_transformer::{Decoder, SaveOptions, WeightType};
use burn::tensor::Device;

use super::teacher_recipe::TeacherRecipe;
use crate::pipeline::answers::{AnswerScore, answer, test_problems};
use crate::pipeline::language_model::TOKENIZER_FILE;
use crate::pipeline::model_directory::write_model;
use crate::pipeline::recipe::TextbookSection;
use crate::pipeline::training_progress::TrainingProgress;
use crate::pipeline::training_setup::TrainingSections;
use crate::pipeline::{PipelineError, Progress};

/// Ends every text, and separates nothing else.
pub(super) const END_OF_TEXT: &str = "<|endoftext|>";
/// Items of the textbook per shard of training data.
const ITEMS_PER_SHARD: u64 = 512;

/// Trains the teacher of `configs/quickstart_teacher.toml` into `directory/teacher`.
pub(super) fn train_teacher(
    directory: &Path,
    device: &Device,
    stop: &StopHandle,
    progress: &Arc<dyn Progress>,
) -> Result<AnswerScore, PipelineError> {
    let recipe = TeacherRecipe::embedded();
    progress.stage("tokenizer", "byte-level BPE on the textbook");
    let tokenizer = Arc::new(train_tokenizer(&recipe)?);
    let end = tokenizer
        .token_to_id(END_OF_TEXT)
        .expect("the tokenizer was trained with it");
    progress.stage(
        "teacher",
        "trained on hard labels, about half an hour on 2 cores",
    );
    let decoder = train_decoder(&recipe, &tokenizer, end, directory, device, stop, progress)?;
    save_teacher(&decoder, &tokenizer, end, &directory.join("teacher"))?;
    progress.stage(
        "answers",
        "problems of templates that the teacher never saw",
    );
    let problems = test_problems(&recipe.textbook, recipe.textbook.test_items as usize)?;
    progress.begin("problems", Some(problems.len() as u64));
    let score = answer(&decoder, &tokenizer, &[end], &problems, stop, |done| {
        progress.advance(done as u64, "")
    })?;
    progress.end();
    Ok(score)
}

fn train_tokenizer(recipe: &TeacherRecipe) -> Result<Tokenizer, PipelineError> {
    let textbook = recipe.textbook.textbook(Split::Train)?;
    let texts = textbook
        .items(0..recipe.tokenizer.training_items)
        .map(|item| item.text());
    Ok(Tokenizer::train_byte_level_bpe(
        texts,
        recipe.tokenizer.vocab_size,
        &[END_OF_TEXT],
    )?)
}

fn train_decoder(
    recipe: &TeacherRecipe,
    tokenizer: &Arc<Tokenizer>,
    end: u32,
    directory: &Path,
    device: &Device,
    stop: &StopHandle,
    progress: &Arc<dyn Progress>,
) -> Result<Decoder, PipelineError> {
    let sections = TrainingSections {
        seed: recipe.seed,
        optimizer: &recipe.optimizer,
        schedule: &recipe.schedule,
        training: &recipe.training,
    };
    device.seed(derive_seed(recipe.seed, "init"));
    let student = recipe
        .model
        .decoder_config(tokenizer.vocab_size())
        .init(device);
    let source = |split| {
        Arc::new(text_shards(
            &recipe.textbook,
            split,
            tokenizer,
            end,
            recipe.training.sequence_tokens,
        ))
    };
    let outcome = Trainer::try_new(
        sections.trainer_config(Objective::hard_labels(), end),
        sections.run_settings(false),
    )?
    .with_stop(stop.clone())
    .with_sink(TrainingProgress::new(
        progress.clone(),
        recipe.training.total_steps as u64,
    ))
    .train(
        student,
        source(Split::Train),
        Some(source(Split::Validation)),
        &directory.join("training"),
    )?;
    progress.end();
    match outcome.reason {
        StopReason::Interrupted => Err(PipelineError::Stopped {
            stage: "training of the teacher",
        }),
        StopReason::Finished | StopReason::NoImprovement => Ok(outcome.student),
    }
}

/// The textbook as shards of segments, made when they are read.
fn text_shards(
    section: &TextbookSection,
    split: Split,
    tokenizer: &Arc<Tokenizer>,
    end: u32,
    max_tokens: usize,
) -> PlainText<
    impl Fn(usize) -> Result<Vec<alambic_text::Segment>, DistillError> + Send + Sync + use<>,
> {
    let section = section.clone();
    let items = section.items(split);
    let identity = format!(
        "textbook {section:?} {split:?} {} {max_tokens}",
        tokenizer.fingerprint()
    );
    let examples = ExampleTokenizer::new(tokenizer.clone(), None, Ending::EndOfText(end));
    let shards = items.div_ceil(ITEMS_PER_SHARD) as usize;
    PlainText::new(identity, shards, tokenizer.vocab_size(), move |shard| {
        let textbook = section.textbook(split)?;
        let config = SegmentConfig {
            max_tokens,
            over_length: alambic_text::OverLength::Error,
        };
        let first = shard as u64 * ITEMS_PER_SHARD;
        let last = (first + ITEMS_PER_SHARD).min(items);
        let documents = textbook.documents(first..last).map(Ok);
        let segments = SegmentStream::new(documents, examples.clone(), config)?;
        Ok(segments.collect::<Result<_, _>>()?)
    })
}

fn save_teacher(
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    end: u32,
    directory: &Path,
) -> Result<(), PipelineError> {
    let options = SaveOptions {
        dtype: WeightType::BF16,
        bos_token_id: None,
        eos_token_ids: vec![end],
        pad_token_id: None,
        max_shard_bytes: None,
    };
    write_model(decoder, &options, directory, |new| {
        Ok(tokenizer.save(&new.join(TOKENIZER_FILE))?)
    })
}
