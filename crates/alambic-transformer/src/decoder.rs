//! The decoder: embedding, layers, final norm and output projection.

use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear, RmsNorm};
use burn::tensor::module::linear;
use burn::tensor::{Device, Int, Tensor};

use crate::config::DecoderConfig;
use crate::context::AttentionContext;
use crate::decoder_layer::{DecoderLayer, assemble_linear, assemble_norm};
use crate::kv_cache::KvCache;
use crate::random_weights::RandomWeights;
use crate::weights::{Weight, WeightSource, WeightValue};

/// A pre-norm decoder-only transformer (Touvron et al. 2023, arXiv:2302.13971).
///
/// RMS norms, rotary positions, grouped-query attention, SwiGLU and no biases. Weights are made by
/// [`DecoderConfig::init`] or [`load_checkpoint`](crate::load_checkpoint). The parts can be called
/// apart: a loss that walks over the tokens in chunks wants [`hidden`](Self::hidden) once and
/// [`lm_head`](Self::lm_head) many times.
#[derive(Module, Debug)]
pub struct Decoder {
    embed_tokens: Embedding,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    lm_head: Option<Linear>,
    #[module(skip)]
    config: DecoderConfig,
}

impl Decoder {
    /// Embeds token ids.
    ///
    /// # Shapes
    /// `[batch, seq]` → `[batch, seq, hidden]`
    pub fn embed(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        let tracks_gradients = self.embed_tokens.weight.val().is_autodiff();
        let token_ids = if tracks_gradients {
            token_ids
        } else {
            token_ids.without_autodiff()
        };
        self.embed_tokens.forward(token_ids)
    }

    /// Computes the hidden states after the final norm, which [`lm_head`](Self::lm_head) reads.
    ///
    /// # Shapes
    /// `[batch, seq]` → `[batch, seq, hidden]`; `context` must be made for the same batch and seq.
    ///
    /// # Cost
    /// Time O(seq²) per layer and document. On the CPU backend flex, memory O(seq); on the others the
    /// attention weights are materialised.
    ///
    /// # Panics
    /// If `context` has another shape, or another device.
    pub fn hidden(&self, token_ids: Tensor<2, Int>, context: &AttentionContext) -> Tensor<3> {
        let [batch, seq] = token_ids.dims();
        assert_eq!(
            context.dims(),
            [batch, seq],
            "the attention context must be made for the batch's shape"
        );
        let sight = context.sight(&self.config);
        let mut states = self.embed(token_ids);
        for layer in &self.layers {
            states = layer.forward(states, &sight, None);
        }
        self.norm.forward(states)
    }

    /// Projects hidden states to logits; a tied decoder uses its embedding, transposed.
    ///
    /// # Shapes
    /// `[batch, seq, hidden]` → `[batch, seq, vocab]`
    pub fn lm_head(&self, hidden: Tensor<3>) -> Tensor<3> {
        linear(hidden, self.head_weight(), None)
    }

    /// The output projection that [`lm_head`](Self::lm_head) multiplies with, as `[hidden, vocab]`.
    ///
    /// Of a tied decoder this is a transposed view of the embedding; gradients flow into it.
    pub fn head_weight(&self) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.weight.val(),
            None => self.embed_tokens.weight.val().transpose(),
        }
    }

    /// Computes logits: [`hidden`](Self::hidden), then [`lm_head`](Self::lm_head).
    ///
    /// # Shapes
    /// `[batch, seq]` → `[batch, seq, vocab]`
    pub fn forward(&self, token_ids: Tensor<2, Int>, context: &AttentionContext) -> Tensor<3> {
        self.lm_head(self.hidden(token_ids, context))
    }

    /// Computes the logits of the next tokens of each row, and appends them to the cache.
    ///
    /// # Shapes
    /// `[batch, new]` → `[batch, new, vocab]`; the first call may hold the whole prompt.
    ///
    /// # Panics
    /// If the batch is not the cache's, or the cache has no room for `new` more positions.
    pub fn step(&self, token_ids: Tensor<2, Int>, cache: &mut KvCache) -> Tensor<3> {
        let hidden = self.step_hidden(token_ids, cache);
        self.lm_head(hidden)
    }

    /// [`step`](Self::step) without the output projection: `[batch, new]` → `[batch, new, hidden]`.
    pub(crate) fn step_hidden(&self, token_ids: Tensor<2, Int>, cache: &mut KvCache) -> Tensor<3> {
        let [batch, new] = token_ids.dims();
        let mut states = self.embed(token_ids);
        let sight = cache.sight(batch, new, &self.config, &states.device());
        for (layer, layer_cache) in self.layers.iter().zip(cache.layers_mut()) {
            states = layer.forward(states, &sight, Some(layer_cache));
        }
        cache.advance(new);
        self.norm.forward(states)
    }

    /// The same decoder over its first `vocab_size` tokens.
    ///
    /// Models are often padded to a round number of rows. What the rows beyond the tokenizer's would
    /// get of a distribution is no token's; without them it is that of the tokens alone, normalised.
    ///
    /// # Panics
    /// If `vocab_size` is 0 or more than there are rows.
    pub fn within_vocabulary(mut self, vocab_size: usize) -> Self {
        let rows = self.config.vocab_size;
        assert!(
            (1..=rows).contains(&vocab_size),
            "the first {vocab_size} of {rows} rows"
        );
        if vocab_size == rows {
            return self;
        }
        let narrowed = |weight: &Param<Tensor<2>>, dim| {
            Param::from_tensor(weight.val().narrow(dim, 0, vocab_size))
        };
        self.embed_tokens.weight = narrowed(&self.embed_tokens.weight, 0);
        if let Some(head) = &mut self.lm_head {
            head.weight = narrowed(&head.weight, 1);
        }
        self.config.vocab_size = vocab_size;
        self
    }

    /// The configuration the decoder was made from.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.embed_tokens.weight.val().device()
    }

    pub(crate) fn random(config: &DecoderConfig, device: &Device) -> Self {
        let mut source = RandomWeights { config, device };
        match Self::assemble(config, &mut source) {
            Ok(decoder) => decoder,
            Err(never) => match never {},
        }
    }

    /// Asks `source` for every weight, in the order of [`Weight::all`].
    pub(crate) fn assemble<S: WeightSource>(
        config: &DecoderConfig,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        let embed_tokens = Embedding {
            weight: Param::from_tensor(source.table(Weight::Embedding)?),
        };
        let layers = (0..config.num_hidden_layers)
            .map(|index| DecoderLayer::assemble(config, index, source))
            .collect::<Result<_, _>>()?;
        let norm = assemble_norm(config, Weight::FinalNorm, source)?;
        let lm_head = if config.tie_word_embeddings {
            None
        } else {
            Some(assemble_linear(Weight::Head, source)?)
        };
        Ok(Self {
            embed_tokens,
            layers,
            norm,
            lm_head,
            config: config.clone(),
        })
    }

    /// The value of one weight, in the orientation in which the decoder computes with it.
    pub(crate) fn weight(&self, weight: Weight) -> WeightValue {
        match weight {
            Weight::Embedding => WeightValue::Table(self.embed_tokens.weight.val()),
            Weight::FinalNorm => WeightValue::Vector(self.norm.gamma.val()),
            Weight::Head => WeightValue::Projection(self.head_weight()),
            Weight::Layer { index, part } => self.layers[index].weight(part),
        }
    }
}
