//! The fused forms beside the portable ones, forwards and backwards, on the CPU.
//!
//! `cargo bench -p alambic-kernels` — results with dates and machines: benches/README.md.

#![allow(missing_docs, clippy::unwrap_used)]

use alambic_kernels::{
    Computation, VisibleKeys, causal_attention, log_softmax, rotate_halves, swiglu,
};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use criterion::{Criterion, criterion_group, criterion_main};

const BATCH: usize = 6;
const SEQ: usize = 160;
/// Tokens of each document in a packed row.
const DOCUMENT: usize = 54;
const FORMS: [(&str, Computation); 2] = [
    ("fused", Computation::Fastest),
    ("portable", Computation::Portable),
];

fn normal<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad()
}

/// Times a forward and a backward pass of both forms.
fn compare<const D: usize>(
    criterion: &mut Criterion,
    name: &str,
    operation: impl Fn(Computation) -> Tensor<D>,
) {
    let mut group = criterion.benchmark_group(name);
    for (form, computation) in FORMS {
        group.bench_function(form, |bencher| {
            bencher.iter(|| operation(computation).sum().backward());
        });
    }
    group.finish();
}

fn bench_forms(criterion: &mut Criterion) {
    let device = Device::flex();
    let positions: Vec<i32> = (0..BATCH * SEQ)
        .map(|index| (index % SEQ % DOCUMENT) as i32)
        .collect();
    let positions = Tensor::<2, Int>::from_data(TensorData::new(positions, [BATCH, SEQ]), &device);
    let visible = VisibleKeys::within_documents(positions);
    let (queries, keys, values) = (
        normal([BATCH, SEQ, 4, 32]),
        normal([BATCH, SEQ, 2, 32]),
        normal([BATCH, SEQ, 2, 32]),
    );
    compare(criterion, "packed attention", |computation| {
        let (queries, keys, values) = (queries.clone(), keys.clone(), values.clone());
        causal_attention(queries, keys, values, &visible, computation)
    });
    let angles = Tensor::<4>::random(
        [BATCH, SEQ, 1, 16],
        Distribution::Uniform(-3.0, 3.0),
        &device,
    );
    compare(criterion, "rotary positions", |computation| {
        rotate_halves(
            queries.clone(),
            angles.clone().cos(),
            angles.clone().sin(),
            computation,
        )
    });
    let (gate, up) = (normal([BATCH * SEQ, 352]), normal([BATCH * SEQ, 352]));
    compare(criterion, "swiglu", |computation| {
        swiglu(gate.clone(), up.clone(), computation)
    });
    let logits = normal([BATCH * SEQ, 944]);
    compare(criterion, "log-softmax", |computation| {
        log_softmax(logits.clone(), computation)
    });
}

criterion_group!(benches, bench_forms);
criterion_main!(benches);
