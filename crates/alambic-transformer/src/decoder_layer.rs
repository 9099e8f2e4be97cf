//! One layer of the decoder.

use burn::module::{Module, Param};
use burn::nn::{Linear, RmsNorm};
use burn::tensor::Tensor;

use crate::attention::Attention;
use crate::config::DecoderConfig;
use crate::context::Sight;
use crate::feed_forward::FeedForward;
use crate::kv_cache::LayerCache;
use crate::layer_outputs::AttentionProjections;
use crate::weights::{LayerWeight, Weight, WeightSource, WeightValue};

/// One layer: attention and feed-forward, each behind a norm and added to the residual stream.
#[derive(Module, Debug)]
pub(crate) struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: FeedForward,
}

impl DecoderLayer {
    pub(crate) fn forward(
        &self,
        states: Tensor<3>,
        sight: &Sight,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let projections = self.project(states.clone(), sight);
        self.forward_from(states, projections, sight, cache)
    }

    /// Queries, keys and values of the layer's attention.
    pub(crate) fn project(&self, states: Tensor<3>, sight: &Sight) -> AttentionProjections {
        self.self_attn
            .project(self.input_layernorm.forward(states), sight)
    }

    /// The rest of [`forward`](Self::forward), behind [`project`](Self::project) of the same states.
    pub(crate) fn forward_from(
        &self,
        states: Tensor<3>,
        projections: AttentionProjections,
        sight: &Sight,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let states = states + self.self_attn.attend(projections, sight, cache);
        let fed = self
            .mlp
            .forward(self.post_attention_layernorm.forward(states.clone()));
        states + fed
    }

    pub(crate) fn assemble<S: WeightSource>(
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

    pub(crate) fn weight(&self, part: LayerWeight) -> WeightValue {
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

pub(crate) fn assemble_norm<S: WeightSource>(
    config: &DecoderConfig,
    weight: Weight,
    source: &mut S,
) -> Result<RmsNorm, S::Error> {
    Ok(RmsNorm {
        gamma: Param::from_tensor(source.vector(weight)?),
        epsilon: config.rms_norm_eps,
    })
}

pub(crate) fn assemble_linear<S: WeightSource>(
    weight: Weight,
    source: &mut S,
) -> Result<Linear, S::Error> {
    Ok(Linear {
        weight: Param::from_tensor(source.projection(weight)?),
        bias: None,
    })
}
