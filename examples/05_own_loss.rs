//! Your own loss and your own loop: reverse KL to the teacher's whole distribution.
//!
//! `cargo run --release --example 05_own_loss`

use std::error::Error;
use std::path::Path;

use alambic::distill::loss::{LabelMask, LogProbs};
use alambic::distill::teacher::Teacher;
use alambic::pipeline::LanguageModel;
use alambic::text::SpecialTokens;
use alambic::transformer::{AttentionContext, DecoderConfig, DeviceChoice};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Int, Tensor, TensorData};

/// KL(student ‖ teacher) summed over the counted labels, in nats: `Σ q (ln q − ln p)`.
fn reverse_kl(student: &LogProbs, teacher: &LogProbs, mask: &LabelMask) -> Tensor<1> {
    let (log_q, log_p) = (student.tensor().clone(), teacher.tensor().clone());
    let per_token = (log_q.clone().exp() * (log_q - log_p))
        .sum_dim(2)
        .squeeze_dim::<2>(2);
    (per_token * mask.tensor().clone()).sum()
}

#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
fn main() -> Result<(), Box<dyn Error>> {
    let device = DeviceChoice::Auto.open()?;
    let model = LanguageModel::load(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("data/quickstart_teacher"),
        &device,
    )?;
    let ids = model
        .tokenizer
        .encode(
            "Once upon a time Tom found a red ball in the park.",
            SpecialTokens::Add,
        )?
        .ids;
    let seq = ids.len();
    let ids: Vec<i32> = ids.into_iter().map(|id| id as i32).collect();

    // The teacher answers on a plain device: no gradient can reach it.
    let plain = Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [1, seq]), &device);
    let teacher = model.teacher.log_probs(plain);

    // The student trains on the same device with autodiff.
    let autodiff = device.clone().autodiff();
    device.seed(3);
    let mut student = DecoderConfig {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        ..model.teacher.decoder().config().clone()
    }
    .init(&device)
    .train();
    let input = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, seq]), &autodiff);
    let context = AttentionContext::causal(1, seq, &autodiff);
    let mask = LabelMask::new(&vec![true; seq], [1, seq], &autodiff);
    let mut optimizer = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(0.0)
        .init();
    for step in 1..=30 {
        let log_probs = LogProbs::from_logits(student.forward(input.clone(), &context));
        let loss = reverse_kl(&log_probs, &teacher, &mask);
        if step % 10 == 0 {
            let nats = loss.clone().into_scalar::<f32>() / mask.num_tokens() as f32;
            println!("step {step}: {nats:.4} nats per token");
        }
        let gradients = GradientsParams::from_grads(
            loss.div_scalar(mask.num_tokens() as f64).backward(),
            &student,
        );
        student = optimizer.step(1e-2, student, gradients);
    }
    Ok(())
}
