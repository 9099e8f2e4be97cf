//! Writes the first inputs of every fuzz target, all of them made here: `seeds DIRECTORY`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alambic_fuzz::{Scratch, decoder, save, tiny_caches, tiny_models};
use alambic_text::Tokenizer;
use alambic_transformer::{
    LoraConfig, Projection, SaveOptions, WeightType, save_adapter, save_checkpoint,
};
use arrow::array::{
    ArrayRef, ListArray, ListBuilder, PrimitiveBuilder, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Fields, Float32Type, UInt8Type, UInt32Type,
};
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};

fn main() {
    let directory = std::env::args_os().nth(1).expect("a directory to write to");
    let scratch = Scratch::new();
    let seeds = Seeds {
        directory: directory.into(),
    };
    models(&seeds, scratch.inside());
    index(&seeds, &scratch.inside().join("shards"));
    adapter(&seeds, &scratch.inside().join("adapter"));
    adapters_of_shared_tensors(&seeds);
    tokenizers(&seeds, scratch.inside());
    chat_templates(&seeds);
    caches(&seeds, scratch.inside());
    corpora(&seeds);
    foreign_caches(&seeds);
    fs::remove_dir_all(scratch.outside()).expect("the files of this process");
}

/// Where the inputs of all targets go.
struct Seeds {
    directory: PathBuf,
}

impl Seeds {
    fn write(&self, target: &str, name: &str, bytes: impl AsRef<[u8]>) {
        let directory = self.directory.join(target);
        fs::create_dir_all(&directory).expect("a directory of seeds");
        fs::write(directory.join(name), bytes).expect("a seed");
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a file that was just written")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).expect("JSON that was just written")
}

/// Weights in every type, and the configuration of every family.
fn models(seeds: &Seeds, root: &Path) {
    for model in tiny_models() {
        let dir = root.join(model.name);
        let decoder = decoder(&model.config, 1);
        save(&decoder, &dir, None);
        seeds.write("config_json", model.name, read(&dir.join("config.json")));
        if ["llama", "phi3", "gpt2"].contains(&model.name) {
            for (dtype, name) in [
                (WeightType::F32, "f32"),
                (WeightType::BF16, "bf16"),
                (WeightType::F16, "f16"),
            ] {
                let options = SaveOptions {
                    dtype,
                    bos_token_id: None,
                    eos_token_ids: Vec::new(),
                    pad_token_id: None,
                    max_shard_bytes: None,
                };
                save_checkpoint(&decoder, &dir, &options).expect("a tiny model can be written");
                seeds.write(
                    "weights",
                    &format!("{}-{name}", model.name),
                    read(&dir.join("model.safetensors")),
                );
            }
        }
    }
}

/// An index that is right, and some that are not.
fn index(seeds: &Seeds, dir: &Path) {
    save(&decoder(&tiny_models()[0].config, 1), dir, Some(2200));
    let index = read_json(&dir.join("model.safetensors.index.json"));
    let write = |name: &str, index: &Value| seeds.write("weights_index", name, index.to_string());
    write("sound", &index);
    let moved = |shard: &str| {
        let mut moved = index.clone();
        moved["weight_map"]["model.norm.weight"] = json!(shard);
        moved
    };
    for (name, shard) in [
        ("above", "../model-00001-of-00002.safetensors"),
        ("far_above", "../../x"),
        ("absolute", "/dev/null"),
        ("windows", "..\\x"),
        ("parent", ".."),
        ("itself", "."),
        ("missing", "model-00003-of-00002.safetensors"),
        ("other_shard", "model-00001-of-00002.safetensors"),
        ("configuration", "config.json"),
    ] {
        write(name, &moved(shard));
    }
    let text = index.to_string();
    let twice = text.replacen("\"model.norm.weight\"", "\"lm_head.weight\"", 1);
    seeds.write("weights_index", "twice", twice);
}

fn adapter(seeds: &Seeds, dir: &Path) {
    for (name, projections) in [
        ("queries", vec![Projection::Query, Projection::Value]),
        ("all", Projection::ALL.to_vec()),
    ] {
        let lora = LoraConfig {
            rank: 2,
            alpha: 4.0,
            projections,
            base: None,
        };
        let adapted = decoder(&tiny_models()[0].config, 1)
            .with_lora(&lora, 2)
            .expect("settings that fit");
        save_adapter(&adapted, dir, "base", WeightType::BF16)
            .expect("a tiny adapter can be written");
        let config = read_json(&dir.join("adapter_config.json")).to_string();
        let weights = read(&dir.join("adapter_model.safetensors"));
        seeds.write(
            "adapter",
            name,
            [config.as_bytes(), &[0], &weights].concat(),
        );
    }
}

/// Adapters of tensors that hold several projections, which have one first factor for all of them.
fn adapters_of_shared_tensors(seeds: &Seeds) {
    for (name, module, outputs) in [
        ("gpt2", "transformer.h.{}.attn.c_attn", 24),
        ("phi3", "model.layers.{}.self_attn.qkv_proj", 16),
    ] {
        let target = module.rsplit('.').next().expect("the last part of a name");
        let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4.0, "target_modules": [target],
            "fan_in_fan_out": name == "gpt2"});
        let module = |layer: usize| module.replace("{}", &layer.to_string());
        let tensors = (0..2).flat_map(|layer| {
            let name = |factor: &str| format!("base_model.model.{}.{factor}.weight", module(layer));
            [(name("lora_A"), [2, 8]), (name("lora_B"), [outputs, 2])]
        });
        let config = config.to_string();
        let input = [config.as_bytes(), &[0], &safetensors(tensors)].concat();
        seeds.write("adapter", name, input);
    }
}

