//! Checkpoints: what is written is read back, and what does not fit is refused by name.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::path::{Path, PathBuf};

use alambic_transformer::{
    Architecture, AttentionContext, Checkpoint, Decoder, DecoderConfig, GenerationConfig,
    SaveOptions, TransformerError, WeightType, generate_batch, load_checkpoint, save_checkpoint,
};
use golden::{Case, family_cases, int_tensor, max_difference, new_decoder, shared};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Rounding of one weight to f16 (relative), and what that does to logits of order 1.
const F16_LOGIT_TOLERANCE: f32 = 0.01;

fn config(tie_word_embeddings: bool) -> DecoderConfig {
    DecoderConfig {
        vocab_size: 20,
        hidden_size: 12,
        intermediate_size: 18,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 4,
        max_position_embeddings: 16,
        rms_norm_eps: 1e-6,
        rope_theta: 500.0,
        tie_word_embeddings,
        initializer_range: 0.25,
        architecture: Architecture::default(),
    }
}

fn decoder(tie_word_embeddings: bool) -> Decoder {
    new_decoder(&config(tie_word_embeddings), 7, &golden::device())
}

fn options(dtype: WeightType) -> SaveOptions {
    SaveOptions {
        dtype,
        bos_token_id: Some(1),
        eos_token_ids: vec![2, 3],
        pad_token_id: None,
        max_shard_bytes: None,
    }
}

/// A saved decoder in a directory of its own.
fn saved(tie_word_embeddings: bool, dtype: WeightType) -> TempDir {
    let dir = TempDir::new().unwrap();
    save_checkpoint(&decoder(tie_word_embeddings), dir.path(), &options(dtype)).unwrap();
    dir
}

fn load(dir: &Path) -> Result<Checkpoint, TransformerError> {
    load_checkpoint(dir, &golden::device())
}

fn refusal(dir: &Path) -> String {
    load(dir).map(|_| ()).unwrap_err().to_string()
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let device = golden::device();
    let context = AttentionContext::causal(1, 6, &device);
    let token_ids = int_tensor(&[vec![1, 5, 9, 2, 19, 0]], &device);
    decoder
        .forward(token_ids, &context)
        .try_into_vec_as()
        .unwrap()
}

fn weights(dir: &Path) -> PathBuf {
    dir.join("model.safetensors")
}

/// Rewrites `config.json`.
fn edit_config(dir: &Path, edit: impl FnOnce(&mut Value)) {
    let path = dir.join("config.json");
    let mut fields = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut fields);
    std::fs::write(path, fields.to_string()).unwrap();
}

/// Rewrites a safetensors file from its tensors: name, type, shape, bytes.
type Tensors = Vec<(String, String, Vec<usize>, Vec<u8>)>;

fn edit_weights(path: &Path, edit: impl FnOnce(&mut Tensors)) {
    let bytes = std::fs::read(path).unwrap();
    let header_bytes = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + header_bytes]).unwrap();
    let mut tensors: Tensors = header
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "__metadata__")
        .map(|(name, entry)| {
            let offset = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
            let data = bytes[8 + header_bytes..][offset(0)..offset(1)].to_vec();
            let shape = serde_json::from_value(entry["shape"].clone()).unwrap();
            (
                name.clone(),
                entry["dtype"].as_str().unwrap().to_string(),
                shape,
                data,
            )
        })
        .collect();
    edit(&mut tensors);
    write_weights(path, &tensors);
}

fn write_weights(path: &Path, tensors: &Tensors) {
    let mut header = serde_json::Map::new();
    let mut data = Vec::<u8>::new();
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend(bytes);
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    std::fs::write(path, file).unwrap();
}

#[test]
fn what_is_saved_in_f32_is_read_back_exactly() {
    for tied in [false, true] {
        let dir = saved(tied, WeightType::F32);
        let checkpoint = load(dir.path()).unwrap();
        assert_eq!(checkpoint.config, config(tied));
        assert_eq!(checkpoint.decoder.config(), &config(tied));
        assert_eq!(logits(&checkpoint.decoder), logits(&decoder(tied)));
        assert_eq!(checkpoint.bos_token_id, Some(1));
        assert_eq!(checkpoint.eos_token_ids, [2, 3]);
        assert_eq!(checkpoint.pad_token_id, None);
    }
}

