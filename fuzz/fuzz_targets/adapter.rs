//! Adapters: up to the first zero byte the input is `adapter_config.json`, behind it `adapter_model.safetensors`.
//!
//! Checks that what loads onto a tiny model computes, and that everything else is an error with words. The model is
//! one of GPT-2 or Phi-3 if the adapter names their tensors, and otherwise Llama.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use alambic_fuzz::{
    FAMILIES_OF_TENSORS, Scratch, decoder, expect_words, family_of_tensors, logits, mutate_header,
    mutate_json, tiny_model, within_memory,
};
use alambic_transformer::{Decoder, load_adapter};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// The directory of the adapter.
static SCRATCH: LazyLock<Scratch> = LazyLock::new(Scratch::new);

thread_local! {
    static BASES: [Decoder; 3] = FAMILIES_OF_TENSORS.map(|family| decoder(&tiny_model(family).config, 1));
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let (seed, of_weights) = (seed / 2, seed % 2 == 0);
    let Some(zero) = data[..size]
        .iter()
        .position(|&byte| byte == 0)
        .filter(|_| seed % 8 != 0)
    else {
        return mutate_json(data, size, max_size, 0);
    };
    let (config, weights) = (data[..zero].to_vec(), data[zero + 1..size].to_vec());
    let changed = |part: &[u8], mutate: fn(&mut [u8], usize, usize, u32) -> usize| {
        let mut changed = part.to_vec();
        changed.resize(part.len() + 512, 0);
        let room = changed.len();
        let size = mutate(&mut changed, part.len(), room, seed);
        changed.truncate(size);
        changed
    };
    let input = match of_weights {
        true => [&config[..], &[0], &changed(&weights, mutate_header)].concat(),
        false => [&changed(&config, mutate_json)[..], &[0], &weights].concat(),
    };
    if input.len() > max_size {
        return size;
    }
    data[..input.len()].copy_from_slice(&input);
    input.len()
});

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let zero = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (config, weights) = (&data[..zero], data.get(zero + 1..).unwrap_or_default());
    let dir = SCRATCH.inside();
    fs::write(dir.join("adapter_config.json"), config).expect("a file in memory");
    fs::write(dir.join("adapter_model.safetensors"), weights).expect("a file in memory");
    let family = family_of_tensors(data);
    let is_its = |base: &&Decoder| base.config().architecture.family == family;
    let base = BASES.with(|bases| bases.iter().find(is_its).expect("one of them").clone());
    within_memory(data.len(), || match load_adapter(base, dir) {
        Ok(adapted) => drop(logits(&adapted)),
        Err(error) => expect_words(&error),
    });
});
