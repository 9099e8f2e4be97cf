//! The decoder: embedding, layers, final norm and output projection.

use std::convert::Infallible;

use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear, RmsNorm};
use burn::tensor::module::linear;
use burn::tensor::{Device, Distribution, Int, Tensor};

use crate::attention::Attention;
use crate::config::DecoderConfig;
use crate::context::{AttentionContext, Sight};
use crate::feed_forward::FeedForward;
use crate::kv_cache::{KvCache, LayerCache};
use crate::weights::{LayerWeight, Weight, WeightSource};

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

/// One layer: attention and feed-forward, each behind a norm and added to the residual stream.
#[derive(Module, Debug)]
struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: FeedForward,
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
    /// Time and memory O(seq²) per layer: the attention weights are materialised.
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

/// A weight read out of a decoder.
pub(crate) enum WeightValue {
    /// `[size]`
    Vector(Tensor<1>),
    /// `[inputs, outputs]`
    Projection(Tensor<2>),
    /// `[rows, width]`
    Table(Tensor<2>),
}

impl DecoderLayer {
    fn forward(
        &self,
        states: Tensor<3>,
        sight: &Sight,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let attended =
            self.self_attn
                .forward(self.input_layernorm.forward(states.clone()), sight, cache);
        let states = states + attended;
        let fed = self
            .mlp
            .forward(self.post_attention_layernorm.forward(states.clone()));
        states + fed
    }

    fn assemble<S: WeightSource>(
        config: &DecoderConfig,
        index: usize,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        let weight = |part| Weight::Layer { index, part };
        let input_layernorm = assemble_norm(config, weight(LayerWeight::AttentionNorm), source)?;
        let self_attn = Attention::new(
            config,
            assemble_linear(weight(LayerWeight::Query), source)?,
            assemble_linear(weight(LayerWeight::Key), source)?,
            assemble_linear(weight(LayerWeight::Value), source)?,
            assemble_linear(weight(LayerWeight::Output), source)?,
        );
        let post_attention_layernorm =
            assemble_norm(config, weight(LayerWeight::FeedForwardNorm), source)?;
        let mlp = FeedForward {
            gate_proj: assemble_linear(weight(LayerWeight::Gate), source)?,
            up_proj: assemble_linear(weight(LayerWeight::Up), source)?,
            down_proj: assemble_linear(weight(LayerWeight::Down), source)?,
        };
        Ok(Self {
            input_layernorm,
            self_attn,
            post_attention_layernorm,
            mlp,
        })
    }

    fn weight(&self, part: LayerWeight) -> WeightValue {
        let linear = match part {
            LayerWeight::AttentionNorm => {
                return WeightValue::Vector(self.input_layernorm.gamma.val());
            }
            LayerWeight::FeedForwardNorm => {
                return WeightValue::Vector(self.post_attention_layernorm.gamma.val());
            }
            LayerWeight::Query => &self.self_attn.q_proj,
            LayerWeight::Key => &self.self_attn.k_proj,
            LayerWeight::Value => &self.self_attn.v_proj,
            LayerWeight::Output => &self.self_attn.o_proj,
            LayerWeight::Gate => &self.mlp.gate_proj,
            LayerWeight::Up => &self.mlp.up_proj,
            LayerWeight::Down => &self.mlp.down_proj,
        };
        WeightValue::Projection(linear.weight.val())
    }
}

fn assemble_norm<S: WeightSource>(
    config: &DecoderConfig,
    weight: Weight,
    source: &mut S,
) -> Result<RmsNorm, S::Error> {
    Ok(RmsNorm {
        gamma: Param::from_tensor(source.vector(weight)?),
        epsilon: config.rms_norm_eps,
    })
}

fn assemble_linear<S: WeightSource>(weight: Weight, source: &mut S) -> Result<Linear, S::Error> {
    Ok(Linear {
        weight: Param::from_tensor(source.projection(weight)?),
        bias: None,
    })
}

/// New weights: matrices normal(0, `initializer_range`), norms one.
struct RandomWeights<'a> {
    config: &'a DecoderConfig,
    device: &'a Device,
}

impl RandomWeights<'_> {
    fn normal(&self, shape: [usize; 2]) -> Tensor<2> {
        let distribution = Distribution::Normal(0.0, self.config.initializer_range);
        Tensor::random(shape, distribution, self.device)
    }

    fn matrix_shape(&self, weight: Weight) -> [usize; 2] {
        weight
            .shape(self.config)
            .try_into()
            .expect("projections and tables are matrices")
    }
}

impl WeightSource for RandomWeights<'_> {
    type Error = Infallible;

    fn vector(&mut self, weight: Weight) -> Result<Tensor<1>, Infallible> {
        let size = weight.shape(self.config)[0];
        Ok(Tensor::ones([size], self.device))
    }

    fn projection(&mut self, weight: Weight) -> Result<Tensor<2>, Infallible> {
        let [outputs, inputs] = self.matrix_shape(weight);
        Ok(self.normal([inputs, outputs]))
    }

    fn table(&mut self, weight: Weight) -> Result<Tensor<2>, Infallible> {
        Ok(self.normal(self.matrix_shape(weight)))
    }
}
