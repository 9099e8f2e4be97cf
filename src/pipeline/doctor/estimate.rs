//! What a run will take: disk and time.

use std::time::Instant;

use alambic_cache::TargetKind;
use alambic_distill::loss::{HeadPass, LogProbs};
use alambic_distill::teacher::Teacher;
use alambic_transformer::{AttentionContext, DecoderConfig, Recomputation, WantedLayers};
use burn::tensor::{Device, Int, Tensor};

use crate::pipeline::LanguageModel;
use crate::pipeline::recipe::{CacheSection, Recipe};

/// Bytes of a weight that is not trained.
const BYTES_PER_WEIGHT: usize = 4;
/// Bytes of a checkpoint per parameter: the weight and AdamW's two moments in `f32`.
const CHECKPOINT_BYTES_PER_PARAMETER: usize = 12;
/// Bytes that a segment needs per token beside its targets: the id, and its flag in the mask.
const BYTES_PER_TOKEN: usize = 5;
/// Bytes of one entry that is stored as a level, at most about.
const BYTES_PER_COMPACT_ENTRY: usize = 2;
/// Bytes beside the entries of one target: tail mass and entropy.
const BYTES_PER_TARGET: usize = 8;

/// Bytes of an AdamW run per parameter in `f32`: weight, gradient and two moments.
const TRAINING_BYTES_PER_PARAMETER: usize = 16;
/// Copies of the logits that a pass with whole logits holds: log-probabilities and gradients.
const LOGIT_COPIES: usize = 4;
/// Tables of the size of one chunk's logits that a chunked pass holds.
const CHUNK_COPIES: usize = 8;
/// Tables of the size of the head's weight that a chunked pass holds beside it.
const HEAD_GRADIENTS: usize = 2;

/// How much text a split has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextAmount {
    pub(super) segments: usize,
    pub(super) tokens: usize,
    pub(super) labels: usize,
    /// Whether the split goes on behind what was counted.
    pub(super) goes_on: bool,
}

impl TextAmount {
    pub(super) fn tokens_per_segment(&self) -> usize {
        self.tokens / self.segments.max(1)
    }
}

/// Bytes of the larger of capture and training: weights, optimizer and logits of one batch.
pub(super) fn memory_bytes(
    recipe: &Recipe,
    teacher: &LanguageModel,
    student: &DecoderConfig,
) -> usize {
    let vocab = student.vocab_size;
    let training = &recipe.training;
    let logits = |sequences: usize| LOGIT_COPIES * 4 * sequences * training.sequence_tokens * vocab;
    // Hidden states are captured without a projection.
    let hidden_states = recipe.cache.as_ref().and_then(|cache| cache.hidden_states);
    let capturing = match (&recipe.cache, hidden_states) {
        (None, _) | (_, Some(_)) => 0,
        (Some(_), None) => logits(recipe.teacher.batch_segments),
    };
    let whole = logits(training.micro_batch_sequences);
    let head = match training.head_pass() {
        HeadPass::Whole => whole,
        HeadPass::Chunked { chunk_bytes } => {
            let chunks = CHUNK_COPIES * chunk_bytes.min(whole / LOGIT_COPIES);
            chunks + HEAD_GRADIENTS * 4 * student.hidden_size * vocab
        }
    };
    let weights = match &recipe.student.lora {
        None => TRAINING_BYTES_PER_PARAMETER * student.num_parameters(),
        // Weights that are not trained, and once more as they are composed.
        Some(lora) => {
            let trained = TRAINING_BYTES_PER_PARAMETER * lora.num_parameters(student);
            2 * BYTES_PER_WEIGHT * student.num_parameters() + trained
        }
    };
    let projections = TRAINING_BYTES_PER_PARAMETER * projection_parameters(recipe, teacher);
    let training = weights + projections + head;
    // The head that makes distributions of hidden states stands beside the teacher.
    let teacher_head = match hidden_states {
        Some(_) => head_bytes(teacher),
        None => 0,
    };
    // Losses between two vocabularies read whole distributions over both.
    let aligned = match recipe.student.tokenizer {
        Some(_) => whole + whole / vocab * teacher.teacher.vocab_size(),
        None => 0,
    };
    // The teacher stays loaded in both.
    4 * teacher.teacher.num_parameters() + capturing.max(training + teacher_head + aligned)
}

/// Numbers in the projections between hidden states of unlike widths, which are trained with the student.
pub(super) fn projection_parameters(recipe: &Recipe, teacher: &LanguageModel) -> usize {
    let [width, _] = teacher.teacher.decoder().head_weight().dims();
    let own = recipe.student.hidden_size;
    if own == width {
        return 0;
    }
    let terms = recipe.objective.layer_terms().iter();
    let projected = terms.filter(|term| term.kind.hidden_distance().is_some());
    projected.map(|term| term.layers.len() * own * width).sum()
}

/// Bytes of the cache of the training split.
pub(super) fn cache_bytes(
    cache: &CacheSection,
    teacher: &LanguageModel,
    train: &TextAmount,
) -> usize {
    let of_tokens = train.tokens * BYTES_PER_TOKEN;
    if let Some(values) = cache.hidden_states {
        let [width, _] = teacher.teacher.decoder().head_weight().dims();
        let state = values.bits_per_state(width).div_ceil(8);
        return train.labels * state + of_tokens + head_bytes(teacher);
    }
    let further = cache.temperatures().len() - 1;
    let target = match cache.targets() {
        TargetKind::TopK { k, values } => match values.plain_bytes() {
            Some(bytes) => k * (4 + bytes) + (1 + further) * BYTES_PER_TARGET,
            None => (k + further) * BYTES_PER_COMPACT_ENTRY,
        },
        TargetKind::Sampled { draws, .. } => BYTES_PER_TARGET + usize::from(draws) / 2,
        TargetKind::HeadPlusSampledTail {
            k, values, draws, ..
        } => {
            // Ids and upper bits in bits, the others as they are.
            let number = values.plain_bytes().map_or(0, |bytes| bytes - 1);
            k * (BYTES_PER_COMPACT_ENTRY + number) + BYTES_PER_TARGET + usize::from(draws) / 2
        }
        _ => 0,
    };
    train.labels * target + of_tokens
}

