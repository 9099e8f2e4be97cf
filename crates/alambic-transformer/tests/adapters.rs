//! Low-rank adapters: what PEFT wrote and computes, and that they change nothing else.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::fs;
use std::path::{Path, PathBuf};

use alambic_transformer::{
    Architecture, AttentionContext, BaseType, Decoder, DecoderConfig, LoraConfig, Projection,
    SaveOptions, TransformerError, WeightType, load_adapter, load_checkpoint, save_adapter,
    save_checkpoint,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Int, Tensor};
use golden::{LOGIT_TOLERANCE, Recording, int_tensor, max_difference, new_decoder};
use safetensors::SafeTensors;
use serde_json::Value;

/// Each projection in a tensor of its own.
const CASES: [&str; 3] = ["qwen2-all", "gemma2-two", "olmo3-down"];
/// Several projections in one tensor, with one adapter. The second is of a model in the shared data directory.
const JOINED_CASES: [&str; 2] = ["phi3-joined", "gpt2-joined"];

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/adapters")
        .join(name)
}

fn index(name: &str) -> Value {
    let index = fs::read(recorded("index.json")).unwrap();
    serde_json::from_slice::<Value>(&index).unwrap()[name].clone()
}

/// The recorded base model of a case.
fn base(name: &str) -> Decoder {
    found_base(name).expect("it stands in the repository")
}

/// The same, if it is there.
fn found_base(name: &str) -> Option<Decoder> {
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families");
    let index = index(name);
    let base = index["base"].as_str().unwrap();
    let path = match families.join(base).exists() {
        true => families.join(base),
        false => golden::shared("golden/hf")?.join(base),
    };
    Some(load_checkpoint(&path, &golden::device()).unwrap().decoder)
}

fn logits(decoder: &Decoder, ids: &[Vec<u32>]) -> Vec<f32> {
    let device = golden::device();
    let context = AttentionContext::causal(ids.len(), ids[0].len(), &device);
    decoder
        .forward(int_tensor(ids, &device), &context)
        .try_into_vec_as()
        .unwrap()
}

/// Half of a step on the random adapters of a decoder.
fn lora(rank: usize) -> LoraConfig {
    LoraConfig {
        rank,
        alpha: 6.0,
        projections: vec![Projection::Query, Projection::Down],
        base: None,
    }
}

/// Squares of the gradients of everything that has one, and how many numbers that is.
struct Squares<'a> {
    gradients: &'a Gradients,
    sum: f64,
    numbers: usize,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.base().grad(self.gradients) {
            self.numbers += gradient.shape().num_elements();
            self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
}

#[test]
fn adapters_of_peft_compute_what_it_computes() {
    for name in CASES.into_iter().chain(JOINED_CASES) {
        let Some(base) = found_base(name) else {
            continue;
        };
        let recording = Recording::open(&recorded(name).join("golden.safetensors"));
        let ids = recording.tokens("input_ids");
        let expected = recording.floats("logits");
        let without = logits(&base, &ids);
        assert!(max_difference(&without, &expected) > 0.1, "{name}");
        let adapted = load_adapter(base, &recorded(name)).unwrap();
        let worst = max_difference(&logits(&adapted, &ids), &expected);
        assert!(worst < LOGIT_TOLERANCE, "{name}: {worst}");
        let merged = adapted.merged();
        let worst = max_difference(&logits(&merged, &ids), &expected);
        assert!(worst < LOGIT_TOLERANCE, "{name}, merged: {worst}");
    }
}

