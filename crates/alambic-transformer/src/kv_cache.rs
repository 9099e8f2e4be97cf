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
/// Memory: `2 · layers · batch · tokens · num_key_value_heads · head_dim` numbers of the decoder's precision, growing with each
/// [`Decoder::step`]; a layer that sees a window of tokens keeps no more than the window.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    /// Leading columns of each row that hold padding.
    padding: Vec<usize>,
    num_columns: usize,
    /// Most tokens of a row, its padding not counted.
    max_row_tokens: usize,
}

/// Keys and values of one layer.
///
/// Keys are `[batch, key_value_heads, head_dim, columns]`, as the scores' product wants them, and
/// values `[batch, key_value_heads, columns, head_dim]`.
#[derive(Clone, Debug)]
pub(crate) struct LayerCache {
    stored: Option<(Tensor<4>, Tensor<4>)>,
    /// Most columns that are kept: the last ones.
    keeps: usize,
}

/// How many columns a query of the next column may see beside its own, of which at least one is kept.
fn kept_columns(window: usize) -> usize {
    window.saturating_sub(1).max(1)
}

impl LayerCache {
    fn new(keeps: usize) -> Self {
        Self {
            stored: None,
            keeps,
        }
    }

    /// Appends new keys and values, and returns all that the new ones may see: the kept ones and their own.
    pub(crate) fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let (keys, values) = match self.stored.take() {
            Some((old_keys, old_values)) => (
                Tensor::cat(vec![old_keys, keys], 3),
                Tensor::cat(vec![old_values, values], 2),
            ),
            None => (keys, values),
        };
        self.stored = Some((keys.clone(), values.clone()));
        self.keep_last(self.keeps);
        (keys, values)
    }

    /// Forgets all but the last columns.
    fn keep_last(&mut self, columns: usize) {
        if let Some((keys, values)) = self.stored.take() {
            let all = values.dims()[2];
            let (first, kept) = (all.saturating_sub(columns), all.min(columns));
            self.stored = Some(match first {
                0 => (keys, values),
                _ => (keys.narrow(3, first, kept), values.narrow(2, first, kept)),
            });
        }
    }

    /// Puts columns that nothing sees before the others, up to so many.
    fn fill_up(&mut self, columns: usize) {
        if let Some((keys, values)) = self.stored.take() {
            let [batch, heads, all, head_dim] = values.dims();
            let lacking = columns.min(self.keeps) - all;
            self.stored = Some(match lacking {
                0 => (keys, values),
                _ => {
                    let options = (&keys.device(), keys.dtype());
                    let (of_keys, of_values) = (
                        [batch, heads, head_dim, lacking],
                        [batch, heads, lacking, head_dim],
                    );
                    (
                        Tensor::cat(vec![Tensor::zeros(of_keys, options), keys], 3),
                        Tensor::cat(vec![Tensor::zeros(of_values, options), values], 2),
                    )
                }
            });
        }
    }

    /// Appends the rows of another one with as many columns.
    fn append_rows(&mut self, other: Self) {
        self.stored = match (self.stored.take(), other.stored) {
            (Some((keys, values)), Some((more_keys, more_values))) => Some((
                Tensor::cat(vec![keys, more_keys], 0),
                Tensor::cat(vec![values, more_values], 0),
            )),
            (one, other) => one.or(other),
        };
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
        let architecture = &config.architecture;
        let layer = |index: usize| {
            let slides = architecture.layer_kind(index).slides;
            let window = architecture.sliding_window.filter(|_| slides);
            LayerCache::new(window.map_or(usize::MAX, kept_columns))
        };
        Self {
            layers: (0..config.num_hidden_layers).map(layer).collect(),
            padding,
            num_columns: 0,
            max_row_tokens: config.max_sequence_tokens(),
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

    /// Numbers that are held, of all rows and layers.
    pub fn num_values(&self) -> usize {
        let of_layer = |layer: &LayerCache| {
            let stored = layer.stored.as_ref();
            stored.map_or(0, |(keys, values)| {
                keys.shape().num_elements() + values.shape().num_elements()
            })
        };
        self.layers.iter().map(of_layer).sum()
    }

    /// Keeps the given rows, in the given order, and forgets the others.
    pub(crate) fn keep_rows(&mut self, rows: &[usize], device: &Device) {
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::from_data(TensorData::new(indices, [rows.len()]), device);
        for layer in &mut self.layers {
            layer.keep_rows(&indices);
        }
        self.padding = rows.iter().map(|&row| self.padding[row]).collect();
        self.trim();
    }

    /// Adds the rows of another cache of the same decoder behind the own ones. All rows end with the same column;
    /// the shorter ones are filled up on the left.
    pub(crate) fn join(&mut self, mut other: Self) {
        let columns = self.num_columns.max(other.num_columns);
        for cache in [&mut *self, &mut other] {
            let more = columns - cache.num_columns;
            cache
                .padding
                .iter_mut()
                .for_each(|padding| *padding += more);
            cache.num_columns = columns;
            cache
                .layers
                .iter_mut()
                .for_each(|layer| layer.fill_up(columns));
        }
        self.padding.extend(other.padding);
        for (layer, others) in self.layers.iter_mut().zip(other.layers) {
            layer.append_rows(others);
        }
    }

    /// Forgets leading columns that are padding in every row.
    fn trim(&mut self) {
        let unused = self.padding.iter().copied().min().unwrap_or(0);
        if unused > 0 {
            self.num_columns -= unused;
            self.padding
                .iter_mut()
                .for_each(|padding| *padding -= unused);
            for layer in &mut self.layers {
                layer.keep_last(self.num_columns);
            }
        }
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
        let longest = end - self.padding.iter().copied().min().unwrap_or(0);
        assert!(
            longest <= self.max_row_tokens,
            "the cache has room for {} tokens, {longest} are needed",
            self.max_row_tokens
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

    /// What the scores of the queries at `columns` need added, for those that see the `window` last keys, of which
    /// older ones are not kept; `None` if they see all that are.
    fn score_bias(
        &self,
        columns: Range<usize>,
        window: usize,
        device: &Device,
    ) -> Option<Tensor<4>> {
        let paddings = self.distinct_paddings();
        let (rows, new, end) = (paddings.len(), columns.len(), columns.end);
        // What the layers with this window have kept.
        let oldest = self.num_columns.saturating_sub(kept_columns(window));
        let keys = end - oldest;
        let is_text = |padding: &usize| *padding <= oldest;
        if new == 1 && window >= keys && paddings.iter().all(is_text) {
            return None;
        }
        let mut bias = vec![0.0; rows * new * keys];
        let queries = paddings
            .iter()
            .flat_map(|&padding| columns.clone().map(move |query| (padding, query)));
        for (scores, (padding, query)) in bias.chunks_exact_mut(keys).zip(queries) {
            let first = padding.max((query + 1).saturating_sub(window));
            for (key, score) in (oldest..end).zip(scores) {
                if key != query && !(first..=query).contains(&key) {
                    *score = FORBIDDEN_SCORE;
                }
            }
        }
        let data = TensorData::new(bias, [rows, 1, new, keys]);
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
