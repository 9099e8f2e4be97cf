//! `model.safetensors.index.json`: the input is the file, beside two sound shards.
//!
//! Checks that a name that could leave the directory is refused, and that what loads computes exactly what the
//! shards in the directory hold: shards of the same names with other weights lie outside of it.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use alambic_fuzz::{
    Scratch, decoder, expect_words, leaves_directory, logits, mutate_json, save, tiny_models,
    within_memory,
};
use alambic_transformer::load_checkpoint;
use burn::tensor::Device;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;

const INDEX: &str = "model.safetensors.index.json";
/// Of the weights of the tiny Llama, about a half.
const SHARD_BYTES: u64 = 2200;

static STAGE: LazyLock<(Scratch, Vec<f32>)> = LazyLock::new(|| {
    let scratch = Scratch::new();
    let llama = &tiny_models()[0].config;
    let inside = decoder(llama, 1);
    let decoy = decoder(llama, 2);
    save(&inside, scratch.inside(), Some(SHARD_BYTES));
    save(&decoy, scratch.outside(), Some(SHARD_BYTES));
    save(&decoy, scratch.outside(), None);
    let expected = logits(&inside);
    assert_ne!(expected, logits(&decoy));
    let loaded = load_checkpoint(scratch.inside(), &Device::flex()).expect("what was saved");
    assert_eq!(logits(&loaded.decoder), expected);
    (scratch, expected)
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(data, size, max_size, seed)
});

fuzz_target!(init: { LazyLock::force(&STAGE); }, |data| {
    let (scratch, expected) = &*STAGE;
    fs::write(scratch.inside().join(INDEX), data).expect("a file in memory");
    within_memory(data.len(), || match load_checkpoint(scratch.inside(), &Device::flex()) {
        Ok(checkpoint) => {
            assert!(!names_of(data).iter().any(|name| leaves_directory(name)), "a name that leaves the directory");
            assert_eq!(logits(&checkpoint.decoder), *expected, "weights from elsewhere");
        }
        Err(error) => expect_words(&error),
    });
});

/// The files that an index names.
fn names_of(index: &[u8]) -> Vec<String> {
    let index: Value = serde_json::from_slice(index).unwrap_or_default();
    let map = index["weight_map"].as_object().cloned().unwrap_or_default();
    map.values()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
