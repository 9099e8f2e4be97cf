//! Rotary positions: tables of cosines and sines, and the rotation itself.

use alambic_kernels::{Computation, rotate_halves};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::DecoderConfig;

/// Cosines and sines of the positions of one batch, shared by all layers.
///
/// Rotary positions (Su et al. 2021, arXiv:2104.09864) in the half-split pairing of Hugging Face
/// checkpoints: dimension `i` of a head turns with dimension `i + head_dim / 2`, by the angle
/// `position · theta^(-2i / head_dim)`.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    /// `[batch or 1, seq, 1, head_dim / 2]`
    cos: Tensor<4>,
    /// `[batch or 1, seq, 1, head_dim / 2]`
    sin: Tensor<4>,
}

impl Rotary {
    /// Tables for the given positions, `rows` rows of `seq` positions each, on a plain device.
    pub(crate) fn at_positions(
        positions: &[usize],
        [rows, seq]: [usize; 2],
        config: &DecoderConfig,
        device: &Device,
    ) -> Self {
        let device = device.clone().without_autodiff();
        let (cos, sin) = tables(positions, config);
        let table = |values: Vec<f32>| {
            Tensor::from_data(
                TensorData::new(values, [rows, seq, 1, config.head_dim / 2]),
                &device,
            )
        };
        Self {
            cos: table(cos),
            sin: table(sin),
        }
    }

    /// Tables for positions that live on the device, each below `seq`.
    pub(crate) fn at_device_positions(positions: Tensor<2, Int>, config: &DecoderConfig) -> Self {
        let [rows, seq] = positions.dims();
        let half = config.head_dim / 2;
        let every_position: Vec<usize> = (0..seq).collect();
        let table = Self::at_positions(&every_position, [1, seq], config, &positions.device());
        let picks = positions.reshape([rows * seq]);
        let pick = |table: Tensor<4>| {
            table
                .reshape([seq, half])
                .select(0, picks.clone())
                .reshape([rows, seq, 1, half])
        };
        Self {
            cos: pick(table.cos),
            sin: pick(table.sin),
        }
    }

    /// Turns every head by its position.
    ///
    /// # Shapes
    /// `[batch, seq, heads, head_dim]`, in and out
    pub(crate) fn rotate(&self, heads: Tensor<4>) -> Tensor<4> {
        rotate_halves(
            heads,
            self.cos.clone(),
            self.sin.clone(),
            Computation::Fastest,
        )
    }
}

/// Cosines and sines, each `[positions, head_dim / 2]`.
///
/// The angle is rounded to f32 as the reference implementation does; its cosine is then exact.
fn tables(positions: &[usize], config: &DecoderConfig) -> (Vec<f32>, Vec<f32>) {
    let frequencies: Vec<f32> = (0..config.head_dim / 2)
        .map(|pair| {
            let exponent = -((2 * pair) as f64) / config.head_dim as f64;
            config.rope_theta.powf(exponent) as f32
        })
        .collect();
    positions
        .iter()
        .flat_map(|&position| {
            frequencies.iter().map(move |frequency| {
                let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
                (cos as f32, sin as f32)
            })
        })
        .unzip()
}
