//! One layer of the decoder.

use alambic_kernels::Precision;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::architecture::NormKind;
use crate::attention::Attention;
use crate::config::DecoderConfig;
use crate::context::Sight;
use crate::feed_forward::FeedForward;
use crate::kv_cache::LayerCache;
use crate::layer_outputs::AttentionProjections;
use crate::linear::Linear;
use crate::lora::Projection;
use crate::norm::Norm;
use crate::weights::{LayerWeight, Weight, WeightSource, WeightValue};

/// One layer: attention and feed-forward, added to the residual stream one after the other; with a norm before
/// each, behind each, or both.
#[derive(Module, Debug)]
pub(crate) struct DecoderLayer {
    attention_norm: Option<Norm>,
    self_attn: Attention,
    attention_output_norm: Option<Norm>,
    feed_forward_norm: Option<Norm>,
    mlp: FeedForward,
    feed_forward_output_norm: Option<Norm>,
    residual_scale: f64,
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
            .project(normed(&self.attention_norm, states), sight)
    }

    /// The rest of [`forward`](Self::forward), behind [`project`](Self::project) of the same states.
    pub(crate) fn forward_from(
        &self,
        states: Tensor<3>,
        projections: AttentionProjections,
        sight: &Sight,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let attended = self.self_attn.attend(projections, sight, cache);
        let states = self.add(states, normed(&self.attention_output_norm, attended));
        let read = normed(&self.feed_forward_norm, states.clone());
        let fed = self.mlp.forward(read);
        self.add(states, normed(&self.feed_forward_output_norm, fed))
    }

    fn add(&self, states: Tensor<3>, more: Tensor<3>) -> Tensor<3> {
        let more = more.cast(states.dtype());
        states + scaled(more, self.residual_scale)
    }

    /// What is multiplied is rounded to it.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.self_attn.set_precision(precision);
        for projection in self.mlp.projections_mut() {
            projection.set_precision(precision);
        }
    }

    pub(crate) fn assemble<S: WeightSource>(
        config: &DecoderConfig,
        index: usize,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        let parts: Vec<Weight> = Weight::of_layer(config, index).collect();
        let mut layer = LayerParts {
            config,
            index,
            parts: &parts,
            source,
        };
        let attention_norm =
            layer.norm(LayerWeight::AttentionNorm, LayerWeight::AttentionNormBias)?;
        let q_proj = layer.linear(LayerWeight::Query, LayerWeight::QueryBias)?;
        let k_proj = layer.linear(LayerWeight::Key, LayerWeight::KeyBias)?;
        let v_proj = layer.linear(LayerWeight::Value, LayerWeight::ValueBias)?;
        let q_norm = layer.norm_without_bias(LayerWeight::QueryNorm)?;
        let k_norm = layer.norm_without_bias(LayerWeight::KeyNorm)?;
        let o_proj = layer.linear(LayerWeight::Output, LayerWeight::OutputBias)?;
        let self_attn = Attention::new(
            config,
            index,
            [q_proj, k_proj, v_proj, o_proj],
            [q_norm, k_norm],
        );
        let attention_output_norm = layer.norm_without_bias(LayerWeight::AttentionOutputNorm)?;
        let feed_forward_norm = layer.norm(
            LayerWeight::FeedForwardNorm,
            LayerWeight::FeedForwardNormBias,
        )?;
        let gate_proj = match config.architecture.feed_forward.is_gated() {
            true => Some(layer.linear(LayerWeight::Gate, LayerWeight::GateBias)?),
            false => None,
        };
        let mlp = FeedForward::new(
            config.architecture.feed_forward,
            gate_proj,
            layer.linear(LayerWeight::Up, LayerWeight::UpBias)?,
            layer.linear(LayerWeight::Down, LayerWeight::DownBias)?,
        );
        Ok(Self {
            attention_norm,
            self_attn,
            attention_output_norm,
            feed_forward_norm,
            mlp,
            feed_forward_output_norm: layer
                .norm_without_bias(LayerWeight::FeedForwardOutputNorm)?,
            residual_scale: config.architecture.residual_scale,
        })
    }

    /// # Panics
    /// If the layer has no such projection.
    pub(crate) fn projection(&self, projection: Projection) -> &Linear {
        let (attention, mlp) = (&self.self_attn, &self.mlp);
        match projection {
            Projection::Query => &attention.q_proj,
            Projection::Key => &attention.k_proj,
            Projection::Value => &attention.v_proj,
            Projection::Output => &attention.o_proj,
            Projection::Gate => present(&mlp.gate_proj),
            Projection::Up => &mlp.up_proj,
            Projection::Down => &mlp.down_proj,
        }
    }

    /// # Panics
    /// If the layer has no such weight.
    pub(crate) fn weight(&self, part: LayerWeight) -> WeightValue {
        let (attention, mlp) = (&self.self_attn, &self.mlp);
        let matrix = |linear: &Linear| WeightValue::Projection(linear.weight.val());
        let bias = |linear: &Linear| vector(&linear.bias);
        match part {
            LayerWeight::AttentionNorm => scale(&self.attention_norm),
            LayerWeight::AttentionNormBias => norm_bias(&self.attention_norm),
            LayerWeight::Query => matrix(&attention.q_proj),
            LayerWeight::QueryBias => bias(&attention.q_proj),
            LayerWeight::Key => matrix(&attention.k_proj),
            LayerWeight::KeyBias => bias(&attention.k_proj),
            LayerWeight::Value => matrix(&attention.v_proj),
            LayerWeight::ValueBias => bias(&attention.v_proj),
            LayerWeight::QueryNorm => scale(&attention.q_norm),
            LayerWeight::KeyNorm => scale(&attention.k_norm),
            LayerWeight::Output => matrix(&attention.o_proj),
            LayerWeight::OutputBias => bias(&attention.o_proj),
            LayerWeight::AttentionOutputNorm => scale(&self.attention_output_norm),
            LayerWeight::FeedForwardNorm => scale(&self.feed_forward_norm),
            LayerWeight::FeedForwardNormBias => norm_bias(&self.feed_forward_norm),
            LayerWeight::Gate => matrix(present(&mlp.gate_proj)),
            LayerWeight::GateBias => bias(present(&mlp.gate_proj)),
            LayerWeight::Up => matrix(&mlp.up_proj),
            LayerWeight::UpBias => bias(&mlp.up_proj),
            LayerWeight::Down => matrix(&mlp.down_proj),
            LayerWeight::DownBias => bias(&mlp.down_proj),
            LayerWeight::FeedForwardOutputNorm => scale(&self.feed_forward_output_norm),
        }
    }
}