#[test]
fn gradients_are_those_of_the_adapters_alone() {
    const RELATIVE: f64 = 1e-4;
    let factor = if golden::device() == Device::flex() {
        1.0
    } else {
        10.0
    };
    for name in CASES {
        let recording = Recording::open(&recorded(name).join("golden.safetensors"));
        let ids = recording.tokens("input_ids");
        let adapted = load_adapter(base(name), &recorded(name)).unwrap();
        let config = adapted.config().clone();
        let lora = adapted.lora().unwrap().clone();
        let adapted = adapted.train();
        let device = golden::device().autodiff();
        let (rows, seq) = (ids.len(), ids[0].len());
        let tokens = int_tensor(&ids, &device);
        let said = adapted.forward(
            tokens.clone(),
            &AttentionContext::causal(rows, seq, &device),
        );
        let labels: Tensor<2, Int> = tokens.narrow(1, 1, seq - 1);
        let said = log_softmax(said.narrow(1, 0, seq - 1), 2);
        let loss = -said.gather(2, labels.unsqueeze_dim(2)).mean();
        let figure = |key: &str| index(name)[key].as_f64().unwrap();
        let found = f64::from(loss.clone().into_scalar::<f32>());
        assert!(
            (found - figure("cross_entropy")).abs() < factor * 1e-5,
            "{name}: {found}"
        );
        let mut squares = Squares {
            gradients: &loss.backward(),
            sum: 0.0,
            numbers: 0,
        };
        adapted.visit(&mut squares);
        let norm = squares.sum.sqrt();
        let error = (norm / figure("gradient_norm") - 1.0).abs();
        assert!(error < factor * RELATIVE, "{name}: {norm}");
        let of_projection = |projection: &Projection| {
            let heads = config.head_dim * config.num_attention_heads;
            let groups = config.head_dim * config.num_key_value_heads;
            let sides = match projection {
                Projection::Query | Projection::Output => config.hidden_size + heads,
                Projection::Key | Projection::Value => config.hidden_size + groups,
                _ => config.hidden_size + config.intermediate_size,
            };
            lora.rank * sides
        };
        let numbers: usize = lora.projections.iter().map(of_projection).sum();
        assert_eq!(
            squares.numbers,
            config.num_hidden_layers * numbers,
            "{name}"
        );
    }
}

#[test]
fn what_is_written_is_what_peft_wrote() {
    let directory = tempfile::tempdir().unwrap();
    for name in CASES.into_iter().chain(JOINED_CASES) {
        let Some(base) = found_base(name) else {
            continue;
        };
        let adapted = load_adapter(base, &recorded(name)).unwrap();
        let out = directory.path().join(name);
        let base_name = index(name)["base"].as_str().unwrap().to_owned();
        save_adapter(&adapted, &out, &base_name, WeightType::F32).unwrap();
        let tensors = |directory: &Path| {
            let bytes = fs::read(directory.join("adapter_model.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let mut tensors: Vec<_> = file
                .tensors()
                .into_iter()
                .map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec()))
                .collect();
            tensors.sort();
            tensors
        };
        assert!(tensors(&out) == tensors(&recorded(name)), "{name}");
        let config = |directory: &Path| -> Value {
            serde_json::from_slice(&fs::read(directory.join("adapter_config.json")).unwrap())
                .unwrap()
        };
        let (found, expected) = (config(&out), config(&recorded(name)));
        for (key, value) in found.as_object().unwrap() {
            // A dropout acts in training alone, and how factors were drawn before it.
            if key != "lora_dropout" && key != "init_lora_weights" {
                let is_equal = value == &expected[key] || value.as_f64() == expected[key].as_f64();
                assert!(is_equal, "{name}: {key} is {value}, not {}", expected[key]);
            }
        }
    }
}

#[test]
fn new_adapters_change_nothing_and_follow_from_their_seed() {
    let ids = vec![vec![3, 9, 4, 17, 2]];
    let plain = base("olmo3-down");
    let expected = logits(&plain, &ids);
    let directory = tempfile::tempdir().unwrap();
    let written = |seed: u64| {
        let adapted = plain.clone().with_lora(&lora(2), seed).unwrap();
        assert!(max_difference(&logits(&adapted, &ids), &expected) < 1e-6);
        let out = directory.path().join(seed.to_string());
        save_adapter(&adapted, &out, "base", WeightType::F32).unwrap();
        fs::read(out.join("adapter_model.safetensors")).unwrap()
    };
    assert_eq!(written(5), written(5));
    assert_ne!(written(5), written(6));
    let merged = plain.clone().with_lora(&lora(2), 5).unwrap().merged();
    assert!(max_difference(&logits(&merged, &ids), &expected) < 1e-6);
    assert_eq!(merged.lora(), None);
}

