//! The small real teacher finds 100 stories as likely as its reference implementation does.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};

use alambic::text::{SpecialTokens, Tokenizer};
use alambic::transformer::{AttentionContext, Decoder, DeviceChoice, load_checkpoint};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Largest difference of a mean in nats per token: f32 here, f64 in the reference.
const NLL_TOLERANCE: f64 = 1e-4;
/// What the reference cut its stories to.
const MAX_TOKENS: usize = 512;

/// A path in the shared data directory; `None`, said loudly, if there is no such directory.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ALAMBIC_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if root.is_dir() {
        return Some(root.join(path));
    }
    eprintln!("skipped: {path} needs the shared data directory (set ALAMBIC_SHARED)");
    None
}

/// The summed negative log-likelihood of the tokens behind the first, in nats.
fn nll(decoder: &Decoder, ids: &[u32], device: &Device) -> f64 {
    let seq = ids.len();
    let values: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(values, [1, seq]), device);
    let context = AttentionContext::causal(1, seq, device);
    let log_probs = log_softmax(decoder.forward(tokens.clone(), &context), 2);
    let labels = tokens.narrow(1, 1, seq - 1).unsqueeze_dim::<3>(2);
    let picked = log_probs.narrow(1, 0, seq - 1).gather(2, labels);
    let picked: Vec<f32> = picked.try_into_vec_as().unwrap();
    -picked.into_iter().map(f64::from).sum::<f64>()
}

#[test]
fn the_likelihood_of_a_hundred_stories_is_the_recorded_one() {
    let Some(model) = shared("data/stories260K/hf") else {
        return;
    };
    let recorded = shared("data/stories260K/golden/nll.json").unwrap();
    let recorded: serde_json::Value =
        serde_json::from_slice(&std::fs::read(recorded).unwrap()).unwrap();
    let text = shared("data/tinystories-sample/tinystories_sample.txt").unwrap();
    let text = std::fs::read_to_string(text).unwrap();

    let device = DeviceChoice::Cpu.open().unwrap();
    let decoder = load_checkpoint(&model, &device).unwrap().decoder;
    let tokenizer = Tokenizer::from_file(&model.join("tokenizer.json")).unwrap();
    let (mut sum, mut count) = (0.0, 0);
    let stories = recorded["per_story"].as_array().unwrap();
    for (story, expected) in text.split("<|endoftext|>").zip(stories) {
        let mut ids = tokenizer
            .encode(story.trim(), SpecialTokens::Add)
            .unwrap()
            .ids;
        ids.truncate(MAX_TOKENS);
        let labels = ids.len() - 1;
        let found = nll(&decoder, &ids, &device);
        assert_eq!(expected[0].as_u64().unwrap(), labels as u64, "{story}");
        let difference = (found - expected[1].as_f64().unwrap()).abs() / labels as f64;
        assert!(difference < NLL_TOLERANCE, "{difference} in {story}");
        (sum, count) = (sum + found, count + labels as u64);
    }
    assert_eq!(stories.len(), 100);
    assert_eq!(count, recorded["tokens_scored"].as_u64().unwrap());
    let expected = recorded["mean_nll_per_token"].as_f64().unwrap();
    assert!((sum / count as f64 - expected).abs() < NLL_TOLERANCE);
}
