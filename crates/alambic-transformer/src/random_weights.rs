//! Weights for a new decoder.

use std::convert::Infallible;

use burn::tensor::{Device, Distribution, Tensor};

use crate::config::DecoderConfig;
use crate::weights::{Weight, WeightSource};

/// New weights: matrices normal(0, `initializer_range`), norms that do nothing, no biases.
pub(crate) struct RandomWeights<'a> {
    pub(crate) config: &'a DecoderConfig,
    pub(crate) device: &'a Device,
}

impl RandomWeights<'_> {
    fn normal(&self, shape: [usize; 2]) -> Tensor<2> {
        let distribution = Distribution::Normal(0.0, self.config.initializer_range);
        Tensor::random(shape, distribution, self.device)
    }

    fn matrix_shape(&self, weight: Weight) -> [usize; 2] {
        weight
            .shape(self.config)
            .try_into()
            .expect("projections and tables are matrices")
    }
}

impl WeightSource for RandomWeights<'_> {
    type Error = Infallible;

    fn vector(&mut self, weight: Weight) -> Result<Tensor<1>, Infallible> {
        let size = weight.shape(self.config)[0];
        Ok(Tensor::full(
            [size],
            weight.initial_value(self.config),
            self.device,
        ))
    }

    fn projection(&mut self, weight: Weight) -> Result<Tensor<2>, Infallible> {
        let [outputs, inputs] = self.matrix_shape(weight);
        Ok(self.normal([inputs, outputs]))
    }

    fn table(&mut self, weight: Weight) -> Result<Tensor<2>, Infallible> {
        Ok(self.normal(self.matrix_shape(weight)))
    }
}