#[test]
fn what_does_not_fit_is_said() {
    let message = |config: LoraConfig| {
        let error = base("olmo3-down").with_lora(&config, 1).unwrap_err();
        assert!(matches!(error, TransformerError::InvalidLora { .. }));
        error.to_string()
    };
    let found = message(LoraConfig {
        rank: 0,
        alpha: f64::NAN,
        projections: vec![Projection::Key, Projection::Key],
        base: None,
    });
    for problem in ["rank is 0", "alpha is NaN", "k_proj is named twice"] {
        assert!(found.contains(problem), "{found}");
    }
    let twice = base("olmo3-down").with_lora(&lora(1), 1).unwrap();
    let error = twice.with_lora(&lora(1), 1).unwrap_err().to_string();
    assert!(error.contains("adapters already"), "{error}");
    let none = save_adapter(
        &base("olmo3-down"),
        Path::new("unused"),
        "base",
        WeightType::F32,
    );
    assert!(none.unwrap_err().to_string().contains("no adapters"));
    // Projections that a family stores together: some of them, and all with factors of their own.
    for (projections, told) in [
        (vec![Projection::Query], "holds further projections"),
        (
            vec![Projection::Query, Projection::Key, Projection::Value],
            "unlike factors A for q_proj, k_proj, v_proj",
        ),
    ] {
        let lora = LoraConfig {
            projections,
            ..lora(1)
        };
        let phi3 = base("phi3-joined").with_lora(&lora, 1).unwrap();
        let error = save_adapter(&phi3, Path::new("unused"), "base", WeightType::F32);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("qkv_proj") && error.contains(told),
            "{error}"
        );
    }
}

#[test]
fn a_module_whose_name_another_ends_with_too_is_named_with_its_parent() {
    let Some(base) = found_base("gpt2-joined") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let lora = LoraConfig {
        projections: vec![Projection::Output],
        ..lora(2)
    };
    let adapted = base.clone().with_lora(&lora, 3).unwrap();
    save_adapter(&adapted, directory.path(), "gpt2", WeightType::F32).unwrap();
    let config = fs::read_to_string(directory.path().join("adapter_config.json")).unwrap();
    assert!(config.contains("\"attn.c_proj\""), "{config}");
    let read = load_adapter(base, directory.path()).unwrap();
    assert_eq!(read.lora(), Some(&lora));
}

#[test]
fn files_of_other_adapters_are_refused_by_the_setting() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let source = recorded("gemma2-two");
    let config = fs::read_to_string(source.join("adapter_config.json")).unwrap();
    fs::copy(
        source.join("adapter_model.safetensors"),
        out.join("adapter_model.safetensors"),
    )
    .unwrap();
    for (from, to, expected) in [
        ("\"use_dora\": false", "\"use_dora\": true", "use_dora"),
        (
            "\"use_rslora\": false",
            "\"use_rslora\": true",
            "use_rslora",
        ),
        ("\"bias\": \"none\"", "\"bias\": \"all\"", "bias"),
        (
            "\"rank_pattern\": {}",
            "\"rank_pattern\": {\"q_proj\": 8}",
            "rank_pattern",
        ),
        (
            "\"modules_to_save\": null",
            "\"modules_to_save\": [\"lm_head\"]",
            "modules_to_save",
        ),
        (
            "\"peft_type\": \"LORA\"",
            "\"peft_type\": \"IA3\"",
            "peft_type",
        ),
        (
            "\"init_lora_weights\": false",
            "\"init_lora_weights\": \"pissa_niter_4\"",
            "init_lora_weights",
        ),
        ("\"v_proj\"", "\"lm_head\"", "target_modules"),
        ("\"v_proj\"", "\"q_proj\"", "unknown tensor"),
        (
            "\"fan_in_fan_out\": false",
            "\"fan_in_fan_out\": true",
            "fan_in_fan_out",
        ),
        ("\"v_proj\"", "\"k_proj\"", "missing tensor"),
        (
            "\"r\": 4",
            "\"r\": 2",
            "has shape [4, 16], expected [2, 16]",
        ),
        ("\"r\": 4", "\"r\": 0", "rank is 0"),
        (
            "\"lora_alpha\": 4",
            "\"lora_alpha\": \"much\"",
            "lora_alpha",
        ),
    ] {
        let changed = config.replacen(from, to, 1);
        assert_ne!(changed, config, "{from}");
        fs::write(out.join("adapter_config.json"), changed).unwrap();
        let error = load_adapter(base("gemma2-two"), out)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    fs::write(out.join("adapter_config.json"), &config).unwrap();
    fs::write(out.join("adapter_model.safetensors"), b"short").unwrap();
    let error = load_adapter(base("gemma2-two"), out)
        .unwrap_err()
        .to_string();
    assert!(error.contains("adapter_model.safetensors"), "{error}");
}

