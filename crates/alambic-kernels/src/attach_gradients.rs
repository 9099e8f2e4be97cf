//! A value whose gradients are already known.

use burn::tensor::Tensor;

/// `value`, with the given gradients instead of those of the operations that made it.
///
/// A pass that makes its gradients while it computes the value, chunk by chunk, hands both over
/// here. The gradient of the result with respect to each input is the gradient given for it, times
/// what flows back into the result.
///
/// # Shapes
/// Every gradient has its input's shape; neither it nor `value` is tracked by autodiff.
///
/// # Cost
/// One product of each input with its gradient, forwards; one copy of the gradient, backwards.
///
/// # Panics
/// If a gradient has another shape than its input.
pub fn attach_gradients(value: Tensor<1>, gradients: Vec<(Tensor<2>, Tensor<2>)>) -> Tensor<1> {
    gradients
        .into_iter()
        .fold(value, |total, (input, gradient)| {
            assert_eq!(
                input.dims(),
                gradient.dims(),
                "a gradient is shaped like its input"
            );
            // The difference is exactly 0, and its derivative is the gradient.
            let linear = if input.is_autodiff() {
                (input * gradient.autodiff()).sum()
            } else {
                return total;
            };
            let total = if total.is_autodiff() {
                total
            } else {
                total.autodiff()
            };
            total + (linear.clone() - linear.detach())
        })
}
