//! A batch whose rows start and end on their own.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::batch::Prompt;
use super::sampler::{Sampler, log_prob};
use super::{FinishReason, Generated, GenerationConfig};
use crate::decoder::Decoder;
use crate::error::TransformerError;
use crate::kv_cache::KvCache;

/// Fills rows up on the left; nothing sees it.
const FILLER: u32 = 0;

/// A text of a [`DecodeSession`], in the order in which they were started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(usize);

/// Generates any number of texts beside each other; each starts and ends when it does.
///
/// Every text has its own settings and gets what [`generate`](super::generate) would give it alone, whatever
/// runs beside it. Rows that end leave the batch at once, with their keys and values. (Sums in another order may
/// differ in the last bit of a logit, so a choice between two all but equally probable tokens can fall otherwise.)
///
/// # Memory
/// The [cache](KvCache) of the texts that are running, each as wide as the longest of them.
///
/// ```
/// use std::ops::ControlFlow;
/// use alambic_transformer::{Architecture, DecodeSession, DecoderConfig, DeviceChoice, GenerationConfig};
///
/// # let config = DecoderConfig {
/// #     vocab_size: 32, hidden_size: 16, intermediate_size: 40, num_hidden_layers: 2,
/// #     num_attention_heads: 4, num_key_value_heads: 2, head_dim: 4, max_position_embeddings: 64,
/// #     rms_norm_eps: 1e-5, rope_theta: 10_000.0, tie_word_embeddings: true,
/// #     initializer_range: 0.02,
/// #     architecture: Architecture::default(),
/// # };
/// let decoder = config.init(&DeviceChoice::Cpu.open()?);
/// let mut session = DecodeSession::new(&decoder);
/// let first = session.start(&[1, 7], &GenerationConfig::greedy(5))?;
/// session.step(|_, _| ControlFlow::Continue(()))?;
/// // A second one comes in while the first is being written.
/// let second = session.start(&[3, 9, 4], &GenerationConfig::greedy(2))?;
/// while session.num_running() > 0 {
///     session.step(|_, _| ControlFlow::Continue(()))?;
/// }
/// let finished = session.take_finished();
/// let slots: Vec<_> = finished.iter().map(|(slot, _)| *slot).collect();
/// assert_eq!(slots, [second, first]);
/// assert_eq!(finished[1].1.token_ids.len(), 5);
/// # Ok::<(), alambic_transformer::TransformerError>(())
/// ```
#[derive(Debug)]
pub struct DecodeSession {
    decoder: Decoder,
    /// In the order of the cache's rows.
    running: Vec<Row>,
    /// Of the running rows; none if there are none.
    cache: Option<KvCache>,
    /// Rows whose prompts have not been read yet.
    waiting: Vec<Row>,
    finished: Vec<(Slot, Generated)>,
    started: usize,
}

impl DecodeSession {
    /// A session without texts. A decoder on an autodiff device is used without tracking gradients.
    pub fn new(decoder: &Decoder) -> Self {
        Self {
            decoder: decoder.valid(),
            running: Vec::new(),
            cache: None,
            waiting: Vec::new(),
            finished: Vec::new(),
            started: 0,
        }
    }

    /// Adds a text that goes on from a prompt, which the next [`step`](Self::step) reads.
    ///
    /// # Errors
    /// As [`generate`](super::generate) for settings and prompt; the error names how many were started before.
    pub fn start(
        &mut self,
        prompt: &[u32],
        config: &GenerationConfig,
    ) -> Result<Slot, TransformerError> {
        let of_decoder = self.decoder.config();
        config.validate(of_decoder.vocab_size)?;
        let prompt = Prompt::checked(self.started, prompt, of_decoder)?;
        let slot = Slot(self.started);
        let row = Row::new(slot, &prompt, config, of_decoder.max_sequence_tokens());
        self.started += 1;
        match row.finish {
            Some(finish) => self.finished.push(row.into_generated(finish)),
            None => self.waiting.push(row),
        }
        Ok(slot)
    }