fn safetensors(tensors: impl Iterator<Item = (String, [usize; 2])>) -> Vec<u8> {
    let (mut header, mut numbers) = (Map::new(), Vec::new());
    for (name, shape) in tensors {
        let start = size_of_val(&numbers[..]);
        numbers.extend((0..shape[0] * shape[1]).map(|i| i as f32 / 64.0 - 0.25));
        let offsets = [start, size_of_val(&numbers[..])];
        header.insert(
            name,
            json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}),
        );
    }
    let header = Value::Object(header).to_string();
    let numbers: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &numbers,
    ]
    .concat()
}

/// One tokenizer for each model, with every kind of part among them.
fn tokenizers(seeds: &Seeds, dir: &Path) {
    let texts = ["the cat sat on the mat".to_owned()];
    let trained =
        Tokenizer::train_byte_level_bpe(texts, 262, &["<s>"]).expect("room for all bytes");
    let path = dir.join("tokenizer.json");
    trained.save(&path).expect("a tokenizer can be written");
    seeds.write("tokenizer", "byte_level", read_json(&path).to_string());
    let added = |id: u32, content: &str| {
        json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false})
    };
    let whole = |parts: Value| {
        let mut tokenizer = json!({"version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [added(0, "<unk>")], "normalizer": null, "pre_tokenizer": null,
            "post_processor": null, "decoder": null});
        for (name, part) in parts.as_object().expect("an object of parts") {
            tokenizer[name] = part.clone();
        }
        tokenizer.to_string()
    };
    let template = json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<unk>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<unk>": {"id": "<unk>", "ids": [0], "tokens": ["<unk>"]}}});
    let split = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|\\s+(?!\\S)"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]});
    let fallback = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
    let twice = json!({"type": "Replace", "pattern": {"String": "e"}, "content": "ee"});
    let doubling = json!({"type": "Sequence", "normalizers": vec![twice; 10]});
    seeds.write(
        "tokenizer",
        "doubling",
        whole(json!({"normalizer": doubling,
            "model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}})),
    );
    let prepend = json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]});
    seeds.write(
        "tokenizer",
        "byte_fallback",
        whole(json!({"normalizer": prepend, "decoder": fallback, "post_processor": template,
            "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": {"<unk>": 0, "<0x0A>": 1, "\u{2581}": 2, "T": 3, "h": 4, "Th": 5, "\u{2581}Th": 6},
                "merges": [["T", "h"], ["\u{2581}", "Th"]]}})),
    );
    seeds.write(
        "tokenizer",
        "split",
        whole(json!({"pre_tokenizer": split, "normalizer": {"type": "NFC"}, "decoder": {"type": "ByteLevel",
                "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "unk_token": "<unk>", "vocab": {"<unk>": 0, "T": 1, "h": 2, "1": 3, "Th": 4},
                "merges": ["T h"]}})),
    );
    seeds.write(
        "tokenizer",
        "word_piece",
        whole(json!({"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["<unk>", 0], "cls": ["<unk>", 0]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": {"<unk>": 0, "the": 1, "c": 2, "##at": 3}}})),
    );
    seeds.write(
        "tokenizer",
        "unigram",
        whole(json!({"pre_tokenizer": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always",
                "split": true}, "decoder": {"type": "Metaspace", "replacement": "\u{2581}",
                "prepend_scheme": "always", "split": true},
            "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
                "vocab": [["<unk>", 0.0], ["\u{2581}", -1.0], ["T", -2.0], ["he", -2.5], ["\u{2581}The", -3.0]]}})),
    );
    seeds.write(
        "tokenizer",
        "word_level",
        whole(json!({"pre_tokenizer": {"type": "Whitespace"}, "truncation": {"direction": "Right", "max_length": 4,
                "strategy": "LongestFirst", "stride": 0}, "padding": {"strategy": {"Fixed": 8}, "direction": "Left",
                "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"},
            "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "The": 1, "cat": 2}, "unk_token": "<unk>"}})),
    );
    // Tables by id must not be made for ids without tokens.
    seeds.write(
        "tokenizer",
        "far_id",
        whole(json!({"decoder": {"type": "ByteFallback"}, "model": {"type": "WordLevel", "unk_token": "<unk>",
                "vocab": {"<unk>": 0, "the": 2_147_483_647}}})),
    );
}

fn chat_templates(seeds: &Seeds) {
    let plain = "{% for m in messages %}<{{ m.role }}>{{ m['content'] | trim }}{{ eos_token }}\n{% endfor %}\
                 {% if add_generation_prompt %}<assistant>{% endif %}";
    let checked = "{{ bos_token }}{%- set ns = namespace(seen=false) -%}\n\
                   {% if messages[0]['role'] == 'system' %}{% set system = messages[0].content %}\n\
                   {% set messages = messages[1:] %}{% endif %}\n\
                   {% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
                   {{ raise_exception('roles must alternate') }}{% endif %}\
                   {% if loop.first and system is defined %}{{ '[' ~ system ~ ']' }}{% endif %}\
                   {{ '<|' + m['role'] + '|>' + m['content'].strip() + eos_token }}{% set ns.seen = true %}{% endfor %}";
    let dated = "{% macro turn(m) %}<{{ m.role | upper }}>{{ m.content.split('\\n')[-1] }}{% endmacro %}\
                 {{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ turn(m) }}{% if m.role == 'assistant' %}\
                 {% generation %}{{ m | tojson(indent=2) }}{% endgeneration %}{% endif %}{% endfor %}\
                 {% if tools is not none %}{{ tools | tojson }}{% endif %}";
    for (name, template) in [("plain", plain), ("checked", checked), ("dated", dated)] {
        seeds.write("chat_template", name, template);
    }
    // Templates that would take all time, memory or stack.
    for (name, template) in [
        ("shared_percent", "{%}"),
        (
            "loops",
            "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
        ),
        (
            "doubling",
            "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        ),
        (
            "sharing",
            "{% set n = namespace(x=[]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x | tojson }}",
        ),
        (
            "itself",
            "{% set n = namespace() %}{% set n.x = n %}{{ n | tojson }}",
        ),
        ("indent", "{{ messages | tojson(indent=99999999999) }}"),
    ] {
        seeds.write("chat_template", name, template);
    }
    let named = json!({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": [
        {"name": "tool_use", "template": "t"}, {"name": "default", "template": plain}]});
    seeds.write("chat_template", "named", named.to_string());
    let single = json!({"bos_token": null, "eos_token": "</s>", "chat_template": checked});
    seeds.write("chat_template", "single", single.to_string());
}

fn caches(seeds: &Seeds, root: &Path) {
    for (kind, cache) in tiny_caches().into_iter().enumerate() {
        let dir = root.join(cache.name);
        let manifest = serde_json::to_value(cache.write(&dir)).expect("a manifest is JSON");
        let shard = read(&dir.join("shard-00000.parquet"));
        seeds.write(
            "cache_shard",
            cache.name,
            [&[kind as u8], &shard[..]].concat(),
        );
        seeds.write("cache_manifest", cache.name, manifest.to_string());
        if kind == 0 {
            for (name, file) in [
                ("above", "../shard-00000.parquet"),
                ("absolute", "/dev/null"),
            ] {
                let mut moved = manifest.clone();
                moved["shards"][0]["file"] = json!(file);
                seeds.write("cache_manifest", name, moved.to_string());
            }
        }
    }
}

fn corpora(seeds: &Seeds) {
    let lines = [
        json!({"text": "one \u{e9}", "other": 1}),
        json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
                            {"role": "assistant", "content": "a"}]}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n\n");
    seeds.write("corpus", "jsonl", [&[0], lines.as_bytes()].concat());
    seeds.write("corpus", "text", b"\x01one<|end|> two \n<|end|><|end|>");
    let strings = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let fields = ["role", "content"].map(|name| Field::new(name, DataType::Utf8, false));
    let fields = Fields::from(fields.to_vec());
    let columns = vec![
        strings(&["user", "assistant", "user"]),
        strings(&["u", "a", "v"]),
    ];
    let messages = StructArray::new(fields.clone(), columns, None);
    let element = Arc::new(Field::new("element", DataType::Struct(fields), false));
    let lists = ListArray::new(
        element,
        OffsetBuffer::from_lengths([2, 1]),
        Arc::new(messages),
        None,
    );
    let texts = ("text", strings(&["one", "two", "two"]));
    for (name, column) in [
        ("text", texts),
        ("messages", ("messages", Arc::new(lists) as ArrayRef)),
    ] {
        let bytes = [&[2], &parquet([column])[..]].concat();
        seeds.write("corpus", &format!("parquet_{name}"), bytes);
    }
}

fn parquet<const N: usize>(columns: [(&str, ArrayRef); N]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a plain schema");
    writer.write(&batch).expect("memory");
    writer.close().expect("memory");
    bytes
}

/// A column of one row, a list.
fn list<T: ArrowPrimitiveType>(values: &[T::Native]) -> ArrayRef {
    let mut lists = ListBuilder::new(PrimitiveBuilder::<T>::new());
    lists.append_value(values.iter().copied().map(Some));
    Arc::new(lists.finish())
}

/// A column of one row, a list of lists, of which some are missing.
fn nested<T: ArrowPrimitiveType>(rows: &[Option<&[T::Native]>]) -> ArrayRef {
    let mut lists = ListBuilder::new(ListBuilder::new(PrimitiveBuilder::<T>::new()));
    for row in rows {
        match row {
            Some(values) => lists
                .values()
                .append_value(values.iter().copied().map(Some)),
            None => lists.values().append(false),
        }
    }
    lists.append(true);
    Arc::new(lists.finish())
}

fn foreign_caches(seeds: &Seeds) {
    let line = json!({"token_ids": [1, 3, 0], "top_ids": [null, [3, 2], [2, 0]],
                      "top_log_probs": [null, [-0.125, -3.0], [-1.5, -0.5]]});
    let lines = format!("{line}\n\n{line}\n{line}\n");
    seeds.write("convert", "jsonl", [&[0], lines.as_bytes()].concat());
    let rows = parquet([
        ("token_ids", list::<UInt32Type>(&[1, 3, 0])),
        (
            "top_ids",
            nested::<UInt32Type>(&[None, Some(&[3, 2]), Some(&[2, 0])]),
        ),
        (
            "top_log_probs",
            nested::<Float32Type>(&[None, Some(&[-0.125, -3.0]), Some(&[-1.5, -0.5])]),
        ),
    ]);
    seeds.write("convert", "parquet", [&[1], &rows[..]].concat());
    let exact =
        "d: 4\nk: 2\nexact_k: 2\nexact_dtype: float32\nresidual_bins: []\ndelta_encoding: false\n";
    let exact_row = [-0.125f32, -3.0].map(f32::to_le_bytes).concat();
    let curve = "d: 8\nk: 3\nexact_k: 1\nexact_dtype: bfloat16\npolynomial_terms:\n- 0\n- sqrt\n\
                 term_dtype: float32\nresidual_bins:\n- element_bits: 4\n  num_elements: 2\n  \
                 scale_dtype: float16\ndelta_encoding: true\nnormalize_t: true\n";
    let curve_row = [
        &[0x00, 0xbf][..],
        &[-1.0f32, -0.5].map(f32::to_le_bytes).concat(),
        &[0x00, 0x28, 0x93],
    ]
    .concat();
    for (name, settings, log_probs, ids) in [
        ("exact", exact, exact_row, &[0b1110_0000][..]),
        ("curve", curve, curve_row, &[0b1110_1000, 0b1000_0000]),
    ] {
        let rows = parquet([
            ("input_ids", list::<UInt32Type>(&[1, 3])),
            (
                "compressed_logprobs",
                nested::<UInt8Type>(&[Some(&log_probs)]),
            ),
            ("bytepacked_indices", nested::<UInt8Type>(&[Some(ids)])),
        ]);
        let input = [&[2], settings.as_bytes(), &[0], &rows].concat();
        seeds.write("convert", &format!("distillkit_{name}"), input);
    }
}
