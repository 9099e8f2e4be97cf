use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TEXTS: [&str; 3] = [
    "the cat sat on the mat, the cat sat",
    "a cat is not a mat<|end|>the end",
    "na\u{ef}ve caf\u{e9} \u{1f642}",
];

fn trained() -> Tokenizer {
    Tokenizer::train_byte_level_bpe(TEXTS.map(String::from), 290, &["<|end|>"]).unwrap()
}

fn as_json(tokenizer: &Tokenizer) -> Value {
    serde_json::from_str(&tokenizer.inner.to_string(false).unwrap()).unwrap()
}

fn reload(json: &Value) -> Result<Tokenizer, TextError> {
    Tokenizer::from_bytes(json.to_string().as_bytes())
}

#[test]
fn training_twice_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let saved = |name: &str| {
        let path = directory.path().join(name);
        trained().save(&path).unwrap();
        fs::read(path).unwrap()
    };
    assert_eq!(saved("first.json"), saved("second.json"));
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 2, "no temporary file is left");
}

#[test]
fn the_order_of_the_texts_does_not_matter_to_training() {
    let reversed = TEXTS.iter().rev().map(|text| (*text).to_owned());
    let reversed = Tokenizer::train_byte_level_bpe(reversed, 290, &["<|end|>"]).unwrap();
    assert_eq!(as_json(&reversed), as_json(&trained()));
}

#[test]
fn the_most_frequent_pair_is_merged_first_and_ties_go_to_the_greater_bytes() {
    // " b" and "ab" appear once in each; pairs: ("a","b") 2, (" ","a") 1.
    let tokenizer = Tokenizer::train_byte_level_bpe(["ab ab xy".to_owned()], 259, &[]).unwrap();
    let merges = as_json(&tokenizer)["model"]["merges"].clone();
    assert_eq!(merges, json!([["a", "b"], ["x", "y"], ["\u{120}", "xy"]]));
}

#[test]
fn the_vocabulary_is_special_tokens_then_bytes_then_merges() {
    let tokenizer = trained();
    assert_eq!(tokenizer.token_to_id("<|end|>"), Some(0));
    assert_eq!(tokenizer.token_to_id("!"), Some(1));
    assert_eq!(tokenizer.id_to_token(256).unwrap().chars().count(), 1);
    assert_eq!(tokenizer.id_to_token(257).unwrap().chars().count(), 2);
    assert_eq!(tokenizer.vocab_size(), 290);
    assert_eq!(tokenizer.id_to_token(290), None);
}

#[test]
fn training_stops_when_no_pair_is_left() {
    let tokenizer = Tokenizer::train_byte_level_bpe(["ab".to_owned()], 1_000, &[]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 257);
    let nothing = Tokenizer::train_byte_level_bpe([], 1_000, &[]).unwrap();
    assert_eq!(nothing.vocab_size(), 256);
}

#[test]
fn impossible_training_is_refused() {
    let train = |vocab_size, special: &[&str]| {
        let error = Tokenizer::train_byte_level_bpe([], vocab_size, special);
        error.unwrap_err().to_string()
    };
    assert!(train(257, &["<s>", "</s>"]).contains("258"));
    assert!(train(300, &["<s>", "<s>"]).contains("special tokens that are different"));
    assert!(train(300, &[""]).contains("not empty"));
    assert!(train(300, &["a"]).contains("written like"));
}

#[test]
fn special_tokens_in_training_texts_are_never_merged() {
    let text = "<|end|>".repeat(50);
    let tokenizer = Tokenizer::train_byte_level_bpe([text], 300, &["<|end|>"]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 257);
}

#[test]
fn special_tokens_in_a_text_are_recognised_and_can_be_left_out() {
    let tokenizer = trained();
    let ids = tokenizer
        .encode("cat<|end|>", SpecialTokens::Omit)
        .unwrap()
        .ids;
    assert_eq!(ids.last(), Some(&0));
    let decode = |special| tokenizer.decode(&ids, special).unwrap();
    assert_eq!(decode(SpecialTokensInText::Show), "cat<|end|>");
    assert_eq!(decode(SpecialTokensInText::Skip), "cat");
}

#[test]
fn offsets_count_bytes_and_parts_of_a_character_share_its_bytes() {
    let tokenizer = Tokenizer::train_byte_level_bpe([], 256, &[]).unwrap();
    let encoding = tokenizer.encode("a\u{e9}b", SpecialTokens::Omit).unwrap();
    assert_eq!(encoding.byte_offsets, [(0, 1), (1, 3), (1, 3), (3, 4)]);
}