    /// Texts that go on.
    pub fn num_running(&self) -> usize {
        self.running.len() + self.waiting.len()
    }

    /// Chooses one more token of every text that goes on; `on_token` sees each, and may end its text.
    ///
    /// # Errors
    /// [`TransformerError::LogitNotFinite`] when a choice has no distribution. The texts that went on are lost then,
    /// finished ones are kept.
    pub fn step(
        &mut self,
        mut on_token: impl FnMut(Slot, u32) -> ControlFlow<()>,
    ) -> Result<(), TransformerError> {
        let logits = self.read();
        let logits = logits.and_then(|mut logits| {
            let (vocab_size, max_tokens) = (
                self.decoder.config().vocab_size,
                self.decoder.config().max_sequence_tokens(),
            );
            let rows = self.running.iter_mut();
            for (row, logits) in rows.zip(logits.chunks_exact_mut(vocab_size)) {
                let slot = row.slot;
                row.choose(logits, max_tokens, |token| on_token(slot, token))?;
            }
            Ok(())
        });
        // Texts that ended are kept, whatever became of the others.
        self.part_with_finished();
        if logits.is_err() {
            self.running.clear();
            self.waiting.clear();
            self.cache = None;
        }
        logits
    }

    /// Ends a text now; `false` if it does not go on.
    pub fn stop(&mut self, slot: Slot) -> bool {
        if let Some(index) = self.waiting.iter().position(|row| row.slot == slot) {
            let row = self.waiting.remove(index);
            self.finished
                .push(row.into_generated(FinishReason::Interrupted));
            return true;
        }
        let Some(row) = self.running.iter_mut().find(|row| row.slot == slot) else {
            return false;
        };
        row.finish = Some(FinishReason::Interrupted);
        self.part_with_finished();
        true
    }

    /// The texts that ended since the last call, in the order in which they did.
    pub fn take_finished(&mut self) -> Vec<(Slot, Generated)> {
        std::mem::take(&mut self.finished)
    }

    /// Reads the newest tokens, and prompts that wait; the logits of every running row after its last token.
    fn read(&mut self) -> Result<Vec<f32>, TransformerError> {
        let decoder = &self.decoder;
        let outgrows = |row: &Row| decoder.config().outgrows(row.token_ids.len());
        let mut logits = match &mut self.cache {
            None => Vec::new(),
            Some(cache) if self.running.iter().any(outgrows) => {
                let logits;
                (*cache, logits) = read_texts(decoder, &self.running)?;
                logits
            }
            Some(cache) => {
                let newest = self.running.iter().filter_map(|row| row.token_ids.last());
                next_logits(
                    decoder,
                    newest.copied().collect(),
                    self.running.len(),
                    cache,
                )?
            }
        };
        if !self.waiting.is_empty() {
            let (new, more) = read_texts(decoder, &self.waiting)?;
            match &mut self.cache {
                Some(cache) => cache.join(new),
                None => self.cache = Some(new),
            }
            logits.extend(more);
            self.running.append(&mut self.waiting);
        }
        Ok(logits)
    }

    /// Moves rows that ended out of the batch.
    fn part_with_finished(&mut self) {
        let goes_on = |(_, row): &(usize, &Row)| row.finish.is_none();
        let kept: Vec<usize> = (self.running.iter().enumerate().filter(goes_on))
            .map(|(index, _)| index)
            .collect();
        if kept.len() == self.running.len() {
            return;
        }
        let device = self.decoder.device();
        match &mut self.cache {
            Some(cache) if !kept.is_empty() => cache.keep_rows(&kept, &device),
            _ => self.cache = None,
        }
        for row in std::mem::take(&mut self.running) {
            match row.finish {
                Some(finish) => self.finished.push(row.into_generated(finish)),
                None => self.running.push(row),
            }
        }
    }
}

