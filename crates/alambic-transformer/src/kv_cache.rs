//! Keys and values of the tokens read so far.

use std::ops::Range;

use alambic_kernels::FORBIDDEN_SCORE;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::DecoderConfig;
use crate::context::{Keys, KeysOfLayers, Sight};
use crate::decoder::Decoder;
use crate::rotary::Rotations;

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
    /// An empty cache for `batch` rows, with room for [`DecoderConfig::max_sequence_tokens`] each.
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
            max_columns: config.max_sequence_tokens().saturating_add(most_padding),
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
        let shape = [rows, new];
        let rotations = Rotations::at_positions(&positions, shape, config, device);
        let device = device.clone().without_autodiff();
        let ids: Vec<i32> = positions.iter().map(|&position| position as i32).collect();
        let keys = |window: usize| Keys::Cached {
            score_bias: self.score_bias(columns.clone(), window, &device),
        };
        let window = config.architecture.sliding_window;
        let window = window.filter(|_| config.architecture.slides());
        Sight {
            rotations,
            positions: Tensor::from_data(TensorData::new(ids, shape), &device),
            keys: KeysOfLayers {
                of_all: keys(usize::MAX),
                of_sliding: window.map(keys),
            },
        }
    }

    /// What the scores of the queries at `columns` need added, for those that see the `window` last keys; `None`
    /// if they see all of them.
    fn score_bias(
        &self,
        columns: Range<usize>,
        window: usize,
        device: &Device,
    ) -> Option<Tensor<4>> {
        let paddings = self.distinct_paddings();
        let (rows, new, end) = (paddings.len(), columns.len(), columns.end);
        let sees_all = new == 1 && window >= end && paddings.iter().all(|&padding| padding == 0);
        if sees_all {
            return None;
        }
        let mut bias = vec![0.0; rows * new * end];
        let queries = paddings
            .iter()
            .flat_map(|&padding| columns.clone().map(move |query| (padding, query)));
        for (scores, (padding, query)) in bias.chunks_exact_mut(end).zip(queries) {
            let first = padding.max((query + 1).saturating_sub(window));
            for (key, score) in scores.iter_mut().enumerate() {
                if key != query && !(first..=query).contains(&key) {
                    *score = FORBIDDEN_SCORE;
                }
            }
        }
        let data = TensorData::new(bias, [rows, 1, new, end]);
        Some(Tensor::from_data(data, device))
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
