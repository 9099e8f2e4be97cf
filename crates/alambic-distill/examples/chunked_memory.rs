//! Memory and time of a loss over a large vocabulary, without whole logits.
//!
//! ```sh
//! cargo run --release -p alambic-distill --example chunked_memory -- 4096 152064 128 top-k cpu
//! ```
//! Arguments: labels, vocabulary, hidden size, `top-k` (64 entries) or `hidden` (the teacher's
//! states), device. Forwards and backwards; whole logits would take `labels · vocabulary · 4` bytes
//! several times.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use alambic_distill::loss::{
    Chunked, DEFAULT_CHUNK_BYTES, Head, LabelTargets, LossKind, Objective, ObjectiveTerm,
    TailTreatment, TopKTargetBatch,
};
use alambic_transformer::DeviceChoice;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};

const TOP_K: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [labels, vocab, hidden, kind, device] = &arguments[..] else {
        return Err("arguments: LABELS VOCABULARY HIDDEN top-k|hidden DEVICE".into());
    };
    let (labels, vocab, hidden) = (labels.parse()?, vocab.parse()?, hidden.parse()?);
    let device = device.parse::<DeviceChoice>()?.open()?;
    device.seed(7);

    let random = |rows: usize, columns: usize| {
        let scale = (columns as f64).powf(-0.5);
        Tensor::<2>::random([rows, columns], Distribution::Normal(0.0, scale), &device)
    };
    let states = random(labels, hidden).autodiff().require_grad();
    let weight = random(hidden, vocab).autodiff().require_grad();
    let targets = match kind.as_str() {
        "top-k" => LabelTargets::TopK(top_k(labels, vocab, &device)),
        "hidden" => LabelTargets::Hidden {
            states: random(labels, hidden),
            head: Head::new(random(hidden, vocab)),
        },
        other => return Err(format!("targets: expected top-k or hidden, found {other}").into()),
    };
    let ids: Vec<i32> = (0..labels)
        .map(|label| (label * 7919 % vocab) as i32)
        .collect();
    let label_ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [labels]), &device);
    let terms = vec![
        ObjectiveTerm::new(LossKind::ForwardKl, 0.5),
        ObjectiveTerm::new(LossKind::CrossEntropy, 0.5),
    ];
    let objective = Objective::try_new(terms, TailTreatment::TailBucket)?;
    let weights = Tensor::<2>::full([2, labels], 0.5 / labels as f64, &device);
    device.sync()?;

    let (before, start) = (memory_kib("VmRSS:"), Instant::now());
    let losses = Chunked::new(objective, DEFAULT_CHUNK_BYTES).losses(
        &states,
        &Head::new(weight.clone()),
        &label_ids,
        Some(&targets),
        &weights,
    )?;
    let gradients = losses.total.backward();
    let norm = |gradient: Option<Tensor<2>>| -> Option<f32> {
        gradient.map(|gradient| gradient.square().sum().sqrt().into_scalar::<f32>())
    };
    let norms = (norm(states.grad(&gradients)), norm(weight.grad(&gradients)));
    println!(
        "{kind}: total {:.5} nats, gradient norms {norms:?}, {:.1} s, extra memory {} MiB (whole logits: {} MiB)",
        losses.total.into_scalar::<f32>(),
        start.elapsed().as_secs_f64(),
        memory_kib("VmHWM:").saturating_sub(before) >> 10,
        (labels * vocab * 4) >> 20,
    );
    Ok(())
}

/// Entries spread over the vocabulary that hold 98 % of the mass, falling geometrically.
fn top_k(labels: usize, vocab: usize, device: &Device) -> TopKTargetBatch {
    let raw: Vec<f64> = (0..TOP_K).map(|rank| (-0.1 * rank as f64).exp()).collect();
    let sum: f64 = raw.iter().sum();
    let log_probs: Vec<f32> = raw.iter().map(|p| (0.98 * p / sum).ln() as f32).collect();
    let ids = (0..labels * TOP_K).map(|at| ((at / TOP_K) * 31 + (at % TOP_K) * 97) % vocab);
    TopKTargetBatch::from_host(
        ids.map(|id| id as i32).collect(),
        log_probs.repeat(labels),
        vec![0.02; labels],
        vec![3.0; labels],
        [1, labels, TOP_K],
        device,
    )
}

/// A line of `/proc/self/status`; 0 where there is none.
fn memory_kib(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|text| text.strip_prefix(line));
    let number = value.and_then(|text| text.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