#[test]
fn text_that_a_tokenizer_would_drop_is_an_error() {
    let mut json = as_json(&trained());
    let lost = "\u{120}"; // a space
    json["model"]["vocab"].as_object_mut().unwrap().remove(lost);
    let merges = json["model"]["merges"].as_array_mut().unwrap();
    merges.retain(|pair| pair[0] != lost && pair[1] != lost);
    let tokenizer = reload(&json).unwrap();
    assert!(tokenizer.encode("cat<|end|>", SpecialTokens::Omit).is_ok());
    let error = tokenizer
        .encode("the cat", SpecialTokens::Omit)
        .unwrap_err();
    assert!(
        matches!(
            error,
            TextError::DroppedText {
                character: '\u{120}',
                word_offset: 3,
                ..
            }
        ),
        "{error}"
    );

    json["model"]["ignore_merges"] = json!(true);
    json["model"]["vocab"]["\u{120}cat"] = json!(500);
    let tokenizer = reload(&json).unwrap();
    let whole_word = tokenizer.encode(" cat", SpecialTokens::Omit).unwrap();
    assert_eq!(whole_word.ids, [500]);
}

#[test]
fn unknown_tokens_are_refused_and_not_left_out() {
    let tokenizer = trained();
    let error = tokenizer
        .decode(&[1, 290], SpecialTokensInText::Skip)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "token 290 does not exist, expected an id of the 290 known tokens"
    );
    let mut stream = tokenizer.decode_stream(SpecialTokensInText::Skip);
    assert!(stream.push(290).is_err());
    let id = tokenizer.token_to_id("a").unwrap();
    assert_eq!(stream.push(id).unwrap().as_deref(), Some("a"));
}

#[test]
fn a_character_that_never_becomes_whole_is_told_at_the_end() {
    let tokenizer = trained();
    let ids = tokenizer
        .encode("\u{4e00}", SpecialTokens::Omit)
        .unwrap()
        .ids;
    let mut stream = tokenizer.decode_stream(SpecialTokensInText::Skip);
    assert_eq!(stream.push(ids[0]).unwrap(), None);
    assert_eq!(stream.finish().unwrap().as_deref(), Some("\u{fffd}"));
}

#[test]
fn the_fingerprint_ignores_formatting() {
    let tokenizer = trained();
    let json = as_json(&tokenizer);
    let pretty = serde_json::to_string_pretty(&json).unwrap();
    let pretty = Tokenizer::from_bytes(pretty.as_bytes()).unwrap();
    assert_eq!(pretty.fingerprint(), tokenizer.fingerprint());

    let mut old_merges = json.clone();
    for merge in old_merges["model"]["merges"].as_array_mut().unwrap() {
        let pair = [merge[0].as_str().unwrap(), merge[1].as_str().unwrap()];
        *merge = pair.join(" ").into();
    }
    assert_eq!(
        reload(&old_merges).unwrap().fingerprint(),
        tokenizer.fingerprint()
    );
}

#[test]
fn the_fingerprint_sees_every_part_that_changes_tokens() {
    let json = as_json(&trained());
    let mut fingerprints = vec![trained().fingerprint().to_owned()];
    let mut change = |pointer: &str, value: Value| {
        let mut changed = json.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        fingerprints.push(reload(&changed).unwrap().fingerprint().to_owned());
    };
    change("/normalizer", json!({"type": "Lowercase"}));
    change("/pre_tokenizer/add_prefix_space", json!(true));
    change(
        "/post_processor",
        json!({
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<|end|>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [0], "tokens": ["<|end|>"]}},
        }),
    );
    change("/added_tokens/0/lstrip", json!(true));
    change("/model/fuse_unk", json!(true));
    let mut merges = json["model"]["merges"].clone();
    merges.as_array_mut().unwrap().swap(0, 1);
    change("/model/merges", merges);
    let number = fingerprints.len();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), number);
}

#[test]
fn truncation_and_padding_of_the_file_are_not_applied() {
    let mut json = as_json(&trained());
    json["truncation"] = json!({
        "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0,
    });
    json["padding"] = json!({
        "strategy": {"Fixed": 100}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<|end|>",
    });
    let tokenizer = reload(&json).unwrap();
    let ids = |tokenizer: &Tokenizer| tokenizer.encode(TEXTS[0], SpecialTokens::Add).unwrap().ids;
    assert_eq!(ids(&tokenizer), ids(&trained()));
}

#[test]
fn merge_dropout_is_refused() {
    let mut json = as_json(&trained());
    json["model"]["dropout"] = json!(0.5);
    assert!(matches!(
        reload(&json),
        Err(TextError::RandomTokenizer { .. })
    ));
}

