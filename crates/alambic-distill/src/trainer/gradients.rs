//! The global norm of a model's gradients, and their scale.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Added to the norm before dividing, as `torch.nn.utils.clip_grad_norm_` does.
const NORM_EPSILON: f64 = 1e-6;

/// √(Σ g²) over all parameters; one read from the device.
pub(crate) fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    struct Squares<'a> {
        gradients: &'a GradientsParams,
        sums: Vec<Tensor<1>>,
    }
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.sums.push(gradient.square().sum());
            }
        }
    }
    let mut squares = Squares {
        gradients,
        sums: Vec::new(),
    };
    module.visit(&mut squares);
    if squares.sums.is_empty() {
        return 0.0;
    }
    f64::from(Tensor::cat(squares.sums, 0).sum().into_scalar::<f32>()).sqrt()
}

/// What gradients of a global norm are multiplied with, so that it is at most `max_norm`.
pub(crate) fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + NORM_EPSILON)).min(1.0)
}

/// All gradients times a factor.
pub(crate) fn scaled<M: Module>(
    module: &M,
    mut gradients: GradientsParams,
    factor: f64,
) -> GradientsParams {
    struct Scale<'a> {
        gradients: &'a mut GradientsParams,
        factor: f64,
    }
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.gradients
                    .register(param.id, gradient.mul_scalar(self.factor));
            }
        }
    }
    if factor != 1.0 {
        module.visit(&mut Scale {
            gradients: &mut gradients,
            factor,
        });
    }
    gradients
}
