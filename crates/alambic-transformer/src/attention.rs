//! Self-attention.

use alambic_kernels::{Computation, attention_with_bias, causal_attention};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::config::DecoderConfig;
use crate::context::{Keys, Sight};
use crate::kv_cache::LayerCache;
use crate::layer_outputs::AttentionProjections;

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

    /// Queries, keys and values of the normed states, the first two turned by their positions.
    pub(crate) fn project(&self, states: Tensor<3>, sight: &Sight) -> AttentionProjections {
        let [batch, seq, _] = states.dims();
        let (groups, head_dim) = (self.num_key_value_heads, self.head_dim);
        let heads = groups * self.queries_per_key_value;
        let split = |projected: Tensor<3>, heads| projected.reshape([batch, seq, heads, head_dim]);
        let queries = split(self.q_proj.forward(states.clone()), heads);
        let keys = split(self.k_proj.forward(states.clone()), groups);
        let values = split(self.v_proj.forward(states), groups);
        AttentionProjections {
            queries: sight.rotary.rotate(queries),
            keys: sight.rotary.rotate(keys),
            values,
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
        let mixed = match (&sight.keys, cache) {
            (Keys::OfBatch(visible), None) => {
                causal_attention(queries, keys, values, visible, Computation::Fastest)
            }
            (Keys::Cached { score_bias }, Some(cache)) => {
                let (keys, values) =
                    cache.append(keys.permute([0, 2, 3, 1]), values.swap_dims(1, 2));
                attention_with_bias(queries, keys, values, score_bias.clone())
            }
            _ => unreachable!("a cache makes the sight of its own batches"),
        };
        self.o_proj
            .forward(mixed.reshape([batch, seq, heads * head_dim]))
    }
}
