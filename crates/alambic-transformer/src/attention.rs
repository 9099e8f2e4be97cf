//! Self-attention.

use alambic_kernels::{Computation, Precision, attention_with_bias, causal_attention};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::architecture::{LayerKind, QueryKeyNorm};
use crate::config::DecoderConfig;
use crate::context::{Keys, Sight};
use crate::decoder_layer::scaled;
use crate::kv_cache::LayerCache;
use crate::layer_outputs::AttentionProjections;
use crate::linear::Linear;
use crate::norm::Norm;

/// Causal grouped-query attention with rotary positions (Ainslie et al. 2023, arXiv:2305.13245).
///
/// # Shapes
/// `[batch, seq, hidden]` → `[batch, seq, hidden]`; time O(seq²) per head and document. With a cache,
/// `seq` counts the new tokens only, and they see the cached ones as well.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q_proj: Linear,
    pub(crate) k_proj: Linear,
    pub(crate) v_proj: Linear,
    pub(crate) o_proj: Linear,
    pub(crate) q_norm: Option<Norm>,
    pub(crate) k_norm: Option<Norm>,
    num_key_value_heads: usize,
    queries_per_key_value: usize,
    head_dim: usize,
    /// Queries are multiplied by it before their scores are divided by `√head_dim`.
    query_scale: f64,
    softcap: Option<f64>,
    #[module(skip)]
    query_key_norm: Option<QueryKeyNorm>,
    #[module(skip)]
    kind: LayerKind,
    #[module(skip)]
    precision: Precision,
}

impl Attention {
    pub(crate) fn new(
        config: &DecoderConfig,
        index: usize,
        [q_proj, k_proj, v_proj, o_proj]: [Linear; 4],
        [q_norm, k_norm]: [Option<Norm>; 2],
    ) -> Self {
        let architecture = &config.architecture;
        let width = config.head_dim as f64;
        let sizes = config.layer_sizes(index);
        Self {
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            q_norm,
            k_norm,
            num_key_value_heads: sizes.num_key_value_heads,
            queries_per_key_value: sizes.queries_per_key_value(),
            head_dim: config.head_dim,
            query_scale: architecture
                .attention_scale
                .map_or(1.0, |scale| scale * width.sqrt()),
            softcap: architecture.attention_softcap,
            query_key_norm: architecture.query_key_norm,
            kind: architecture.layer_kind(index),
            precision: Precision::F32,
        }
    }

    /// Every projection of the layer.
    pub(crate) fn projections_mut(&mut self) -> [&mut Linear; 4] {
        [
            &mut self.q_proj,
            &mut self.k_proj,
            &mut self.v_proj,
            &mut self.o_proj,
        ]
    }

    /// What is multiplied is rounded to it.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
        for projection in self.projections_mut() {
            projection.set_precision(precision);
        }
    }

    /// Queries, keys and values of the normed states, the first two turned by their positions.
    pub(crate) fn project(&self, states: Tensor<3>, sight: &Sight) -> AttentionProjections {
        let groups = self.num_key_value_heads;
        let heads = groups * self.queries_per_key_value;
        let queries = self.q_proj.forward(states.clone());
        let keys = self.k_proj.forward(states.clone());
        let queries = self.normed_heads(queries, heads, &self.q_norm);
        let keys = self.normed_heads(keys, groups, &self.k_norm);
        let values = self.split(self.v_proj.forward(states), groups);
        match sight.rotations.of_layer(self.kind) {
            Some(rotary) => AttentionProjections {
                queries: rotary.rotate(queries),
                keys: rotary.rotate(keys),
                values,
            },
            None => AttentionProjections {
                queries,
                keys,
                values,
            },
        }
    }

    fn split(&self, projected: Tensor<3>, heads: usize) -> Tensor<4> {
        let [batch, seq, _] = projected.dims();
        projected.reshape([batch, seq, heads, self.head_dim])
    }

    fn normed_heads(&self, projected: Tensor<3>, heads: usize, norm: &Option<Norm>) -> Tensor<4> {
        match (self.query_key_norm, norm) {
            (Some(QueryKeyNorm::AllHeads), Some(norm)) => {
                self.split(norm.forward(projected), heads)
            }
            (_, Some(norm)) => norm.forward(self.split(projected, heads)),
            (_, None) => self.split(projected, heads),
        }
    }

    /// What the queries find among the keys, projected back.
    pub(crate) fn attend(
        &self,
        projections: AttentionProjections,
        sight: &Sight,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let AttentionProjections {
            queries,
            keys,
            values,
        } = projections;
        let [batch, seq, heads, head_dim] = queries.dims();
        let queries = scaled(queries, self.query_scale);
        let keys = self.precision.round(keys);
        let values = self.precision.round(values);
        let by_group = |keys: Tensor<4>, values: Tensor<4>| {
            (keys.permute([0, 2, 3, 1]), values.swap_dims(1, 2))
        };
        let mixed = match (sight.keys.of_layer(self.kind), cache, self.softcap) {
            (Keys::OfBatch(visible), None, None) => {
                causal_attention(queries, keys, values, visible, Computation::Fastest)
            }
            (Keys::OfBatch(visible), None, softcap) => {
                let (keys, values) = by_group(keys, values);
                attention_with_bias(queries, keys, values, Some(visible.bias()), softcap)
            }
            (Keys::Cached { score_bias }, Some(cache), softcap) => {
                let (keys, values) = by_group(keys, values);
                let (keys, values) = cache.append(keys, values);
                attention_with_bias(queries, keys, values, score_bias.clone(), softcap)
            }
            _ => unreachable!("a cache makes the sight of its own batches"),
        };
        self.o_proj
            .forward(mixed.reshape([batch, seq, heads * head_dim]))
    }
}
