//! The gradient of any loss with respect to any tensor, against central differences in `f64`.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::floats;

/// Half the distance between the two values of a difference.
const STEP: f64 = 1e-5;
/// Central differences in `f64` with that step, of losses of order one.
const TOLERANCE: f64 = 1e-8;

/// What the smallest exponential of a fused operation, instead of 0, can leave in a gradient.
pub(super) const NEXT_TO_NOTHING: f64 = 1e-30;

/// Values on a device, as one float type or the other.
pub(super) fn tensor<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    (dtype, device): (DType, &Device),
) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
    Tensor::from_data(data, (device, dtype))
}

/// The gradient of a sum by autodiff, on a device.
pub(super) fn gradient<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    on: (DType, &Device),
    loss: impl Fn(Tensor<D>) -> Tensor<1>,
) -> Vec<f64> {
    let leaf = tensor(values, shape, (on.0, &on.1.clone().autodiff())).require_grad();
    floats(leaf.grad(&loss(leaf.clone()).backward()).unwrap())
}

/// Checks every entry of a gradient in `f64`, and that it is not zero throughout.
pub(super) fn assert_gradient<const D: usize>(
    name: &str,
    values: &[f64],
    shape: [usize; D],
    loss: impl Fn(Tensor<D>) -> Tensor<1>,
) {
    let device = Device::flex();
    let on = (DType::F64, &device);
    let analytic = gradient(values, shape, on, &loss);
    let value = |index: usize, by: f64| {
        let mut moved = values.to_vec();
        moved[index] += by;
        floats(loss(tensor(&moved, shape, on)))[0]
    };
    for (index, analytic) in analytic.iter().enumerate() {
        let numeric = (value(index, STEP) - value(index, -STEP)) / (2.0 * STEP);
        assert!(
            (analytic - numeric).abs() < TOLERANCE,
            "{name}, entry {index}: {analytic} against {numeric}"
        );
    }
    assert!(
        analytic.iter().any(|entry| entry.abs() > 1e-3),
        "{name}: {analytic:?}"
    );
}

/// Numbers without a pattern between -1 and 1, the same for the same `salt`.
pub(super) fn scattered(count: usize, salt: f64) -> Vec<f64> {
    let number = |index: usize| ((index as f64 + 1.0) * 12.9898 + salt * 78.233).sin();
    (0..count).map(number).collect()
}