/// A text while it is being generated.
#[derive(Debug)]
struct Row {
    slot: Slot,
    config: GenerationConfig,
    prompt_tokens: usize,
    /// Prompt and new tokens.
    token_ids: Vec<u32>,
    /// Of the new tokens.
    log_probs: Vec<f32>,
    sampler: Sampler,
    finish: Option<FinishReason>,
}

impl Row {
    fn new(slot: Slot, prompt: &Prompt, config: &GenerationConfig, max_tokens: usize) -> Self {
        let mut row = Self {
            slot,
            config: config.clone(),
            prompt_tokens: prompt.token_ids.len(),
            token_ids: prompt.token_ids.to_vec(),
            log_probs: Vec::new(),
            sampler: Sampler::new(config),
            finish: None,
        };
        row.end_if_full(max_tokens);
        row
    }

    fn end_if_full(&mut self, max_tokens: usize) {
        if self.token_ids.len() - self.prompt_tokens == self.config.max_new_tokens {
            self.finish = Some(FinishReason::MaxNewTokens);
        } else if self.token_ids.len() == max_tokens {
            self.finish = Some(FinishReason::ContextFull);
        }
    }

    fn choose(
        &mut self,
        logits: &mut [f32],
        max_tokens: usize,
        on_token: impl FnOnce(u32) -> ControlFlow<()>,
    ) -> Result<(), TransformerError> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(TransformerError::LogitNotFinite {
                token,
                position: self.token_ids.len(),
                found: logits[token],
            });
        }
        // A penalty changes them.
        let own = self.config.repetition_penalty.map(|_| logits.to_vec());
        let token = self.sampler.choose(logits, &self.token_ids);
        if self.config.stop_tokens.contains(&token) {
            self.finish = Some(FinishReason::Stop(token));
            return Ok(());
        }
        self.token_ids.push(token);
        let own = own.as_deref().unwrap_or(logits);
        self.log_probs.push(log_prob(own, token));
        match on_token(token) {
            ControlFlow::Continue(()) => self.end_if_full(max_tokens),
            ControlFlow::Break(()) => self.finish = Some(FinishReason::Interrupted),
        }
        Ok(())
    }

    fn into_generated(mut self, finish: FinishReason) -> (Slot, Generated) {
        let generated = Generated {
            token_ids: self.token_ids.split_off(self.prompt_tokens),
            log_probs: self.log_probs,
            finish,
        };
        (self.slot, generated)
    }
}

/// Reads whole texts into a new cache; returns the logits after their last tokens.
fn read_texts(decoder: &Decoder, rows: &[Row]) -> Result<(KvCache, Vec<f32>), TransformerError> {
    let texts = || rows.iter().map(|row| row.token_ids.as_slice());
    let longest = texts().map(<[u32]>::len).max().unwrap_or(0);
    let padding: Vec<usize> = texts().map(|text| longest - text.len()).collect();
    let filled = texts().zip(&padding).flat_map(|(text, &padding)| {
        std::iter::repeat_n(FILLER, padding).chain(text.iter().copied())
    });
    let token_ids: Vec<u32> = filled.collect();
    let mut cache = KvCache::left_padded(decoder.config(), padding);
    let logits = next_logits(decoder, token_ids, rows.len(), &mut cache)?;
    Ok((cache, logits))
}

/// Reads some tokens per row; returns the logits after the last of them, `[batch, vocab]`.
fn next_logits(
    decoder: &Decoder,
    token_ids: Vec<u32>,
    batch: usize,
    cache: &mut KvCache,
) -> Result<Vec<f32>, TransformerError> {
    let seq = token_ids.len() / batch;
    let token_ids: Vec<i32> = token_ids.into_iter().map(|id| id as i32).collect();
    let device = decoder.device();
    let token_ids = Tensor::<2, Int>::from_data(TensorData::new(token_ids, [batch, seq]), &device);
    let hidden = decoder.step_hidden(token_ids, cache);
    let logits = decoder.lm_head(hidden.narrow(1, seq - 1, 1));
    logits
        .try_into_vec_as()
        .map_err(|source| TransformerError::ReadTensor {
            what: "the logits".to_string(),
            source,
        })
}
