//! Rotary positions: tables of cosines and sines, and the rotation itself.

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::DecoderConfig;

/// Cosines and sines of the positions of one batch, shared by all layers.
///
/// Rotary positions (Su et al. 2021, arXiv:2104.09864) in the half-split pairing of Hugging Face
/// checkpoints: dimension `i` of a head turns with dimension `i + head_dim / 2`, by the angle
/// `position · theta^(-2i / head_dim)`.
#[derive(Clone, Debug)]
pub(crate) struct Rotary {
    /// `[batch or 1, seq, 1, 1, head_dim / 2]`
    cos: Tensor<5>,
    /// `[batch or 1, seq, 1, 2, head_dim / 2]`: minus sine for the first half, plus for the second.
    signed_sin: Tensor<5>,
}

impl Rotary {
    /// Tables for the given positions, `rows` rows of `seq` positions each, on a plain device.
    pub(crate) fn at_positions(
        positions: &[usize],
        [rows, seq]: [usize; 2],
        config: &DecoderConfig,
        device: &Device,
    ) -> Self {
        let half = config.head_dim / 2;
        let (cos, signed_sin) = tables(positions, config);
        let device = device.clone().without_autodiff();
        Self {
            cos: Tensor::from_data(TensorData::new(cos, [rows, seq, 1, 1, half]), &device),
            signed_sin: Tensor::from_data(
                TensorData::new(signed_sin, [rows, seq, 1, 2, half]),
                &device,
            ),
        }
    }

    /// Tables for positions that live on the device, each below `seq`.
    pub(crate) fn at_device_positions(
        positions: burn::tensor::Tensor<2, burn::tensor::Int>,
        config: &DecoderConfig,
    ) -> Self {
        let [rows, seq] = positions.dims();
        let half = config.head_dim / 2;
        let every_position: Vec<usize> = (0..seq).collect();
        let table = Self::at_positions(&every_position, [1, seq], config, &positions.device());
        let picks = positions.reshape([rows * seq]);
        let pick = |table: Tensor<5>, parts: usize| {
            table
                .reshape([seq, parts * half])
                .select(0, picks.clone())
                .reshape([rows, seq, 1, parts, half])
        };
        Self {
            cos: pick(table.cos, 1),
            signed_sin: pick(table.signed_sin, 2),
        }
    }

    /// Turns every head by its position.
    ///
    /// # Shapes
    /// `[batch, seq, heads, head_dim]`, in and out
    pub(crate) fn rotate(&self, heads: Tensor<4>) -> Tensor<4> {
        let [batch, seq, num_heads, head_dim] = heads.dims();
        let halves = heads.reshape([batch, seq, num_heads, 2, head_dim / 2]);
        let swapped = halves.clone().flip([3]);
        let turned = halves * self.cos.clone() + swapped * self.signed_sin.clone();
        turned.reshape([batch, seq, num_heads, head_dim])
    }
}

/// Cosines, `[positions, half]`, and signed sines, `[positions, 2, half]`.
///
/// The angle is rounded to f32 as the reference implementation does; its cosine is then exact.
fn tables(positions: &[usize], config: &DecoderConfig) -> (Vec<f32>, Vec<f32>) {
    let half = config.head_dim / 2;
    let frequencies: Vec<f32> = (0..half)
        .map(|pair| {
            let exponent = -((2 * pair) as f64) / config.head_dim as f64;
            config.rope_theta.powf(exponent) as f32
        })
        .collect();
    let mut cos = Vec::with_capacity(positions.len() * half);
    let mut signed_sin = Vec::with_capacity(positions.len() * 2 * half);
    for &position in positions {
        let angles = frequencies
            .iter()
            .map(|frequency| f64::from(position as f32 * frequency));
        cos.extend(angles.clone().map(|angle| angle.cos() as f32));
        signed_sin.extend(angles.clone().map(|angle| -angle.sin() as f32));
        signed_sin.extend(angles.map(|angle| angle.sin() as f32));
    }
    (cos, signed_sin)
}
