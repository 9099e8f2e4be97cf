//! A value whose gradients are already known.

use burn::tensor::Tensor;

/// `value`, with the given gradients instead of those of the operations that made it.
///
/// A pass that makes its gradients while it computes the value, chunk by chunk, hands both over
/// here. The gradient of the result with respect to each input is the gradient given for it, times
/// what flows back into the result.
///
/// # Shapes
/// Every gradient has its input's shape; neither it nor `value` is tracked by autodiff. An input
/// that is not tracked either is passed over.
///
/// # Cost
/// One product of each input with its gradient, forwards; one copy of the gradient, backwards.
///
/// # Panics
/// If a gradient has another shape than its input.
pub fn attach_gradients(value: Tensor<1>, gradients: Vec<(Tensor<2>, Tensor<2>)>) -> Tensor<1> {
    let tracked = gradients
        .into_iter()
        .filter(|(input, _)| input.is_autodiff());
    // Each difference is exactly 0, and its derivative is the gradient.
    let nothing = tracked.map(|(input, gradient)| {
        assert_eq!(
            input.dims(),
            gradient.dims(),
            "a gradient is shaped like its input"
        );
        let linear = (input * gradient.autodiff()).sum();
        linear.clone() - linear.detach()
    });
    match nothing.reduce(|sum, more| sum + more) {
        Some(nothing) => value.autodiff() + nothing,
        None => value,
    }
}