#[test]
fn half_precision_is_read_back_as_f32() {
    let exact = logits(&decoder(false));
    for (dtype, tolerance) in [
        (WeightType::F16, F16_LOGIT_TOLERANCE),
        (WeightType::BF16, 8.0 * F16_LOGIT_TOLERANCE),
    ] {
        let dir = saved(false, dtype);
        let worst = max_difference(&logits(&load(dir.path()).unwrap().decoder), &exact);
        assert!(
            worst > 0.0 && worst < tolerance,
            "{dtype:?}: the logits differ by {worst}"
        );
    }
}

#[test]
fn saving_is_deterministic_and_leaves_nothing_else_behind() {
    let (one, two) = (
        saved(false, WeightType::BF16),
        saved(false, WeightType::BF16),
    );
    let mut names: Vec<_> = std::fs::read_dir(one.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["config.json", "generation_config.json", "model.safetensors"]
    );
    for name in names {
        let read = |dir: &TempDir| std::fs::read(dir.path().join(&name)).unwrap();
        assert_eq!(read(&one), read(&two), "{name}");
    }
    assert_eq!(
        load(one.path()).unwrap().fingerprint,
        load(two.path()).unwrap().fingerprint
    );
}

#[test]
fn the_reference_reader_accepts_what_is_saved() {
    let dir = saved(true, WeightType::F32);
    let bytes = std::fs::read(weights(dir.path())).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 2 + 2 * 9);
    assert_eq!(
        file.tensor("model.layers.1.mlp.down_proj.weight")
            .unwrap()
            .shape(),
        [12, 18]
    );
    assert!(file.tensor("lm_head.weight").is_err());
}

