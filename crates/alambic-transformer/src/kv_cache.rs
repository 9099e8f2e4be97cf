//! Keys and values of the tokens read so far.

use alambic_kernels::FORBIDDEN_SCORE;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::DecoderConfig;
use crate::context::{Keys, Sight};
use crate::decoder::Decoder;
use crate::rotary::Rotary;

/// The keys and values of every layer for the tokens read so far.
///
/// Memory: `2 · layers · batch · tokens · num_key_value_heads · head_dim` floats, growing with each
/// [`Decoder::step`].
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    /// Leading columns of each row that hold padding.
    padding: Vec<usize>,
    num_columns: usize,
    max_columns: usize,
}

/// Keys and values of one layer.
///
/// Keys are `[batch, key_value_heads, head_dim, columns]`, as the scores' product wants them, and
/// values `[batch, key_value_heads, columns, head_dim]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerCache {
    stored: Option<(Tensor<4>, Tensor<4>)>,
}

impl LayerCache {
    /// Appends new keys and values, and returns all of them.
    pub(crate) fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let (keys, values) = match self.stored.take() {
            Some((old_keys, old_values)) => (
                Tensor::cat(vec![old_keys, keys], 3),
                Tensor::cat(vec![old_values, values], 2),
            ),
            None => (keys, values),
        };
        self.stored = Some((keys.clone(), values.clone()));
        (keys, values)
    }

    fn keep_rows(&mut self, rows: &Tensor<1, Int>) {
        if let Some((keys, values)) = self.stored.take() {
            self.stored = Some((keys.select(0, rows.clone()), values.select(0, rows.clone())));
        }
    }
}

impl KvCache {
    /// An empty cache for `batch` rows, with room for `max_position_embeddings` tokens each.
    pub fn new(decoder: &Decoder, batch: usize) -> Self {
        Self::left_padded(decoder.config(), vec![0; batch])
    }

    /// A cache whose row `i` begins with `padding[i]` columns that nothing else may see.
    ///
    /// The padding does not count as positions, so the columns may exceed the decoder's positions
    /// by the largest padding.
    pub(crate) fn left_padded(config: &DecoderConfig, padding: Vec<usize>) -> Self {
        let most_padding = padding.iter().copied().max().unwrap_or(0);
        Self {
            layers: vec![LayerCache::default(); config.num_hidden_layers],
            padding,
            num_columns: 0,
            max_columns: config.max_position_embeddings + most_padding,
        }
    }

    /// Number of rows.
    pub fn batch(&self) -> usize {
        self.padding.len()
    }

    /// Tokens read so far, per row.
    pub fn num_tokens(&self) -> usize {
        self.num_columns
    }

    /// Keeps the given rows, in the given order, and forgets the others.
    pub(crate) fn keep_rows(&mut self, rows: &[usize], device: &Device) {
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::from_data(TensorData::new(indices, [rows.len()]), device);
        for layer in &mut self.layers {
            layer.keep_rows(&indices);
        }
        self.padding = rows.iter().map(|&row| self.padding[row]).collect();
    }

    pub(crate) fn layers_mut(&mut self) -> &mut [LayerCache] {
        &mut self.layers
    }

    pub(crate) fn advance(&mut self, new: usize) {
        self.num_columns += new;
    }

    /// Positions and visibility of `new` more columns.
    pub(crate) fn sight(
        &self,
        batch: usize,
        new: usize,
        config: &DecoderConfig,
        device: &Device,
    ) -> Sight {
        assert_eq!(batch, self.batch(), "the batch must be the cache's");
        let end = self.num_columns + new;
        assert!(
            end <= self.max_columns,
            "the cache has room for {} tokens, {end} are needed",
            self.max_columns
        );
        let columns = self.num_columns..end;
        let paddings = self.distinct_paddings();
        let rows = paddings.len();
        let positions: Vec<usize> = paddings
            .iter()
            .flat_map(|&padding| columns.clone().map(move |c| c.saturating_sub(padding)))
            .collect();
        let rotary = Rotary::at_positions(&positions, [rows, new], config, device);

        let all_visible = new == 1 && paddings.iter().all(|&padding| padding == 0);
        let score_bias = (!all_visible).then(|| {
            let mut bias = vec![0.0; rows * new * end];
            let queries = paddings
                .iter()
                .flat_map(|&padding| columns.clone().map(move |query| (padding, query)));
            for (scores, (padding, query)) in bias.chunks_exact_mut(end).zip(queries) {
                for (key, score) in scores.iter_mut().enumerate() {
                    if key != query && (key > query || key < padding) {
                        *score = FORBIDDEN_SCORE;
                    }
                }
            }
            let device = device.clone().without_autodiff();
            Tensor::from_data(TensorData::new(bias, [rows, 1, new, end]), &device)
        });
        Sight {
            rotary,
            keys: Keys::Cached { score_bias },
        }
    }

    /// One padding per row, or a single one if all rows agree (tables then broadcast).
    fn distinct_paddings(&self) -> &[usize] {
        match self.padding.first() {
            Some(first) if self.padding.iter().all(|padding| padding == first) => {
                &self.padding[..1]
            }
            _ => &self.padding,
        }
    }
}
