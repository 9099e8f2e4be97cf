//! Every fused operation against its portable form, in values and gradients.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use proptest::prelude::*;

use crate::{
    Computation, VisibleKeys, causal_attention, log_mass_outside, log_softmax, rotate_halves,
    swiglu,
};

/// Values of order 1 in f32, summed over at most some hundred terms in another order.
const TOLERANCE: f32 = 2e-5;

fn device() -> Device {
    Device::flex().autodiff()
}

fn normal<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device()).require_grad()
}

fn largest_difference<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> f32 {
    (left - right).abs().max().into_scalar()
}

/// Compares `operation` fused and portable: the value, and the gradient of each input under random
/// weights of the output's elements.
fn assert_forms_agree<const D: usize, const R: usize, const N: usize>(
    inputs: [Tensor<D>; N],
    operation: impl Fn([Tensor<D>; N], Computation) -> Tensor<R>,
) {
    let fused = operation(inputs.clone(), Computation::Fastest);
    let portable = operation(inputs.clone(), Computation::Portable);
    assert_eq!(fused.dims(), portable.dims());
    let difference = largest_difference(fused.clone(), portable.clone());
    assert!(difference < TOLERANCE, "values differ by {difference}");
    let weights = Tensor::<R>::random(fused.dims(), Distribution::Normal(0.0, 1.0), &device());
    let fused = (fused * weights.clone()).sum().backward();
    let portable = (portable * weights).sum().backward();
    for (index, input) in inputs.iter().enumerate() {
        let (left, right) = (input.grad(&fused).unwrap(), input.grad(&portable).unwrap());
        let scale: f32 = right.clone().abs().max().into_scalar();
        let difference = largest_difference(left, right) / scale.max(1.0);
        assert!(
            difference < TOLERANCE,
            "gradients of input {index} differ by {difference}"
        );
    }
}

/// Positions of documents of these lengths, one after the other, cut at `seq`.
fn positions(lengths: &[usize], seq: usize) -> Vec<i32> {
    let all = lengths.iter().cycle().flat_map(|&length| 0..length as i32);
    all.take(seq).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn attention_agrees(
        batch in 1usize..4,
        seq in 1usize..150,
        groups in 1usize..4,
        shared in 1usize..4,
        half in 1usize..10,
        lengths in prop::collection::vec(1usize..90, 1..5),
    ) {
        let queries = normal([batch, seq, groups * shared, 2 * half]);
        let keys_and_values = [normal([batch, seq, groups, 2 * half]), normal([batch, seq, groups, 2 * half])];
        let rows: Vec<i32> = (0..batch).flat_map(|row| positions(&lengths[row % lengths.len()..], seq)).collect();
        let rows = Tensor::<2, Int>::from_data(TensorData::new(rows, [batch, seq]), &device());
        for visible in [VisibleKeys::within_documents(rows), VisibleKeys::causal(seq, &device())] {
            let [keys, values] = keys_and_values.clone();
            assert_forms_agree([queries.clone(), keys, values], |[queries, keys, values], computation| {
                causal_attention(queries, keys, values, &visible, computation)
            });
        }
    }

    #[test]
    fn rotation_agrees(batch in 1usize..4, seq in 1usize..40, heads in 1usize..5, half in 1usize..20, shares_tables in any::<bool>()) {
        let rows = if shares_tables { 1 } else { batch };
        let angles = Tensor::<4>::random([rows, seq, 1, half], Distribution::Uniform(-3.0, 3.0), &device());
        assert_forms_agree([normal([batch, seq, heads, 2 * half])], |[heads], computation| {
            rotate_halves(heads, angles.clone().cos(), angles.clone().sin(), computation)
        });
    }

    #[test]
    fn swiglu_agrees(rows in 1usize..9, width in 1usize..5_000) {
        assert_forms_agree([normal([rows, width]) * 4.0, normal([rows, width])].map(|x| x.detach().require_grad()), |[gate, up], computation| {
            swiglu(gate, up, computation)
        });
    }

    #[test]
    fn log_softmax_agrees(rows in 1usize..9, vocab in 1usize..700, scale in 0.1f64..20.0) {
        let logits = (normal([rows, vocab]) * scale).detach().require_grad();
        assert_forms_agree([logits], |[logits], computation| log_softmax(logits, computation));
    }

    #[test]
    fn log_mass_outside_agrees(batch in 1usize..3, seq in 1usize..6, vocab in 2usize..300, k in 1usize..40, scale in 0.1f64..8.0) {
        let k = k.min(vocab - 1);
        let stride = (0..batch * seq).flat_map(|row| (0..k).map(move |entry| ((row * 7 + entry) % vocab) as i32));
        let ids = TensorData::new(stride.collect::<Vec<i32>>(), [batch, seq, k]);
        let ids = Tensor::<3, Int>::from_data(ids, &device());
        let log_probs = burn::tensor::activation::log_softmax(normal([batch, seq, vocab]) * scale, 2);
        assert_forms_agree([log_probs.detach().require_grad()], |[log_probs], computation| {
            log_mass_outside(log_probs, ids.clone(), computation)
        });
    }
}

#[test]
fn fused_results_do_not_depend_on_the_number_of_threads_or_the_run() {
    let inputs = [
        normal([3, 90, 4, 8]),
        normal([3, 90, 2, 8]),
        normal([3, 90, 2, 8]),
    ];
    let visible = VisibleKeys::causal(90, &device());
    let run = || {
        let [queries, keys, values] = inputs.clone();
        let mixed = causal_attention(queries, keys, values, &visible, Computation::Fastest);
        let gradients = mixed.clone().square().sum().backward();
        let gradient = inputs[1].grad(&gradients).unwrap();
        (mixed.into_data(), gradient.into_data())
    };
    assert_eq!(run(), run());
}

#[test]
fn plain_tensors_give_what_tracked_ones_give() {
    let tracked = normal([7, 40]);
    let plain = tracked.clone().without_autodiff();
    let value = |tensor: Tensor<2>| log_softmax(tensor, Computation::Fastest).into_data();
    assert_eq!(value(tracked), value(plain));
}

/// Half-integers keep their distances at an offset of ten thousand, so nothing may be lost.
#[test]
fn a_large_common_offset_of_the_logits_cancels_exactly() {
    let near = Tensor::<2>::from_floats([[0.0, 0.5, -2.5, 1.0]], &Device::flex());
    let far = near.clone() + 1e4;
    for computation in [Computation::Fastest, Computation::Portable] {
        let expected = log_softmax(near.clone(), computation).into_data();
        let found = log_softmax(far.clone(), computation).into_data();
        assert_eq!(found, expected, "{computation:?}");
    }
}
