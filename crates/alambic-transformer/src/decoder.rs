//! The decoder: embedding, layers, final norm and output projection.

use alambic_kernels::Precision;
use burn::module::{Module, Param};
use burn::nn::Embedding;
use burn::tensor::{DType, Device, Int, Tensor};

use crate::config::DecoderConfig;
use crate::context::{AttentionContext, Sight};
use crate::decoder_layer::{DecoderLayer, assemble_final_norm, assemble_linear, scaled};
use crate::device::check_precision;
use crate::error::TransformerError;
use crate::kv_cache::KvCache;
use crate::layer_outputs::{AttentionProjections, LayerOutputs, WantedLayers};
use crate::linear::Linear;
use crate::lora::LoraConfig;
use crate::norm::Norm;
use crate::random_weights::RandomWeights;
use crate::weights::{Weight, WeightSource, WeightValue};

/// A decoder-only transformer: that of Llama (Touvron et al. 2023, arXiv:2302.13971) but for what its
/// [`Architecture`](crate::Architecture) says. Weights are made by
/// [`DecoderConfig::init`] or [`load_checkpoint`](crate::load_checkpoint). The parts can be called
/// apart: a loss that walks over the tokens in chunks wants [`hidden`](Self::hidden) once and
/// [`lm_head`](Self::lm_head) many times.
#[derive(Module, Debug)]
pub struct Decoder {
    embed_tokens: Embedding,
    /// Learned positions, where the architecture has them.
    embed_positions: Option<Embedding>,
    layers: Vec<DecoderLayer>,
    norm: Norm,
    lm_head: Option<Linear>,
    #[module(skip)]
    config: DecoderConfig,
    /// The settings of its adapters, if it has any.
    #[module(skip)]
    lora: Option<LoraConfig>,
    #[module(skip)]
    precision: Precision,
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
        let states = self.embed_tokens.forward(token_ids);
        scaled(states, self.config.architecture.embedding_scale)
    }

    /// What the first layer reads.
    pub(crate) fn input_states(&self, token_ids: Tensor<2, Int>, sight: &Sight) -> Tensor<3> {
        let states = self.embed(token_ids);
        match &self.embed_positions {
            None => states,
            Some(embedding) => {
                let positions = match states.is_autodiff() {
                    true => sight.positions.clone().autodiff(),
                    false => sight.positions.clone(),
                };
                states + embedding.forward(positions)
            }
        }
    }

    /// Computes the hidden states after the final norm, which [`lm_head`](Self::lm_head) reads.
    ///
    /// # Shapes
    /// `[batch, seq]` → `[batch, seq, hidden]`; `context` must be made for the same batch and seq.
    ///
    /// # Cost
    /// Time O(seq²) per layer and document. On the CPU backend flex, memory O(seq), unless scores are capped softly; there
    /// and on other backends the attention weights are materialised.
    ///
    /// # Panics
    /// If `context` has another shape, or another device.
    pub fn hidden(&self, token_ids: Tensor<2, Int>, context: &AttentionContext) -> Tensor<3> {
        let last = self.layers.len();
        let wanted = WantedLayers {
            hidden_states: [last].into(),
            ..WantedLayers::default()
        };
        let mut outputs = self.layer_outputs(token_ids, context, &wanted);
        let hidden = outputs.hidden_states.remove(&last);
        hidden.expect("it was wanted")
    }

    /// Computes the outputs of some layers, and no layer behind the last of these; gradients flow through
    /// them.
    ///
    /// # Panics
    /// As [`hidden`](Self::hidden), and if a wanted layer does not exist.
    ///
    /// # Example
    /// ```
    /// use alambic_transformer::{AttentionContext, Architecture, DecoderConfig, WantedLayers};
    /// use burn::tensor::{Device, Int, Tensor};
    ///
    /// let device = Device::flex();
    /// let decoder = DecoderConfig {
    ///     vocab_size: 32,
    ///     hidden_size: 16,
    ///     intermediate_size: 40,
    ///     num_hidden_layers: 2,
    ///     num_attention_heads: 4,
    ///     num_key_value_heads: 2,
    ///     head_dim: 4,
    ///     max_position_embeddings: 64,
    ///     rms_norm_eps: 1e-5,
    ///     rope_theta: 10_000.0,
    ///     tie_word_embeddings: true,
    ///     initializer_range: 0.02,
    ///     architecture: Architecture::default(),
    /// }
    /// .init(&device);
    /// let token_ids = Tensor::<2, Int>::from_ints([[1, 2, 3]], &device);
    /// let wanted = WantedLayers {
    ///     hidden_states: [0, 1].into(), // of the embedding, and of the first layer
    ///     attention: [2].into(),        // of the second layer
    /// };
    /// let context = AttentionContext::causal(1, 3, &device);
    /// let outputs = decoder.layer_outputs(token_ids, &context, &wanted);
    /// assert_eq!(outputs.hidden_states[&1].dims(), [1, 3, 16]);
    /// assert_eq!(outputs.attention[&2].keys.dims(), [1, 3, 2, 4]);
    /// ```
    pub fn layer_outputs(
        &self,
        token_ids: Tensor<2, Int>,
        context: &AttentionContext,
        wanted: &WantedLayers,
    ) -> LayerOutputs {
        let [batch, seq] = token_ids.dims();
        assert_eq!(
            context.dims(),
            [batch, seq],
            "the attention context must be made for the batch's shape"
        );
        wanted.check(self.layers.len());
        let sight = context.sight(&self.config);
        let mut states = self.input_states(token_ids, &sight);
        let mut outputs = LayerOutputs::default();
        for index in 0..self.layers.len() {
            if wanted.hidden_states.contains(&index) {
                outputs.hidden_states.insert(index, states.clone());
            }
            if !wanted.any_behind(index) {
                return outputs;
            }
            let is_wanted = wanted.attention.contains(&(index + 1));
            let projections;
            (states, projections) = self.layer(index, states, &sight, is_wanted);
            if let Some(projections) = projections {
                outputs.attention.insert(index + 1, projections);
            }
        }
        let last = self.layers.len();
        if wanted.hidden_states.contains(&last) {
            outputs.hidden_states.insert(last, states);
        }
        outputs
    }

    /// What a layer gives, the last one behind the final norm, and its projections if they are wanted, in f32.
    pub(crate) fn layer(
        &self,
        index: usize,
        states: Tensor<3>,
        sight: &Sight,
        with_projections: bool,
    ) -> (Tensor<3>, Option<AttentionProjections>) {
        let layer = &self.layers[index];
        let projections = layer.project(states.clone(), sight);
        let wide = with_projections.then(|| projections.clone().widened());
        let states = layer.forward_from(states, projections, sight, None);
        match index + 1 == self.layers.len() {
            true => (self.norm.forward(states), wide),
            false => (states, wide),
        }
    }

    /// Projects hidden states to logits; a tied decoder uses its embedding, transposed.
    ///
    /// # Shapes
    /// `[batch, seq, hidden]` → `[batch, seq, vocab]`
    pub fn lm_head(&self, hidden: Tensor<3>) -> Tensor<3> {
        let architecture = &self.config.architecture;
        let rounded = self.precision;
        let [batch, seq, width] = hidden.dims();
        let rows = rounded.round(hidden.reshape([batch * seq, width]));
        let product = rows.matmul(rounded.round(self.head_weight()));
        let [_, vocab] = product.dims();
        let product = product.reshape([batch, seq, vocab]).cast(DType::F32);
        let logits = scaled(product, architecture.logit_scale);
        match architecture.logit_softcap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
    }

    /// The output projection that [`lm_head`](Self::lm_head) multiplies with, as `[hidden, vocab]`; logit
    /// scale and soft-cap come after it.
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
        let sight = cache.sight(batch, new, &self.config, &self.device());
        let mut states = self.input_states(token_ids, &sight);
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
        // A weight that is not trained stays one.
        let narrowed = |weight: &Param<Tensor<2>>, dim| {
            let is_trained = weight.is_require_grad();
            let part = Param::from_tensor(weight.val().narrow(dim, 0, vocab_size));
            part.set_require_grad(is_trained)
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

    /// The same decoder, which rounds what is multiplied to `precision`; weights, states and logits stay in f32.
    ///
    /// # Errors
    /// [`TransformerError::PrecisionNotSupported`] if its device does not compute with such numbers.
    ///
    /// ```
    /// # use alambic_transformer::{Architecture, DecoderConfig, Precision};
    /// # use burn::tensor::Device;
    /// # let config = DecoderConfig {
    /// #     vocab_size: 32,
    /// #     hidden_size: 16,
    /// #     intermediate_size: 40,
    /// #     num_hidden_layers: 2,
    /// #     num_attention_heads: 4,
    /// #     num_key_value_heads: 2,
    /// #     head_dim: 4,
    /// #     max_position_embeddings: 64,
    /// #     rms_norm_eps: 1e-5,
    /// #     rope_theta: 10_000.0,
    /// #     tie_word_embeddings: true,
    /// #     initializer_range: 0.02,
    /// #     architecture: Architecture::default(),
    /// # };
    /// let decoder = config.init(&Device::flex()).computing_in(Precision::Bf16)?;
    /// assert_eq!(decoder.precision(), Precision::Bf16);
    /// # Ok::<(), alambic_transformer::TransformerError>(())
    /// ```
    pub fn computing_in(mut self, precision: Precision) -> Result<Self, TransformerError> {
        check_precision(precision, &self.device())?;
        self.precision = precision;
        for layer in &mut self.layers {
            layer.set_precision(precision);
        }
        Ok(self)
    }

    /// What is multiplied is rounded to it.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The settings of the adapters, if there are any.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref()
    }

    pub(crate) fn set_lora(&mut self, lora: Option<LoraConfig>) {
        self.lora = lora;
    }

    pub(crate) fn layers(&self) -> &[DecoderLayer] {
        &self.layers
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
        let embed_positions = match config.architecture.learned_positions {
            true => Some(Embedding {
                weight: Param::from_tensor(source.table(Weight::Positions)?),
            }),
            false => None,
        };
        let layers = (0..config.num_hidden_layers)
            .map(|index| DecoderLayer::assemble(config, index, source))
            .collect::<Result<_, _>>()?;
        let norm = assemble_final_norm(config, source)?;
        let lm_head = if config.tie_word_embeddings {
            None
        } else {
            Some(assemble_linear(Weight::Head, source)?)
        };
        Ok(Self {
            embed_tokens,
            embed_positions,
            layers,
            norm,
            lm_head,
            config: config.clone(),
            lora: None,
            precision: Precision::F32,
        })
    }

    /// The value of one weight, in the orientation in which the decoder computes with it.
    pub(crate) fn weight(&self, weight: Weight) -> WeightValue {
        match weight {
            Weight::Embedding => WeightValue::Table(self.embed_tokens.weight.val()),
            Weight::Positions => {
                let embedding = self.embed_positions.as_ref();
                let embedding = embedding.expect("only weights that exist are asked for");
                WeightValue::Table(embedding.weight.val())
            }
            Weight::FinalNorm => WeightValue::Vector(self.norm.gamma.val()),
            Weight::FinalNormBias => {
                let beta = self.norm.beta.as_ref();
                let beta = beta.expect("only weights that exist are asked for");
                WeightValue::Vector(beta.val())
            }
            Weight::Head => WeightValue::Projection(self.head_weight()),
            Weight::Layer { index, part } => self.layers[index].weight(part),
        }
    }
}
