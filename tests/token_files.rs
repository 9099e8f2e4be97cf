//! Tokens in, logits and more tokens out, beside what `transformers` recorded.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use alambic::pipeline::{PipelineError, continue_tokens, merge_adapter, score_tokens};
use alambic::transformer::{Precision, WeightType};
use burn::tensor::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Largest difference between logits (of order 1) and the recorded ones.
const LOGIT_TOLERANCE: f32 = 1e-4;

/// A recorded checkpoint; it has no tokenizer.
fn model(name: &str) -> PathBuf {
    let families = "crates/alambic-transformer/tests/golden/families";
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(families)
        .join(name)
}

/// Writes a recorded tensor as `name` into a file of its own; its bytes.
fn write_input(model: &Path, recorded: &str, name: &str, path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(model.join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(recorded).unwrap();
    safetensors::serialize_to_file([(name, tensor.clone())], None, path).unwrap();
    tensor.data().to_vec()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.as_chunks::<4>().0.iter();
    words.map(|word| f32::from_le_bytes(*word)).collect()
}

#[test]
fn logits_and_continuations_are_those_of_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let [tokens, out] = ["tokens.safetensors", "out.safetensors"].map(|name| dir.path().join(name));
    for name in ["llama-dynamic", "phi3-partial-sliding", "gemma2-odd"] {
        let model = model(name);
        write_input(&model, "long.input_ids", "input_ids", &tokens);
        let shape = score_tokens(&model, &tokens, &out, &Device::flex(), Precision::F32).unwrap();
        assert_eq!(shape, [2, 40, 48]);
        let written = std::fs::read(&out).unwrap();
        let logits = SafeTensors::deserialize(&written).unwrap();
        let logits = logits.tensor("logits").unwrap();
        assert_eq!((logits.dtype(), logits.shape()), (Dtype::F32, &shape[..]));
        let expected = write_input(&model, "long.logits", "logits", &tokens);
        let pairs = floats(logits.data()).into_iter().zip(floats(&expected));
        let worst = pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(worst < LOGIT_TOLERANCE, "{name}: {worst}");

        write_input(&model, "greedy.prompt", "input_ids", &tokens);
        let shape = continue_tokens(&model, &tokens, &out, 36, &Device::flex()).unwrap();
        assert_eq!(shape, [1, 40]);
        let written = std::fs::read(&out).unwrap();
        let output = SafeTensors::deserialize(&written).unwrap();
        let output = output.tensor("output").unwrap();
        assert_eq!(output.dtype(), Dtype::I32);
        let expected = write_input(&model, "greedy.output", "output", &tokens);
        assert_eq!(output.data(), expected, "{name}");
    }
}

#[test]
fn what_is_no_file_of_tokens_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let [tokens, out] = ["tokens.safetensors", "out.safetensors"].map(|name| dir.path().join(name));
    let model = model("llama-biases");
    let score = || score_tokens(&model, &tokens, &out, &Device::flex(), Precision::F32);
    let refusal = |result: Result<[usize; 3], PipelineError>| {
        assert!(!out.exists());
        let error = result.unwrap_err();
        assert!(error.is_bad_input(), "{error}");
        error.to_string()
    };
    assert!(refusal(score()).contains("cannot read"));
    std::fs::write(&tokens, "no tensors").unwrap();
    assert!(refusal(score()).contains("found another file"));
    write_input(&model, "long.input_ids", "tokens", &tokens);
    assert!(refusal(score()).contains("found the tensors [\"tokens\"]"));
    write_input(&model, "short.logits", "input_ids", &tokens);
    assert!(refusal(score()).contains("found F32 of [2, 12, 48]"));
    for (ids, shape, told) in [
        (&[1i32, 48][..], [1, 2], "token ids from 0 to 47, found 48"),
        (&[-1, 3], [1, 2], "found -1"),
        (&[], [0, 2], "at least one row of 1 to 64 tokens"),
        (&[], [2, 0], "found 2 rows of 0"),
        (&[1; 65], [1, 65], "found 1 rows of 65"),
    ] {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::I32, shape.to_vec(), &bytes).unwrap();
        safetensors::serialize_to_file([("input_ids", view)], None, &tokens).unwrap();
        let refusal = refusal(score());
        assert!(refusal.contains(told), "{refusal}");
    }
    write_input(&model, "long.input_ids", "input_ids", &tokens);
    let error = continue_tokens(&model, &tokens, &out, 25, &Device::flex()).unwrap_err();
    let told = "tokens that with 25 more are at most 64, found 2 rows of 40";
    assert!(error.to_string().contains(told), "{error}");
}

/// `tests/precision.rs` of the decoder measures how near; here the argument arrives.
#[test]
fn logits_of_rounded_products_are_near_those_of_exact_ones() {
    let dir = tempfile::tempdir().unwrap();
    let [tokens, out] = ["tokens.safetensors", "out.safetensors"].map(|name| dir.path().join(name));
    let model = model("olmo3");
    write_input(&model, "short.input_ids", "input_ids", &tokens);
    let logits = |precision: Precision| {
        score_tokens(&model, &tokens, &out, &Device::flex(), precision).unwrap();
        let written = std::fs::read(&out).unwrap();
        let file = SafeTensors::deserialize(&written).unwrap();
        floats(file.tensor("logits").unwrap().data())
    };
    let exact = logits(Precision::F32);
    let distance = |precision: Precision| {
        let pairs = logits(precision).into_iter().zip(&exact);
        let squares: f32 = pairs.map(|(one, other)| (one - other).powi(2)).sum();
        (squares / exact.len() as f32).sqrt()
    };
    let [bf16, f16] = [Precision::Bf16, Precision::F16].map(distance);
    assert!((1e-3..5e-2).contains(&bf16), "{bf16}");
    assert!((1e-4..5e-3).contains(&f16), "{f16}");
}

#[test]
fn a_merged_model_computes_what_its_adapters_did_in_peft() {
    let dir = tempfile::tempdir().unwrap();
    let [tokens, out] = ["tokens.safetensors", "out.safetensors"].map(|name| dir.path().join(name));
    for (name, base) in [("qwen2-all", "qwen2-sliding"), ("gemma2-two", "gemma2-odd")] {
        let adapters = "crates/alambic-transformer/tests/golden/adapters";
        let adapter = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(adapters)
            .join(name);
        let merged = dir.path().join(name);
        merge_adapter(&model(base), &adapter, &merged, WeightType::F32).unwrap();
        write_input(&adapter, "input_ids", "input_ids", &tokens);
        score_tokens(&merged, &tokens, &out, &Device::flex(), Precision::F32).unwrap();
        let written = std::fs::read(&out).unwrap();
        let logits = SafeTensors::deserialize(&written).unwrap();
        let logits = floats(logits.tensor("logits").unwrap().data());
        let expected = floats(&write_input(&adapter, "logits", "logits", &tokens));
        assert_eq!(logits.len(), expected.len());
        for (found, expected) in logits.into_iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(error < LOGIT_TOLERANCE, "{name}: {found}, not {expected}");
        }
        let again = merge_adapter(&model(base), &adapter, &merged, WeightType::F32);
        assert!(again.unwrap_err().to_string().contains("does not exist"));
    }
    let nowhere = merge_adapter(
        &model("olmo3"),
        &dir.path().join("none"),
        &dir.path().join("new"),
        WeightType::F32,
    );
    assert!(
        nowhere
            .unwrap_err()
            .to_string()
            .contains("adapter_config.json")
    );
    assert!(!dir.path().join("new").exists());
}