#[test]
fn a_quantised_base_is_a_block_wise_rounding_of_the_weights() {
    let config = DecoderConfig {
        vocab_size: 40,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        max_position_embeddings: 32,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        tie_word_embeddings: true,
        initializer_range: 0.1,
        architecture: Architecture::default(),
    };
    let plain = new_decoder(&config, 7, &golden::device());
    let ids = vec![vec![3, 9, 4, 17, 2]];
    let exact = logits(&plain, &ids);
    let with_base = |base| LoraConfig {
        projections: Projection::ALL.to_vec(),
        base: Some(base),
        ..lora(2)
    };
    if std::env::var("ALAMBIC_TEST_DEVICE").is_ok_and(|device| device == "ndarray") {
        let error = plain.with_lora(&with_base(BaseType::Int8), 1).unwrap_err();
        assert!(error.to_string().contains("NdArray"), "{error}");
        return;
    }
    let mut distances = Vec::new();
    for (base, levels) in [(BaseType::Int8, 127.0), (BaseType::Int4, 7.0)] {
        let rounded = plain.clone().with_lora(&with_base(base), 1).unwrap();
        let whole = rounded.clone().merged();
        let found = logits(&rounded, &ids);
        assert!(max_difference(&found, &logits(&whole, &ids)) < LOGIT_TOLERANCE);
        distances.push(max_difference(&found, &exact));
        // Gradients are those of the adapters; where B is 0, those of A are.
        let learning = rounded.train();
        let context = AttentionContext::causal(1, 5, &golden::device().autodiff());
        let tokens = int_tensor(&ids, &golden::device().autodiff());
        let gradients = learning
            .forward(tokens, &context)
            .square()
            .mean()
            .backward();
        let mut squares = Squares {
            gradients: &gradients,
            sum: 0.0,
            numbers: 0,
        };
        learning.visit(&mut squares);
        let sides = 2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 96);
        assert_eq!(squares.numbers, 2 * 2 * sides, "{base:?}");
        assert!(squares.sum > 0.0 && squares.sum.is_finite());
        // Every weight is within half a level of its block's largest.
        let directories = [&plain, &whole].map(|decoder| {
            let directory = tempfile::tempdir().unwrap();
            let options = SaveOptions {
                dtype: WeightType::F32,
                bos_token_id: None,
                eos_token_ids: Vec::new(),
                pad_token_id: None,
                max_shard_bytes: None,
            };
            save_checkpoint(decoder, directory.path(), &options).unwrap();
            Recording::open(&directory.path().join("model.safetensors"))
        });
        let name = "model.layers.1.mlp.up_proj.weight"; // [96 outputs, 64 inputs]
        let [before, after] = directories.map(|recording| recording.floats(name));
        for input in 0..64 {
            for block in 0..3 {
                let places = (0..32).map(|output| (block * 32 + output) * 64 + input);
                let places: Vec<usize> = places.collect();
                let largest = places
                    .iter()
                    .map(|&place| before[place].abs())
                    .fold(0.0, f32::max);
                for place in places {
                    let error = (before[place] - after[place]).abs();
                    assert!(
                        error <= 0.501 * largest / levels,
                        "{base:?}: {error} of {largest}"
                    );
                }
            }
        }
    }
    assert!(
        distances[0] > 1e-4 && distances[0] < 0.1 * distances[1],
        "{distances:?}"
    );
    let narrow = base("olmo3-down")
        .with_lora(&with_base(BaseType::Int4), 1)
        .unwrap_err();
    assert!(narrow.to_string().contains("a multiple of 32"), "{narrow}");
}
