//! Self-attention.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use crate::config::DecoderConfig;
use crate::context::Sight;
use crate::kv_cache::LayerCache;

/// Causal grouped-query attention with rotary positions (Ainslie et al. 2023, arXiv:2305.13245).
///
/// The query heads that share a key and value head are stacked along the sequence, so keys and
/// values are never copied per query head.
///
/// # Shapes
/// `[batch, seq, hidden]` → `[batch, seq, hidden]`; time and memory O(seq²) per head. With a cache,
/// `seq` counts the new tokens only, and they see the cached ones as well.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q_proj: Linear,
    pub(crate) k_proj: Linear,
    pub(crate) v_proj: Linear,
    pub(crate) o_proj: Linear,
    num_key_value_heads: usize,
    queries_per_key_value: usize,
    head_dim: usize,
}

impl Attention {
    pub(crate) fn new(
        config: &DecoderConfig,
        q_proj: Linear,
        k_proj: Linear,
        v_proj: Linear,
        o_proj: Linear,
    ) -> Self {
        Self {
            q_proj,
            k_proj,
            v_proj,
            o_proj,
            num_key_value_heads: config.num_key_value_heads,
            queries_per_key_value: config.queries_per_key_value(),
            head_dim: config.head_dim,
        }
    }

    pub(crate) fn forward(
        &self,
        states: Tensor<3>,
        sight: &Sight,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let [batch, seq, _] = states.dims();
        let (groups, shared, head_dim) = (
            self.num_key_value_heads,
            self.queries_per_key_value,
            self.head_dim,
        );
        let heads = groups * shared;
        let queries = self.q_proj.forward(states.clone());
        let keys = self.k_proj.forward(states.clone());
        let values = self.v_proj.forward(states);

        let scale = (head_dim as f64).powf(-0.5);
        let queries = sight
            .rotary
            .rotate(queries.reshape([batch, seq, heads, head_dim]))
            .swap_dims(1, 2)
            .mul_scalar(scale)
            .reshape([batch, groups, shared * seq, head_dim]);
        let keys = sight
            .rotary
            .rotate(keys.reshape([batch, seq, groups, head_dim]))
            .permute([0, 2, 3, 1]);
        let values = values
            .reshape([batch, seq, groups, head_dim])
            .swap_dims(1, 2);
        let (keys, values) = match cache {
            Some(cache) => cache.append(keys, values),
            None => (keys, values),
        };

        let num_keys = keys.dims()[3];
        let scores = queries.matmul(keys).reshape([batch, heads, seq, num_keys]);
        let scores = match &sight.score_bias {
            Some(bias) => scores + bias.clone(),
            None => scores,
        };
        let weights = softmax(scores, 3).reshape([batch, groups, shared * seq, num_keys]);
        let mixed = weights
            .matmul(values)
            .reshape([batch, heads, seq, head_dim])
            .swap_dims(1, 2)
            .reshape([batch, seq, heads * head_dim]);
        self.o_proj.forward(mixed)
    }
}
