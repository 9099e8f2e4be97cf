#![allow(warnings, clippy::all)]
mod golden;
use alambic_transformer::*;
use burn::tensor::*;
use std::time::Instant;
#[test]
fn speed() {
    let cfg = DecoderConfig { vocab_size: 4096, hidden_size: 256, intermediate_size: 704, num_hidden_layers: 4, num_attention_heads: 8, num_key_value_heads: 4, head_dim: 32, max_position_embeddings: 512, rms_norm_eps: 1e-5, rope_theta: 1e4, tie_word_embeddings: true, initializer_range: 0.02 };
    let dev = golden::device().autodiff();
    dev.seed(1);
    let d = cfg.init(&dev);
    let rows: Vec<Vec<u32>> = (0..8).map(|r| (0..256).map(|i| (r * 300 + i * 7) % 4096).collect()).collect();
    let ids = golden::int_tensor(&rows, &dev);
    let pos: Vec<Vec<u32>> = (0..8).map(|_| (0..256).collect()).collect();
    let docs: Vec<Vec<u32>> = (0..8).map(|_| vec![1; 256]).collect();
    for (name, ctx) in [("causal", AttentionContext::causal(8, 256, &dev)), ("packed", AttentionContext::packed(golden::int_tensor(&pos, &dev), golden::int_tensor(&docs, &dev)))] {
        let mut f = vec![]; let mut b = vec![];
        for _ in 0..8 {
            let t = Instant::now();
            let h = d.hidden(ids.clone(), &ctx);
            let l = h.clone().square().mean();
            f.push(t.elapsed().as_secs_f64());
            let t = Instant::now();
            let g = l.backward();
            b.push(t.elapsed().as_secs_f64());
        }
        f.sort_by(|a, b| a.total_cmp(b)); b.sort_by(|a, b| a.total_cmp(b));
        println!("{name} fwd {:.1} ms bwd {:.1} ms", f[3] * 1e3, b[3] * 1e3);
    }
    if let Some(c) = golden::shared_checkpoint("data/stories260K/hf") {
        let prompts: Vec<Vec<u32>> = (0..200usize).map(|r| std::iter::once(1).chain((0..(5 + r * 7 % 60)).map(|i| (260 + (r * 13 + i * 5) % 170) as u32)).collect()).collect();
        let t = Instant::now();
        let g = generate_batch(&c.decoder, &prompts, &GenerationConfig::greedy(100)).unwrap();
        let n: usize = g.iter().map(|g| g.token_ids.len()).sum();
        println!("batch {:.2}s {n} tokens", t.elapsed().as_secs_f64());
        let t = Instant::now();
        let g = generate(&c.decoder, &prompts[0], &GenerationConfig::greedy(200), |_| std::ops::ControlFlow::Continue(())).unwrap();
        println!("single {:.2}s {} tokens", t.elapsed().as_secs_f64(), g.token_ids.len());
    }
}
