//! Peak memory and time of one forward and backward pass, with layers that are kept or computed again.
//!
//! Usage: step_memory LAYERS kept|again [f32|bf16|f16]
//!
//! Prints one line of JSON: megabytes of the process at its peak beyond those before the pass, and seconds of a second
//! pass. A process is one measurement, since a peak is never forgotten (`benches/recompute_memory.py`).
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measurement on the command line

use std::time::Instant;

use alambic_transformer::{
    Architecture, AttentionContext, Decoder, DecoderConfig, DeviceChoice, Precision, Recomputation,
    WantedLayers,
};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Int, Tensor};

const BATCH: usize = 4;
const SEQ: usize = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [layers, mode, rest @ ..] = arguments.as_slice() else {
        return Err("usage: step_memory LAYERS kept|again [f32|bf16|f16]".into());
    };
    let again = match mode.as_str() {
        "kept" => false,
        "again" => true,
        other => return Err(format!("expected kept or again, found {other}").into()),
    };
    let name = rest.first().map_or("f32", String::as_str);
    let precision = Precision::ALL.into_iter().find(|it| it.name() == name);
    let config = DecoderConfig {
        vocab_size: 4_096,
        hidden_size: 256,
        intermediate_size: 704,
        num_hidden_layers: layers.parse()?,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 64,
        max_position_embeddings: SEQ,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.02,
        architecture: Architecture::default(),
    };
    config.validate()?;
    let device = DeviceChoice::Cpu.open()?.autodiff();
    device.seed(17);
    let decoder = config.init(&device);
    let decoder = decoder.computing_in(precision.ok_or("expected f32, bf16 or f16")?)?;
    let before = memory("VmRSS")?;
    pass(&decoder, again);
    let peak = memory("VmHWM")?;
    let started = Instant::now();
    pass(&decoder, again);
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{{\"layers\": {layers}, \"mode\": \"{mode}\", \"precision\": \"{name}\", \"megabytes\": {:.1}, \"seconds\": {seconds:.3}}}",
        (peak - before) / 1e3
    );
    Ok(())
}

/// Every gradient of the mean square of the logits, as a trainer holds them.
fn pass(decoder: &Decoder, again: bool) -> GradientsParams {
    let device = decoder.device();
    let token_ids = Tensor::<1, Int>::arange(0..(BATCH * SEQ) as i64, &device);
    let token_ids = token_ids.reshape([BATCH, SEQ]);
    let context = AttentionContext::causal(BATCH, SEQ, &device);
    let last = decoder.config().num_hidden_layers;
    let wanted = WantedLayers {
        hidden_states: [last].into(),
        ..WantedLayers::default()
    };
    let loss = |hidden: Tensor<3>| decoder.lm_head(hidden).square().mean();
    if !again {
        let gradients = loss(decoder.hidden(token_ids, &context)).backward();
        return GradientsParams::from_grads(gradients, decoder);
    }
    let (outputs, pass) = Recomputation::forward(decoder, token_ids, &context, &wanted);
    let mut losses = loss(outputs.hidden_states[&last].clone()).backward();
    let mut sum = GradientsAccumulator::new();
    let mut add =
        |gradients| sum.accumulate(decoder, GradientsParams::from_grads(gradients, decoder));
    pass.backward(decoder, &mut losses, &mut add);
    add(losses);
    sum.grads()
}

/// Kilobytes of a line of `/proc/self/status`.
fn memory(key: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("no such line in /proc/self/status")?.parse()?)
}
