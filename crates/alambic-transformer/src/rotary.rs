//! Rotary positions: tables of cosines and sines, and the rotation itself.

use alambic_kernels::{Computation, rotate_halves};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::architecture::LayerKind;
use crate::config::DecoderConfig;
use crate::rope_scaling::{Frequencies, RopeScaling, RotaryShape};

/// The rotations of one batch, shared by all layers that have the same wavelengths.
#[derive(Clone, Debug)]
pub(crate) struct Rotations {
    of_all: Rotary,
    /// Where sliding layers have wavelengths of their own.
    of_sliding: Option<Rotary>,
}

impl Rotations {
    /// Rotations at the given positions, `rows` rows of `seq` each, on a plain device; each row is a text that ends
    /// with its last position.
    pub(crate) fn at_positions(
        positions: &[usize],
        [rows, seq]: [usize; 2],
        config: &DecoderConfig,
        device: &Device,
    ) -> Self {
        Self::with_tables(config, |scaling, shape| {
            let length = |row: &[usize]| row.iter().max().map_or(0, |last| last + 1);
            let by_row: Vec<(&[usize], Frequencies)> = match scaling.depends_on_length() {
                true => {
                    let of_rows = positions.chunks_exact(seq);
                    let of_row = |row| (row, scaling.frequencies(shape, length(row)));
                    of_rows.map(of_row).collect()
                }
                false => vec![(positions, scaling.frequencies(shape, length(positions)))],
            };
            Rotary::at_positions(&by_row, [rows, seq], device)
        })
    }

    /// Rotations at positions that live on the device, each below `seq`.
    ///
    /// Where wavelengths depend on the length of a text, all are as long as the longest one.
    pub(crate) fn at_device_positions(positions: &Tensor<2, Int>, config: &DecoderConfig) -> Self {
        let [_, seq] = positions.dims();
        Self::with_tables(config, |scaling, shape| {
            let length = match scaling.depends_on_length() {
                true => positions.clone().max().into_scalar::<i64>() as usize + 1,
                false => seq,
            };
            Rotary::at_device_positions(positions.clone(), scaling.frequencies(shape, length))
        })
    }

    fn with_tables(
        config: &DecoderConfig,
        rotary: impl Fn(&RopeScaling, RotaryShape) -> Rotary,
    ) -> Self {
        let architecture = &config.architecture;
        let shape = |theta| RotaryShape {
            theta,
            dim: architecture.rotary_dim.unwrap_or(config.head_dim),
            max_positions: config.max_position_embeddings,
        };
        let sliding = architecture.sliding_rope_theta;
        Self {
            of_all: rotary(&architecture.rope_scaling, shape(config.rope_theta)),
            of_sliding: sliding.map(|theta| rotary(&RopeScaling::None, shape(theta))),
        }
    }

    /// The rotation of a layer; `None` if it does not turn.
    pub(crate) fn of_layer(&self, kind: LayerKind) -> Option<&Rotary> {
        match (kind.rotates, kind.slides, &self.of_sliding) {
            (false, ..) => None,
            (true, true, Some(rotary)) => Some(rotary),
            (true, ..) => Some(&self.of_all),
        }
    }
}

/// Cosines and sines of the positions of one batch.
///
/// Rotary positions (Su et al. 2021, arXiv:2104.09864) in the half-split pairing of Hugging Face
/// checkpoints: of the `n` dimensions that turn, dimension `i` turns with dimension `i + n / 2`, by the angle
/// `position · frequency`, which is `theta^(-2i / n)` unless it is scaled.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    /// `[batch or 1, seq, 1, n / 2]`
    cos: Tensor<4>,
    /// `[batch or 1, seq, 1, n / 2]`
    sin: Tensor<4>,
}

impl Rotary {
    /// Tables of runs of positions, each with its frequencies, which together are `rows` rows of `seq`.
    fn at_positions(
        runs: &[(&[usize], Frequencies)],
        [rows, seq]: [usize; 2],
        device: &Device,
    ) -> Self {
        let device = device.clone().without_autodiff();
        let (cos, sin) = tables(runs);
        let pairs = runs
            .first()
            .map_or(0, |(_, frequencies)| frequencies.of_pairs.len());
        let table = |values: Vec<f32>| {
            Tensor::from_data(TensorData::new(values, [rows, seq, 1, pairs]), &device)
        };
        Self {
            cos: table(cos),
            sin: table(sin),
        }
    }

    fn at_device_positions(positions: Tensor<2, Int>, frequencies: Frequencies) -> Self {
        let [rows, seq] = positions.dims();
        let pairs = frequencies.of_pairs.len();
        let every_position: Vec<usize> = (0..seq).collect();
        let device = positions.device();
        let table = Self::at_positions(&[(&every_position, frequencies)], [1, seq], &device);
        let picks = positions.reshape([rows * seq]);
        let pick = |table: Tensor<4>| {
            table
                .reshape([seq, pairs])
                .select(0, picks.clone())
                .reshape([rows, seq, 1, pairs])
        };
        Self {
            cos: pick(table.cos),
            sin: pick(table.sin),
        }
    }

    /// Turns every head by its position; dimensions behind those that turn stay as they are.
    ///
    /// # Shapes
    /// `[batch, seq, heads, head_dim]`, in and out; given in f32
    pub(crate) fn rotate(&self, heads: Tensor<4>) -> Tensor<4> {
        let heads = heads.cast(DType::F32);
        let [.., head_dim] = heads.dims();
        let [.., pairs] = self.cos.dims();
        let turn = |heads| {
            let (cos, sin) = (self.cos.clone(), self.sin.clone());
            rotate_halves(heads, cos, sin, Computation::Fastest)
        };
        let turned = 2 * pairs;
        if turned == head_dim {
            return turn(heads);
        }
        let rest = heads.clone().narrow(3, turned, head_dim - turned);
        Tensor::cat(vec![turn(heads.narrow(3, 0, turned)), rest], 3)
    }
}

/// Cosines and sines, each `[positions, pairs]`.
///
/// The angle is rounded to f32 as the reference implementation does; its cosine is then exact.
fn tables(runs: &[(&[usize], Frequencies)]) -> (Vec<f32>, Vec<f32>) {
    let turns = runs.iter().flat_map(|(positions, frequencies)| {
        let factor = frequencies.attention_factor;
        positions.iter().flat_map(move |&position| {
            frequencies.of_pairs.iter().map(move |frequency| {
                let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
                (cos as f32 * factor, sin as f32 * factor)
            })
        })
    });
    turns.unzip()
}