#[test]
fn ids_far_beyond_the_number_of_tokens_are_refused() {
    for id in [2_000_000u64, u32::MAX.into()] {
        let vocab = json!({"<unk>": 0, "the": id});
        let model = json!({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"});
        let json = json!({"model": model}).to_string();
        let error = Tokenizer::from_bytes(json.as_bytes()).unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        let expected = format!("its largest id is {id}, but it has 2 tokens");
        assert!(reason.contains(&expected), "{reason}");
    }
}

#[test]
fn steps_that_could_fill_the_memory_are_refused() {
    let twice = json!({"type": "Replace", "pattern": {"String": "e"}, "content": "ee"});
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let template = json!({"type": "TemplateProcessing", "single": [text, text], "pair": [text],
        "special_tokens": {}});
    let encoding = "normalizer, pre-tokenizer and post-processor";
    for (part, list, step, steps) in [
        ("normalizer", "normalizers", twice.clone(), encoding),
        ("pre_tokenizer", "pretokenizers", bytes, encoding),
        ("post_processor", "processors", template, encoding),
        ("decoder", "decoders", twice, "decoder"),
    ] {
        let mut json = as_json(&trained());
        json[part] = json!({"type": "Sequence", list: vec![step.clone(); 30]});
        let error = reload(&json).unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        let expected = format!("its {steps} can make a text ");
        assert!(reason.starts_with(&expected), "{part}: {reason}");
        json[part] = json!({"type": "Sequence", list: [step]});
        reload(&json).unwrap();
    }
}

#[test]
fn a_broken_file_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokenizer.json");
    let mut merges_of_nothing = as_json(&trained());
    merges_of_nothing["model"]["merges"] = json!([["\u{2460}", "\u{2461}"]]);
    let mut wrong_type = as_json(&trained());
    wrong_type["model"]["vocab"] = json!(7);
    for content in [
        Vec::new(),
        vec![0xFF, 0x00, 0x7B],
        b"{}".to_vec(),
        b"[[[[".to_vec(),
        merges_of_nothing.to_string().into_bytes(),
        wrong_type.to_string().into_bytes(),
    ] {
        fs::write(&path, &content).unwrap();
        let error = Tokenizer::from_file(&path).unwrap_err();
        assert!(matches!(error, TextError::LoadTokenizer { .. }), "{error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    let error = Tokenizer::from_file(directory.path()).unwrap_err();
    assert!(
        matches!(error, TextError::File { action: "read", .. }),
        "{error}"
    );
}

/// Every place in a JSON value.
fn pointers(value: &Value, prefix: &str, found: &mut Vec<String>) {
    found.push(prefix.to_owned());
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => {
            let items = items.iter().enumerate().take(3);
            items.map(|(i, item)| (i.to_string(), item)).collect()
        }
        Value::Object(fields) => fields
            .iter()
            .take(12)
            .map(|(key, item)| (key.replace('~', "~0").replace('/', "~1"), item))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        pointers(child, &format!("{prefix}/{key}"), found);
    }
}

#[test]
fn a_wrong_value_anywhere_is_an_error_or_harmless_but_never_a_panic() {
    let mut json = as_json(&trained());
    json["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [0], "tokens": ["<|end|>"]}},
    });
    let mut places = Vec::new();
    pointers(&json, "", &mut places);
    for place in places {
        for value in [
            json!(null),
            json!(-1),
            json!(4_294_967_295u64),
            json!("x"),
            json!([]),
            json!({}),
            json!([["a", "b"]]),
            json!(true),
            json!({"type": "ByteLevel"}),
        ] {
            let mut broken = json.clone();
            *broken.pointer_mut(&place).unwrap() = value;
            if let Ok(tokenizer) = reload(&broken)
                && let Ok(encoding) = tokenizer.encode("the cat <|end|>", SpecialTokens::Add)
            {
                let _ = tokenizer.decode(&encoding.ids, SpecialTokensInText::Show);
            }
        }
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(text in any::<String>()) {
        let tokenizer = trained();
        let ids = tokenizer.encode(&text, SpecialTokens::Omit).unwrap().ids;
        prop_assert_eq!(tokenizer.decode(&ids, SpecialTokensInText::Show).unwrap(), text);
    }

    #[test]
    fn streamed_pieces_join_to_the_whole_text(
        ids in prop::collection::vec(0u32..290, 0..40),
        show in any::<bool>(),
    ) {
        let tokenizer = trained();
        let special = if show { SpecialTokensInText::Show } else { SpecialTokensInText::Skip };
        let mut stream = tokenizer.decode_stream(special);
        let mut text = String::new();
        for &id in &ids {
            text.extend(stream.push(id).unwrap());
        }
        text.extend(stream.finish().unwrap());
        prop_assert_eq!(text, tokenizer.decode(&ids, special).unwrap());
    }

    #[test]
    fn random_bytes_are_no_tokenizer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Tokenizer::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_flipped_byte_never_panics(position in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = as_json(&trained()).to_string().into_bytes();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if let Ok(tokenizer) = Tokenizer::from_bytes(&bytes) {
            let _ = tokenizer.encode("the cat", SpecialTokens::Add);
        }
    }
}