/// Times a factor that is mostly 1.
pub(crate) fn scaled<const D: usize>(values: Tensor<D>, factor: f64) -> Tensor<D> {
    match factor {
        1.0 => values,
        factor => values.mul_scalar(factor),
    }
}

fn normed(norm: &Option<Norm>, states: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(states),
        None => states,
    }
}

fn present<T>(part: &Option<T>) -> &T {
    part.as_ref()
        .expect("only weights that exist are asked for")
}

fn vector(values: &Option<Param<Tensor<1>>>) -> WeightValue {
    WeightValue::Vector(present(values).val())
}

fn scale(norm: &Option<Norm>) -> WeightValue {
    WeightValue::Vector(present(norm).gamma.val())
}

fn norm_bias(norm: &Option<Norm>) -> WeightValue {
    vector(&present(norm).beta)
}

/// Asks a source for the weights of one layer.
struct LayerParts<'a, S> {
    config: &'a DecoderConfig,
    index: usize,
    /// Those that the layer has.
    parts: &'a [Weight],
    source: &'a mut S,
}

impl<S: WeightSource> LayerParts<'_, S> {
    fn weight(&self, part: LayerWeight) -> Option<Weight> {
        let weight = Weight::Layer {
            index: self.index,
            part,
        };
        self.parts.contains(&weight).then_some(weight)
    }

    fn vector(&mut self, part: LayerWeight) -> Result<Option<Tensor<1>>, S::Error> {
        let weight = self.weight(part);
        weight.map(|weight| self.source.vector(weight)).transpose()
    }

    fn linear(&mut self, weight: LayerWeight, bias: LayerWeight) -> Result<Linear, S::Error> {
        let weight = Weight::Layer {
            index: self.index,
            part: weight,
        };
        let weight = self.source.projection(weight)?;
        Ok(Linear::new(weight, self.vector(bias)?))
    }

    fn norm(&mut self, scale: LayerWeight, bias: LayerWeight) -> Result<Option<Norm>, S::Error> {
        let Some(gamma) = self.vector(scale)? else {
            return Ok(None);
        };
        let beta = self.vector(bias)?;
        let (kind, epsilon) = (self.config.architecture.norm, self.config.rms_norm_eps);
        Ok(Some(Norm::new(kind, epsilon, gamma, beta)))
    }

    fn norm_without_bias(&mut self, scale: LayerWeight) -> Result<Option<Norm>, S::Error> {
        let gamma = self.vector(scale)?;
        let (kind, epsilon) = (self.config.architecture.norm, self.config.rms_norm_eps);
        Ok(gamma.map(|gamma| Norm::new(kind, epsilon, gamma, None)))
    }
}

pub(crate) fn assemble_linear<S: WeightSource>(
    weight: Weight,
    source: &mut S,
) -> Result<Linear, S::Error> {
    Ok(Linear::new(source.projection(weight)?, None))
}

/// The norm behind the last layer.
pub(crate) fn assemble_final_norm<S: WeightSource>(
    config: &DecoderConfig,
    source: &mut S,
) -> Result<Norm, S::Error> {
    let kind = config.architecture.norm;
    let gamma = source.vector(Weight::FinalNorm)?;
    let beta = match kind {
        NormKind::Layer => Some(source.vector(Weight::FinalNormBias)?),
        NormKind::Rms | NormKind::RmsAroundOne => None,
    };
    Ok(Norm::new(kind, config.rms_norm_eps, gamma, beta))
}
