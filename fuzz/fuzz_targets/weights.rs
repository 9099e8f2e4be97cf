//! `model.safetensors`: the input is the file, beside a sound `config.json`.
//!
//! Checks that what loads computes, and that everything else is an error with words, within the memory that the
//! file's size explains. Files with GPT-2's or Phi-3's tensor names are read as such, all others as Llama's.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use alambic_fuzz::{
    FAMILIES_OF_TENSORS, Scratch, decoder, expect_words, family_of_tensors, logits, mutate_header,
    save, tiny_model, within_memory,
};
use alambic_transformer::load_checkpoint;
use burn::tensor::Device;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

/// A directory for each family.
static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| {
    let scratch = Scratch::new();
    for family in FAMILIES_OF_TENSORS {
        let dir = scratch.inside().join(family.model_type());
        save(&decoder(&tiny_model(family).config, 1), &dir, None);
        logits(
            &load_checkpoint(&dir, &Device::flex())
                .expect("what was saved")
                .decoder,
        );
    }
    scratch
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_header(data, size, max_size, seed)
});

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let dir = SCRATCH.inside().join(family_of_tensors(data).model_type());
    fs::write(dir.join("model.safetensors"), data).expect("a file in memory");
    within_memory(data.len(), || match load_checkpoint(&dir, &Device::flex()) {
        Ok(checkpoint) => drop(logits(&checkpoint.decoder)),
        Err(error) => expect_words(&error),
    });
});