/// Bytes of the teacher's head, in a cache and on the device.
fn head_bytes(teacher: &LanguageModel) -> usize {
    let [width, vocab] = teacher.teacher.decoder().head_weight().dims();
    4 * width * vocab
}

/// Bytes of the checkpoints of all arms while the last one is written; `projections` are parameters that
/// only the distilled arm has.
pub(super) fn checkpoint_bytes(
    recipe: &Recipe,
    student: &DecoderConfig,
    projections: usize,
) -> usize {
    let checkpoints = recipe.training.keep_checkpoints + 1;
    let parameters = student.num_parameters();
    let of_student = match &recipe.student.lora {
        None => parameters * CHECKPOINT_BYTES_PER_PARAMETER,
        Some(lora) => {
            let trained = lora.num_parameters(student) * CHECKPOINT_BYTES_PER_PARAMETER;
            parameters * BYTES_PER_WEIGHT + trained
        }
    };
    checkpoints * (arms(recipe) * of_student + projections * CHECKPOINT_BYTES_PER_PARAMETER)
}

/// Students that are trained.
fn arms(recipe: &Recipe) -> usize {
    1 + usize::from(recipe.baseline.enabled)
}

/// Seconds of one run, from one batch of each model on the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds {
    /// None where nothing is captured.
    pub(super) capture: Option<f64>,
    pub(super) training: f64,
}

/// Times the second of two batches; the first one warms up.
pub(super) fn measure_seconds(
    recipe: &Recipe,
    teacher: &LanguageModel,
    student: &DecoderConfig,
    train: &TextAmount,
    device: &Device,
) -> Seconds {
    let capture = recipe.cache.as_ref().map(|cache| {
        let batch = [recipe.teacher.batch_segments, train.tokens_per_segment()];
        let per_batch = second_of_two(|| {
            let token_ids = zeros(batch, device);
            let answers = match cache.hidden_states {
                Some(_) => teacher.teacher.hidden_states(token_ids),
                None => Some(teacher.teacher.log_probs(token_ids).tensor().clone()),
            };
            wait_for(answers.expect("a decoder has hidden states").sum());
        });
        per_batch * train.segments as f64 / recipe.teacher.batch_segments as f64
    });

    let training = &recipe.training;
    let shape = [training.micro_batch_sequences, training.sequence_tokens];
    let device = device.clone().autodiff();
    let decoder = student.init(&device);
    let decoder = match &recipe.student.lora {
        None => decoder,
        Some(lora) => {
            (decoder.with_lora(lora, recipe.seed)).expect("checked before anything is timed")
        }
    };
    let precision = training.precision.unwrap_or_default();
    let decoder = decoder.computing_in(precision);
    let decoder = decoder.expect("checked before anything is timed");
    let context = AttentionContext::causal(shape[0], shape[1], &device);
    let last = student.num_hidden_layers;
    let wanted = WantedLayers {
        hidden_states: [last].into(),
        ..WantedLayers::default()
    };
    let per_pass = second_of_two(|| {
        let token_ids = zeros(shape, &device);
        let (outputs, again) = match training.recompute_layers.unwrap_or_default() {
            true => {
                let (outputs, pass) =
                    Recomputation::forward(&decoder, token_ids, &context, &wanted);
                (outputs, Some(pass))
            }
            false => (decoder.layer_outputs(token_ids, &context, &wanted), None),
        };
        let logits = decoder.lm_head(outputs.hidden_states[&last].clone());
        let loss = LogProbs::from_logits(logits).tensor().clone().mean();
        let mut gradients = loss.clone().backward();
        if let Some(pass) = again {
            pass.backward(&decoder, &mut gradients, drop);
        }
        wait_for(loss.without_autodiff());
    });
    let passes = training.total_steps * training.sequences_per_step / shape[0];
    // A teacher that answers live reads what the distilled student reads.
    let imitated = !recipe.objective.layer_terms().is_empty();
    let live = second_of_two_if(imitated || recipe.student.tokenizer.is_some(), || {
        let [rows, tokens] = shape;
        let readable = tokens.min(teacher.teacher.max_sequence_tokens());
        let token_ids = zeros([rows, readable], teacher.teacher.device());
        let answers = match imitated {
            true => teacher.teacher.hidden_states(token_ids),
            false => Some(teacher.teacher.log_probs(token_ids).tensor().clone()),
        };
        wait_for(answers.expect("a decoder has hidden states").sum());
    });
    Seconds {
        capture,
        training: passes as f64 * (per_pass * arms(recipe) as f64 + live),
    }
}

fn zeros(shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::zeros(shape, device)
}

/// Reads one number back, so that the device has finished.
fn wait_for(value: Tensor<1>) {
    let _: f32 = value.into_scalar();
}

fn second_of_two_if(happens: bool, work: impl FnMut()) -> f64 {
    match happens {
        true => second_of_two(work),
        false => 0.0,
    }
}

fn second_of_two(mut work: impl FnMut()) -> f64 {
    work();
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}
