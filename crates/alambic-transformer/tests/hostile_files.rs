//! Files that nobody wrote in good faith: an error with words, or a model that computes; never a panic, and nothing that
//! lies outside the directory. The fuzz targets in `fuzz/` look further; these cases run with all other tests.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;

use std::fs;
use std::path::{Path, PathBuf};

use alambic_transformer::{
    Checkpoint, GenerationConfig, TransformerError, generate_batch, load_adapter, load_checkpoint,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const SHARD: &str = "model-00001-of-00001.safetensors";

fn families() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families")
}

/// A recorded model in a directory of its own, `model`, beside which nothing may be read.
fn copied(family: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let model = dir.path().join("model");
    fs::create_dir(&model).unwrap();
    for name in [CONFIG, WEIGHTS] {
        fs::copy(families().join(family).join(name), model.join(name)).unwrap();
    }
    (dir, model)
}

fn read_json(path: &Path) -> Map<String, Value> {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn write_json(path: &Path, fields: &Map<String, Value>) {
    fs::write(path, serde_json::to_vec(fields).unwrap()).unwrap();
}

/// An error has words; what is still a model computes, if only to say that numbers are not finite.
fn assert_loads_or_refuses(loaded: Result<Checkpoint, TransformerError>) {
    match loaded {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(checkpoint) => {
            let greedy = GenerationConfig::greedy(2);
            generate_batch(&checkpoint.decoder, &[vec![3, 4]], &greedy).ok();
        }
    }
}

/// Values that no honest file has, and some that one may.
fn hostile_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0u64..70).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![1e300, -0.0, 1e-300, 0.5, 4.0]).prop_map(Value::from),
        select(vec![
            "linear",
            "dynamic",
            "llama3",
            "yarn",
            "longrope",
            "su",
            "sliding_attention",
            "silu",
            "F64",
            "BF16",
            "q_proj",
            "../../x",
            "/etc/passwd",
            "",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            (rope_key(), inner).prop_map(|(key, value)| json!({ key: value })),
        ]
    })
}

fn rope_key() -> impl Strategy<Value = String> {
    select(vec![
        "rope_type",
        "type",
        "factor",
        "rope_theta",
        "short_factor",
        "long_factor",
        "low_freq_factor",
        "beta_fast",
        "original_max_position_embeddings",
        "attention_factor",
        "partial_rotary_factor",
        "full_attention",
        "intermediate_size",
    ])
    .prop_map(str::to_owned)
}

/// Puts a value in the place of one of an object's, or of what is inside of it.
fn replace(fields: &mut Map<String, Value>, [outer, inner]: [Index; 2], value: Value) {
    if fields.is_empty() {
        return;
    }
    let place = outer.index(fields.len());
    match fields.values_mut().nth(place) {
        Some(Value::Object(object)) if !object.is_empty() => {
            let place = inner.index(object.len());
            match object.values_mut().nth(place) {
                Some(Value::Array(items)) if !items.is_empty() => {
                    let last = items.len() - 1;
                    items[last] = value;
                }
                Some(other) => *other = value,
                None => {}
            }
        }
        Some(other) => *other = value,
        None => {}
    }
}

