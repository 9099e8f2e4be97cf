//! `config.json`: the input is the file, beside sound weights of the family that it names.
//!
//! Checks that a configuration that loads is a valid one, that its decoder computes and generates, and that it is
//! written and read again as the same one, unless it cannot be written.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use alambic_fuzz::{
    Scratch, decoder, expect_words, logits, mutate_json, save, tiny_models, within_memory,
};
use alambic_transformer::{
    Checkpoint, Family, GenerationConfig, SaveOptions, WeightType, generate_batch, load_checkpoint,
    save_checkpoint,
};
use burn::tensor::Device;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde_json::Value;

static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| {
    let scratch = Scratch::new();
    for model in tiny_models() {
        let dir = scratch.inside().join(model.name);
        save(&decoder(&model.config, 1), &dir, None);
        let checkpoint = load_checkpoint(&dir, &Device::flex()).expect("what was saved");
        assert_eq!(checkpoint.config, model.config);
    }
    scratch
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate_json(data, size, max_size, seed)
});

fuzz_target!(init: { LazyLock::force(&SCRATCH); }, |data| {
    let dir = SCRATCH.inside().join(family_of(data).model_type());
    fs::write(dir.join("config.json"), data).expect("a file in memory");
    within_memory(data.len(), || match load_checkpoint(&dir, &Device::flex()) {
        Ok(checkpoint) => use_loaded(&checkpoint),
        Err(error) => expect_words(&error),
    });
});

fn family_of(config: &[u8]) -> Family {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let is_named = |family: &Family| config["model_type"] == family.model_type();
    Family::ALL
        .into_iter()
        .find(is_named)
        .unwrap_or(Family::Llama)
}

fn use_loaded(checkpoint: &Checkpoint) {
    checkpoint.config.validate().expect("what loads is valid");
    let numbers = logits(&checkpoint.decoder);
    if let Err(error) = generate_batch(
        &checkpoint.decoder,
        &[vec![1, 5], vec![2]],
        &GenerationConfig::greedy(2),
    ) {
        expect_words(&error);
    }
    let again = SCRATCH.outside().join("again");
    let options = SaveOptions {
        dtype: WeightType::F32,
        bos_token_id: checkpoint.bos_token_id,
        eos_token_ids: checkpoint.eos_token_ids.clone(),
        pad_token_id: checkpoint.pad_token_id,
        max_shard_bytes: None,
    };
    match save_checkpoint(&checkpoint.decoder, &again, &options) {
        Ok(()) => {
            let loaded =
                load_checkpoint(&again, &Device::flex()).expect("what was written is read");
            assert_eq!(loaded.config, checkpoint.config);
            let bits =
                |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(logits(&loaded.decoder)), bits(numbers));
        }
        Err(error) => expect_words(&error),
    }
}