#[test]
fn a_fingerprint_follows_the_weights_and_the_configuration() {
    let dir = saved(false, WeightType::F32);
    let first = load(dir.path()).unwrap().fingerprint;
    assert_eq!(first.len(), 64);
    assert!(
        first
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    edit_config(dir.path(), |config| config["rope_theta"] = 501.0.into());
    edit_config(dir.path(), |config| {
        config["rope_parameters"]["rope_theta"] = 501.0.into()
    });
    let second = load(dir.path()).unwrap().fingerprint;
    assert_ne!(second, first);
    edit_weights(&weights(dir.path()), |tensors| tensors[0].3[0] ^= 1);
    assert_ne!(load(dir.path()).unwrap().fingerprint, second);
}

#[test]
fn a_weight_that_f16_cannot_hold_is_refused() {
    let mut config = config(false);
    config.initializer_range = 1e6;
    let dir = TempDir::new().unwrap();
    let decoder = new_decoder(&config, 7, &golden::device());
    let error = save_checkpoint(&decoder, dir.path(), &options(WeightType::F16)).unwrap_err();
    assert!(
        matches!(error, TransformerError::WeightOverflow { .. }),
        "{error}"
    );
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn every_tensor_that_does_not_fit_is_listed() {
    let dir = saved(false, WeightType::F32);
    edit_weights(&weights(dir.path()), |tensors| {
        tensors.retain(|(name, ..)| name != "model.norm.weight");
        for (name, dtype, shape, bytes) in tensors {
            match name.as_str() {
                "model.layers.0.self_attn.k_proj.weight" => *shape = vec![12, 4],
                "model.layers.1.input_layernorm.weight" => *name = "model.layers.9.extra".into(),
                "lm_head.weight" => {
                    *dtype = "F64".into();
                    bytes.extend(bytes.clone());
                }
                _ => {}
            }
        }
    });
    let error = refusal(dir.path());
    for part in [
        "missing tensor `model.norm.weight` of shape [12]",
        "tensor `model.layers.0.self_attn.k_proj.weight` has shape [12, 4], expected [4, 12]",
        "missing tensor `model.layers.1.input_layernorm.weight`",
        "unknown tensor `model.layers.9.extra`",
        "tensor `lm_head.weight` has type F64, expected F32, F16 or BF16",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn of_many_tensors_that_do_not_fit_the_first_are_listed() {
    let dir = saved(false, WeightType::F32);
    edit_config(dir.path(), |config| {
        config["num_hidden_layers"] = json!(1_000);
    });
    let refusal = refusal(dir.path());
    // Nine weights of each layer that is not there.
    let more = 9 * (1_000 - config(false).num_hidden_layers) - 20;
    assert!(
        refusal.ends_with(&format!("; and {more} more")),
        "{refusal}"
    );
    assert!(refusal.len() < 3_000, "{}", refusal.len());
}

#[test]
fn stored_rotary_frequencies_are_ignored() {
    let dir = saved(false, WeightType::F32);
    edit_weights(&weights(dir.path()), |tensors| {
        let name = "model.layers.0.self_attn.rotary_emb.inv_freq".to_string();
        tensors.push((name, "F32".into(), vec![2], vec![0; 8]));
    });
    assert!(load(dir.path()).is_ok());
}

#[test]
fn a_head_beside_tied_embeddings_must_equal_them() {
    let dir = saved(true, WeightType::F32);
    let add_head = |tensors: &mut Tensors| {
        let embedding = tensors
            .iter()
            .find(|t| t.0 == "model.embed_tokens.weight")
            .unwrap();
        let mut head = embedding.clone();
        head.0 = "lm_head.weight".into();
        tensors.push(head);
    };
    edit_weights(&weights(dir.path()), add_head);
    assert!(load(dir.path()).is_ok());
    edit_weights(&weights(dir.path()), |tensors| {
        tensors.last_mut().unwrap().3[1] ^= 1
    });
    let error = refusal(dir.path());
    assert!(
        error.contains("`lm_head.weight` differs from `model.embed_tokens.weight`"),
        "{error}"
    );
}

#[test]
fn settings_that_are_not_computed_are_refused_by_name() {
    let dir = saved(false, WeightType::F32);
    let cases: [(&str, Value); 7] = [
        ("model_type", json!("mamba")),
        ("hidden_act", json!("gelu")),
        ("sliding_window", json!(4096)),
        ("rope_parameters", json!({ "rope_type": "ntk" })),
        (
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
        ),
        ("quantization_config", json!({ "quant_method": "gptq" })),
        ("final_logit_softcapping", json!(30.0)),
    ];
    let original = std::fs::read(dir.path().join("config.json")).unwrap();
    for (setting, value) in cases {
        edit_config(dir.path(), |config| config[setting] = value.clone());
        let error = load(dir.path()).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, TransformerError::UnsupportedModel { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(setting), "{setting}: {error}");
        std::fs::write(dir.path().join("config.json"), &original).unwrap();
    }
}

#[test]
fn both_spellings_and_the_customary_omissions_are_read() {
    let dir = saved(false, WeightType::F32);
    let remove = |fields: &'static [&str]| {
        edit_config(dir.path(), |config| {
            for field in fields {
                config.as_object_mut().unwrap().remove(*field);
            }
        });
    };
    remove(&["rope_parameters"]);
    assert_eq!(load(dir.path()).unwrap().config.rope_theta, 500.0);
    remove(&[
        "rope_theta",
        "initializer_range",
        "tie_word_embeddings",
        "hidden_act",
    ]);
    let found = load(dir.path()).unwrap().config;
    assert_eq!(
        (found.rope_theta, found.initializer_range),
        (10_000.0, 0.02)
    );
    edit_config(dir.path(), |config| {
        config["rope_parameters"] = json!({ "rope_theta": 700, "rope_type": "default" });
        config["eos_token_id"] = json!(5);
        config["rope_scaling"] = Value::Null;
    });
    let found = load(dir.path()).unwrap();
    assert_eq!(found.config.rope_theta, 700.0);
    assert_eq!(found.eos_token_ids, [5]);
    edit_config(dir.path(), |config| config["rope_theta"] = json!(800));
    assert!(refusal(dir.path()).contains("`rope_theta` is 800, expected 700"));
}

#[test]
fn head_dim_and_key_value_heads_follow_from_the_others() {
    let dir = TempDir::new().unwrap();
    let config = DecoderConfig {
        head_dim: 6,
        num_key_value_heads: 2,
        ..config(false)
    };
    let decoder = new_decoder(&config, 7, &golden::device());
    save_checkpoint(&decoder, dir.path(), &options(WeightType::F32)).unwrap();
    edit_config(dir.path(), |fields| {
        fields.as_object_mut().unwrap().remove("head_dim");
        fields
            .as_object_mut()
            .unwrap()
            .remove("num_key_value_heads");
    });
    assert_eq!(load(dir.path()).unwrap().config, config);
    edit_config(dir.path(), |fields| {
        fields["num_attention_heads"] = json!(5)
    });
    assert!(refusal(dir.path()).contains("`hidden_size` is 12, expected a multiple"));
}

#[test]
fn a_configuration_that_lacks_a_size_names_it() {
    let dir = saved(false, WeightType::F32);
    edit_config(dir.path(), |config| config["vocab_size"] = json!("twenty"));
    assert!(refusal(dir.path()).contains("`vocab_size` is \"twenty\", expected a whole number"));
    edit_config(dir.path(), |config| config["vocab_size"] = Value::Null);
    assert!(refusal(dir.path()).contains("`vocab_size` is null, expected a whole number"));
    edit_config(dir.path(), |config| {
        config["vocab_size"] = json!(20);
        config["num_key_value_heads"] = json!(0);
    });
    assert!(refusal(dir.path()).contains("num_key_value_heads is 0"));
}

#[test]
fn a_directory_without_weights_or_configuration_says_what_is_expected() {
    let dir = saved(false, WeightType::F32);
    std::fs::remove_file(weights(dir.path())).unwrap();
    assert!(refusal(dir.path()).contains("holds no weights: expected `model.safetensors` or"));
    let empty = TempDir::new().unwrap();
    assert!(refusal(empty.path()).contains("config.json"));
    std::fs::write(empty.path().join("config.json"), "{ not json").unwrap();
    assert!(matches!(
        load(empty.path()),
        Err(TransformerError::Json { .. })
    ));
}

#[test]
fn a_damaged_file_is_named_and_never_panics() {
    let dir = saved(false, WeightType::F32);
    let path = weights(dir.path());
    let sound = std::fs::read(&path).unwrap();
    let mut damaged: Vec<Vec<u8>> = [0, 5, 8, 40, sound.len() / 2, sound.len() - 1]
        .iter()
        .map(|&length| sound[..length].to_vec())
        .collect();
    damaged.push([&sound[..], &[0]].concat());
    damaged.push([&u64::MAX.to_le_bytes(), &sound[8..]].concat());
    damaged.push([&[9, 0, 0, 0, 0, 0, 0, 0], &sound[8..]].concat());
    damaged.push(b"<html>404 not found</html>".to_vec());
    for bytes in damaged {
        std::fs::write(&path, &bytes).unwrap();
        let error = load(dir.path()).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, TransformerError::WeightFile { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("model.safetensors"), "{error}");
    }
}

#[test]
fn a_decoder_with_damaged_weights_does_not_generate() {
    let dir = saved(false, WeightType::F32);
    edit_weights(&weights(dir.path()), |tensors| {
        let norm = tensors
            .iter_mut()
            .find(|t| t.0 == "model.norm.weight")
            .unwrap();
        norm.3[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let decoder = load(dir.path()).unwrap().decoder;
    let error = generate_batch(&decoder, &[vec![1, 2]], &GenerationConfig::greedy(1)).unwrap_err();
    assert!(
        matches!(
            error,
            TransformerError::LogitNotFinite {
                token: 0,
                position: 2,
                ..
            }
        ),
        "{error}"
    );
}

/// Splits the weights of a saved decoder into two shards and an index.
fn shard(dir: &Path) -> Value {
    let path = weights(dir);
    let mut map = serde_json::Map::new();
    let mut all = Tensors::new();
    edit_weights(&path, |tensors| all = tensors.clone());
    std::fs::remove_file(&path).unwrap();
    for (number, tensors) in all.chunks(all.len().div_ceil(2)).enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", number + 1);
        write_weights(&dir.join(&name), &tensors.to_vec());
        map.extend(tensors.iter().map(|tensor| (tensor.0.clone(), json!(name))));
    }
    json!({ "metadata": { "total_size": 1 }, "weight_map": map })
}

fn write_index(dir: &Path, index: &Value) {
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn shards_are_read_as_one() {
    let dir = saved(false, WeightType::F32);
    let index = shard(dir.path());
    write_index(dir.path(), &index);
    assert_eq!(
        logits(&load(dir.path()).unwrap().decoder),
        logits(&decoder(false))
    );
}

#[test]
fn shards_outside_the_directory_are_refused() {
    let dir = saved(false, WeightType::F32);
    let index = shard(dir.path());
    for shard in [
        "../model.safetensors",
        "/etc/passwd",
        "a/b",
        "..",
        "",
        "a\\b",
        "C:x",
    ] {
        let mut index = index.clone();
        index["weight_map"]["model.norm.weight"] = json!(shard);
        write_index(dir.path(), &index);
        let error = load(dir.path()).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, TransformerError::ShardName { .. }),
            "{error}"
        );
    }
}

#[test]
fn an_index_that_contradicts_its_shards_is_refused() {
    let dir = saved(false, WeightType::F32);
    let index = shard(dir.path());
    let first = "model-00001-of-00002.safetensors";
    let mut moved = index.clone();
    moved["weight_map"]["model.norm.weight"] = json!(first);
    write_index(dir.path(), &moved);
    assert!(refusal(dir.path()).contains("`model.norm.weight` is not in model-00001"));
    write_index(dir.path(), &index);
    std::fs::remove_file(dir.path().join(first)).unwrap();
    assert!(refusal(dir.path()).contains(first));
}

#[test]
fn a_family_that_is_not_known_is_refused_by_name() {
    let Some(dir) = shared("golden/hf/gpt-neox") else {
        return;
    };
    let error = refusal(&dir);
    let told = "`model_type` = \"gpt_neox\" is not supported, only \"llama\", \"mistral\",";
    assert!(error.contains(told), "{error}");
}

#[test]
fn every_family_is_written_as_it_was_read() {
    for Case {
        name: case, dir, ..
    } in family_cases()
    {
        let read = load(&dir).unwrap();
        let written = TempDir::new().unwrap();
        save_checkpoint(&read.decoder, written.path(), &options(WeightType::F32)).unwrap();
        let again = load(written.path()).unwrap();
        assert_eq!(again.config, read.config, "{case}");
        assert_eq!(logits(&again.decoder), logits(&read.decoder), "{case}");
        let names = |dir: &Path| -> Vec<(String, Vec<usize>)> {
            let mut tensors = Vec::new();
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if !(name.starts_with("model") && name.ends_with(".safetensors")) {
                    continue;
                }
                let bytes = std::fs::read(&path).unwrap();
                let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
                let found = file.tensors().into_iter();
                tensors.extend(found.map(|(name, tensor)| (name, tensor.shape().to_vec())));
            }
            tensors.sort();
            tensors
        };
        assert_eq!(names(written.path()), names(&dir), "{case}");
    }
}

#[test]
fn weights_above_a_size_are_written_as_shards_and_read_again() {
    let dir = saved(false, WeightType::F16);
    let single = std::fs::read(weights(dir.path())).unwrap();
    let single = safetensors::SafeTensors::deserialize(&single).unwrap();
    let bytes = |tensors: &safetensors::SafeTensors<'_>| -> usize {
        tensors.iter().map(|(_, tensor)| tensor.data().len()).sum()
    };
    let sharded = SaveOptions {
        max_shard_bytes: Some(1000),
        ..options(WeightType::F16)
    };
    save_checkpoint(&decoder(false), dir.path(), &sharded).unwrap();
    assert!(!weights(dir.path()).exists());
    let index = std::fs::read(dir.path().join("model.safetensors.index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["metadata"]["total_size"], bytes(&single));
    let mut files: Vec<&str> = index["weight_map"]
        .as_object()
        .unwrap()
        .values()
        .map(|file| file.as_str().unwrap())
        .collect();
    files.dedup();
    assert!(files.len() > 2);
    for (number, file) in files.iter().enumerate() {
        assert_eq!(
            *file,
            format!("model-{:05}-of-{:05}.safetensors", number + 1, files.len())
        );
        let shard = std::fs::read(dir.path().join(file)).unwrap();
        let shard = safetensors::SafeTensors::deserialize(&shard).unwrap();
        assert!(bytes(&shard) <= 1000 || shard.len() == 1);
        for (name, tensor) in shard.iter() {
            assert_eq!(tensor.data(), single.tensor(name).unwrap().data(), "{name}");
        }
    }
    let read = logits(&load(dir.path()).unwrap().decoder);
    let one_file = saved(false, WeightType::F16);
    assert_eq!(read, logits(&load(one_file.path()).unwrap().decoder));
    // And back to one file, of which no index speaks any more.
    save_checkpoint(&decoder(false), dir.path(), &options(WeightType::F16)).unwrap();
    assert!(!dir.path().join("model.safetensors.index.json").exists());
    assert_eq!(read, logits(&load(dir.path()).unwrap().decoder));
}

#[test]
fn names_without_the_prefix_and_stored_masks_of_the_original_gpt2_are_read() {
    let Some(original) = shared("golden/hf/gpt2") else {
        return;
    };
    let expected = logits(&load(&original).unwrap().decoder);
    let dir = TempDir::new().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::write(
            dir.path().join(name),
            std::fs::read(original.join(name)).unwrap(),
        )
        .unwrap();
    }
    edit_weights(&weights(dir.path()), |tensors| {
        for (name, ..) in tensors.iter_mut() {
            *name = name.strip_prefix("transformer.").unwrap().to_owned();
        }
        tensors.push(("h.0.attn.bias".into(), "U8".into(), vec![1], vec![1]));
    });
    assert_eq!(logits(&load(dir.path()).unwrap().decoder), expected);
    edit_weights(&weights(dir.path()), |tensors| {
        tensors.retain(|(name, ..)| name != "h.1.attn.c_attn.weight");
    });
    let refusal = refusal(dir.path());
    let told = "missing tensor `transformer.h.1.attn.c_attn.weight` of shape [64, 192]";
    assert!(refusal.contains(told), "{refusal}");
}

#[test]
fn a_decoder_that_its_family_does_not_compute_is_not_written() {
    let mut other = config(true);
    other.architecture.logit_softcap = Some(30.0);
    let dir = TempDir::new().unwrap();
    let decoder = new_decoder(&other, 7, &golden::device());
    let error = save_checkpoint(&decoder, dir.path(), &options(WeightType::F32)).unwrap_err();
    let told =
        "cannot be written as llama: logit_softcap is 30.0, which would be read back as null";
    assert!(error.to_string().contains(told), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn impossible_numbers_in_a_configuration_are_refused_before_anything_is_allocated() {
    for (field, value, told) in [
        ("num_hidden_layers", json!(i32::MAX), "num_hidden_layers is"),
        ("hidden_size", json!(i32::MAX), "expected"),
        ("vocab_size", json!(u64::MAX), "vocab_size is"),
        ("eos_token_id", json!([2, 20]), "token ids below vocab_size"),
    ] {
        let dir = saved(false, WeightType::F32);
        edit_config(dir.path(), |config| config[field] = value);
        let refusal = refusal(dir.path());
        assert!(refusal.contains(told), "{field}: {refusal}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn a_configuration_of_arbitrary_numbers_never_panics(
        fields in proptest::collection::vec((0usize..10, proptest::prelude::any::<i64>()), 1..4),
        small in proptest::bool::ANY,
    ) {
        const FIELDS: [&str; 10] = [
            "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
            "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",
            "eos_token_id", "bos_token_id",
        ];
        let dir = saved(true, WeightType::F32);
        edit_config(dir.path(), |config| {
            for (field, value) in fields {
                config[FIELDS[field]] = json!(if small { value % 64 } else { value });
            }
        });
        if let Err(error) = load(dir.path()) {
            proptest::prop_assert!(!error.to_string().is_empty());
        }
    }
}