fn replacements() -> impl Strategy<Value = Vec<([Index; 2], Value)>> {
    let places = [any::<Index>(), any::<Index>()];
    prop::collection::vec((places, hostile_value()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_configuration_of_any_family(
        family in select(golden::OWN_FAMILIES.to_vec()),
        changes in prop::collection::vec((any::<Index>(), any::<bool>(), rope_key(), hostile_value()), 1..4),
        sizes in prop::option::of(hostile_value()),
    ) {
        let (_dir, model) = copied(family);
        let mut config = read_json(&model.join(CONFIG));
        for (index, nested, rope_key, value) in changes {
            let key = config.keys().nth(index.index(config.len())).unwrap().clone();
            match config.get_mut("rope_parameters").filter(|_| nested) {
                Some(Value::Object(rope)) => { rope.insert(rope_key, value); }
                _ => { config.insert(key, value); }
            }
        }
        config.extend(sizes.map(|sizes| ("layer_sizes".to_owned(), sizes)));
        write_json(&model.join(CONFIG), &config);
        assert_loads_or_refuses(load_checkpoint(&model, &golden::device()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn sizes_of_layers_of_arbitrary_numbers(
        numbers in prop::collection::vec(prop_oneof![0u64..9, any::<u64>()], 6),
    ) {
        let (_dir, model) = copied("llama-biases");
        let mut config = read_json(&model.join(CONFIG));
        let layers = config["num_hidden_layers"].as_u64().unwrap() as usize;
        let sizes = (0..layers).map(|layer| {
            let number = |index: usize| numbers[(3 * layer + index) % numbers.len()];
            json!({
                "intermediate_size": number(0),
                "num_attention_heads": number(1),
                "num_key_value_heads": number(2),
            })
        });
        let sizes: Vec<Value> = sizes.collect();
        config.insert("layer_sizes".to_owned(), json!(sizes));
        write_json(&model.join(CONFIG), &config);
        assert_loads_or_refuses(load_checkpoint(&model, &golden::device()));
    }

    #[test]
    fn a_header_of_other_offsets_shapes_and_types(changes in replacements(), longer in 0u64..3) {
        let (_dir, model) = copied("qwen2-sliding");
        let bytes = fs::read(model.join(WEIGHTS)).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        for (places, value) in changes {
            replace(&mut header, places, value);
        }
        let header = serde_json::to_vec(&header).unwrap();
        let said = header.len() as u64 + longer / 2;
        let file = [&said.to_le_bytes(), &header[..], &bytes[8 + length..]].concat();
        fs::write(model.join(WEIGHTS), file).unwrap();
        assert_loads_or_refuses(load_checkpoint(&model, &golden::device()));
    }

    #[test]
    fn an_index_that_names_other_files(
        changes in replacements(),
        outside in prop::option::of((any::<Index>(), select(vec!["../decoy.safetensors", "../model/../decoy.safetensors"]))),
    ) {
        let (dir, model) = copied("olmo3");
        // Sound weights, where nothing may look for them.
        fs::copy(model.join(WEIGHTS), dir.path().join("decoy.safetensors")).unwrap();
        fs::rename(model.join(WEIGHTS), model.join(SHARD)).unwrap();
        let bytes = fs::read(model.join(SHARD)).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let names = header.keys().filter(|name| *name != "__metadata__");
        let map: Map<String, Value> = names.map(|name| (name.clone(), json!(SHARD))).collect();
        let mut index = Map::from_iter([
            ("metadata".to_owned(), json!({})),
            ("weight_map".to_owned(), Value::Object(map)),
        ]);
        for (places, value) in changes {
            replace(&mut index, places, value);
        }
        let map = index.get_mut("weight_map").and_then(Value::as_object_mut);
        let leaves = match (map, &outside) {
            (Some(map), Some((place, path))) if !map.is_empty() => {
                let place = place.index(map.len());
                *map.values_mut().nth(place).unwrap() = json!(path);
                true
            }
            _ => false,
        };
        write_json(&model.join("model.safetensors.index.json"), &index);
        let loaded = load_checkpoint(&model, &golden::device());
        prop_assert!(!leaves || loaded.is_err());
        assert_loads_or_refuses(loaded);
    }

    #[test]
    fn settings_of_adapters(
        changes in prop::collection::vec((any::<Index>(), hostile_value()), 1..4),
    ) {
        let adapters = families().join("../adapters/gemma2-two");
        let dir = TempDir::new().unwrap();
        let weights = "adapter_model.safetensors";
        fs::copy(adapters.join(weights), dir.path().join(weights)).unwrap();
        let mut config = read_json(&adapters.join("adapter_config.json"));
        for (index, value) in changes {
            let key = config.keys().nth(index.index(config.len())).unwrap().clone();
            config.insert(key, value);
        }
        write_json(&dir.path().join("adapter_config.json"), &config);
        let base = load_checkpoint(&families().join("gemma2-odd"), &golden::device()).unwrap();
        if let Err(error) = load_adapter(base.decoder, dir.path()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
