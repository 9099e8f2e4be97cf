//! Tokenizers and chat templates as they are in the wild, from the shared data directory.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use alambic_text::{
    ChatTemplate, FixedDate, GenerationPrompt, Message, RecordFormat, Role, SpecialTokens,
    SpecialTokensInText, TextError, Tokenizer, read_records,
};
use serde_json::Value;

/// The shared data directory, or a loud line if it is not there.
fn shared(path: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("ALAMBIC_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = directory.join(path);
    if !path.exists() {
        eprintln!(
            "skipped: {} needs the shared data directory (set ALAMBIC_SHARED)",
            path.display()
        );
        return None;
    }
    Some(path)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

const SAMPLES: [&str; 6] = [
    "",
    "Once upon a time, there was a little girl named Lily.",
    "  two  spaces\n\n\ttab, and a line's end \r\n",
    "Zo\u{eb}'s caf\u{e9} \u{2014} \u{65e5}\u{672c} \u{1f642} \u{41f}\u{440}\u{438}",
    "3.14159 + 2 == 5.14159; x_i = f(y) // 100%",
    "\u{0}\u{7f}\u{a0}\u{ad}\u{fffd}",
];

#[test]
fn stories260k_encodes_as_its_original_tokenizer() {
    let Some(directory) = shared("data/stories260K") else {
        return;
    };
    let tokenizer = Tokenizer::from_file(&directory.join("hf/tokenizer.json")).unwrap();
    let cases = read_json(&directory.join("golden/tokenizer_cases.json"));
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let ids = tokenizer.encode(text, SpecialTokens::Add).unwrap().ids;
        assert_eq!(ids, expected, "{text:?}");
        let decoded = tokenizer.decode(&ids, SpecialTokensInText::Skip).unwrap();
        assert_eq!(decoded.trim_start(), text.trim_start());
    }
}

#[test]
fn shared_tokenizers_load_and_those_that_know_every_byte_are_lossless() {
    for (file, knows_every_byte) in [
        ("phi-2/tokenizer.json", true),
        ("phi-3-mini/tokenizer.json", true),
        ("torchtune-tiny/tokenizer.json", true),
        ("torchtune-tiny/tiny_bpe_tokenizer.json", false),
    ] {
        let Some(path) = shared(&format!("data/tokenizers/{file}")) else {
            return;
        };
        let tokenizer = Tokenizer::from_file(&path).unwrap();
        assert_eq!(tokenizer.fingerprint().len(), 64);
        for text in SAMPLES {
            let encoding = match tokenizer.encode(text, SpecialTokens::Omit) {
                Ok(encoding) => encoding,
                // The small vocabularies do not cover every byte.
                Err(TextError::DroppedText { .. }) if tokenizer.vocab_size() < 3_000 => continue,
                Err(error) => panic!("{file}: {error:?}"),
            };
            assert_eq!(encoding.ids.len(), encoding.byte_offsets.len());
            for (start, end) in encoding.byte_offsets {
                assert!(
                    text.get(start..end).is_some(),
                    "{file}: {start}..{end} of {text:?}"
                );
            }
            let decoded = tokenizer
                .decode(&encoding.ids, SpecialTokensInText::Show)
                .unwrap();
            if knows_every_byte {
                assert_eq!(decoded, text, "{file}");
            }
            let mut stream = tokenizer.decode_stream(SpecialTokensInText::Show);
            let mut streamed = String::new();
            for &id in &encoding.ids {
                streamed.extend(stream.push(id).unwrap());
            }
            streamed.extend(stream.finish().unwrap());
            assert_eq!(streamed, decoded, "{file}");
        }
    }
}

#[test]
fn a_vocabulary_with_merges_in_files_of_their_own_is_lossless() {
    let Some(directory) = shared("data/tokenizers/gpt2") else {
        return;
    };
    let merges = fs::read_to_string(directory.join("gpt2.merges.txt")).unwrap();
    let merges: Vec<&str> = merges
        .lines()
        .filter(|line| !line.starts_with("#version"))
        .collect();
    let byte_level = serde_json::json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
    });
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": { "type": "BPE", "vocab": read_json(&directory.join("gpt2.vocab")), "merges": merges },
    });
    let tokenizer = Tokenizer::from_bytes(tokenizer.to_string().as_bytes()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 50_257);
    for text in SAMPLES {
        let ids = tokenizer.encode(text, SpecialTokens::Omit).unwrap().ids;
        let decoded = tokenizer.decode(&ids, SpecialTokensInText::Show).unwrap();
        assert_eq!(decoded, text);
    }
    let known = tokenizer
        .encode("Hello world", SpecialTokens::Omit)
        .unwrap();
    assert_eq!(known.ids, [15_496, 995]); // as published
}

#[test]
fn the_bytes_of_the_tokens_of_a_text_are_the_text() {
    for (file, before) in [
        ("tokenizers/phi-2/tokenizer.json", ""),
        ("tokenizers/phi-3-mini/tokenizer.json", " "),
        ("tokenizers/torchtune-tiny/tokenizer.json", ""),
        ("stories260K/hf/tokenizer.json", " "),
    ] {
        let Some(path) = shared(&format!("data/{file}")) else {
            return;
        };
        let tokenizer = Tokenizer::from_file(&path).unwrap();
        let bytes = tokenizer.token_bytes().unwrap();
        assert_eq!(bytes.len(), tokenizer.vocab_size());
        let mut compared = 0;
        for text in SAMPLES.iter().filter(|text| !text.is_empty()) {
            let Ok(encoding) = tokenizer.encode(text, SpecialTokens::Omit) else {
                continue; // a small vocabulary
            };
            let tokens = encoding.ids.iter().map(|&id| bytes[id as usize].clone());
            let joined: Vec<u8> = tokens.flat_map(|token| token.expect(file)).collect();
            assert_eq!(joined, format!("{before}{text}").into_bytes(), "{file}");
            compared += 1;
        }
        assert!(compared > 1, "{file}: {compared}");
    }
}

#[test]
fn a_tokenizer_without_a_space_loads_and_says_what_it_would_drop() {
    let Some(path) = shared("data/tokenizers/llama3-format-2k/tokenizer.json") else {
        return;
    };
    let tokenizer = Tokenizer::from_file(&path).unwrap();
    let one_word = tokenizer
        .encode("<|begin_of_text|>once", SpecialTokens::Omit)
        .unwrap();
    assert!(one_word.ids.len() >= 2);
    let error = tokenizer
        .encode("once upon", SpecialTokens::Omit)
        .unwrap_err();
    assert!(
        matches!(error, TextError::DroppedText { word_offset: 4, .. }),
        "{error}"
    );
}

#[test]
fn shared_tokenizers_have_different_fingerprints_that_survive_saving() {
    let mut fingerprints = Vec::new();
    let directory = tempfile::tempdir().unwrap();
    for file in [
        "data/stories260K/hf/tokenizer.json",
        "data/tokenizers/llama3-format-2k/tokenizer.json",
        "data/tokenizers/torchtune-tiny/tokenizer.json",
    ] {
        let Some(path) = shared(file) else {
            return;
        };
        let tokenizer = Tokenizer::from_file(&path).unwrap();
        let saved = directory.path().join("tokenizer.json");
        tokenizer.save(&saved).unwrap();
        let reloaded = Tokenizer::from_file(&saved).unwrap();
        assert_eq!(reloaded.fingerprint(), tokenizer.fingerprint(), "{file}");
        fingerprints.push(tokenizer.fingerprint().to_owned());
    }
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 3);
}

#[test]
fn merges_are_those_of_an_independent_trainer() {
    let Some(directory) = shared("data/cs336-bpe") else {
        return;
    };
    let text = fs::read_to_string(directory.join("corpus.en")).unwrap();
    let tokenizer = Tokenizer::train_byte_level_bpe([text], 500, &["<|endoftext|>"]).unwrap();
    let saved = tempfile::tempdir().unwrap();
    let saved = saved.path().join("tokenizer.json");
    tokenizer.save(&saved).unwrap();
    let json = read_json(&saved);
    let merges: Vec<String> = json["model"]["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            format!(
                "{} {}",
                pair[0].as_str().unwrap(),
                pair[1].as_str().unwrap()
            )
        })
        .collect();
    let expected = fs::read_to_string(directory.join("train-bpe-reference-merges.txt")).unwrap();
    let expected: Vec<&str> = expected.lines().collect();
    assert_eq!(merges, expected);
}

/// The template of one of the golden cases.
fn template(path: &Path) -> ChatTemplate {
    let text = fs::read_to_string(path).unwrap();
    let source = if path.extension().unwrap() == "json" {
        let config: Value = serde_json::from_str(&text).unwrap();
        config["chat_template"].as_str().unwrap().to_owned()
    } else {
        text
    };
    let leap_day = FixedDate::try_new(2024, 2, 29).unwrap();
    ChatTemplate::new(&source, "<BOS>", "<EOS>")
        .unwrap()
        .with_date(leap_day)
}

#[test]
fn chat_templates_render_as_in_transformers() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat_templates.json");
    for case in read_json(&golden).as_array().unwrap() {
        let name = case["template"].as_str().unwrap();
        let Some(path) = shared(name) else {
            return;
        };
        let template = template(&path);
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        for (key, generation_prompt) in [
            ("text", GenerationPrompt::Omit),
            ("with_generation_prompt", GenerationPrompt::Append),
        ] {
            let rendered = template.render(&messages, generation_prompt);
            assert_eq!(
                rendered.as_deref().ok(),
                case[key].as_str(),
                "{name}, {}, {key}: {rendered:?}",
                case["conversation"]
            );
        }
    }
}

#[test]
fn the_assistant_turns_of_every_template_are_its_answers_with_their_ends() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat_templates.json");
    let mut turns = 0;
    for case in read_json(&golden).as_array().unwrap() {
        let name = case["template"].as_str().unwrap();
        let Some(path) = shared(name) else {
            return;
        };
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        let answers = messages.iter().filter(|m| m.role == Role::Assistant);
        let answers: Vec<&Message> = answers.collect();
        let chat = template(&path).render_spans(&messages).unwrap();
        assert_eq!(chat.assistant_spans.len(), answers.len(), "{name}");
        let (mut outside, mut from) = (String::new(), 0);
        let mut ends = Vec::new();
        for (span, answer) in chat.assistant_spans.into_iter().zip(answers) {
            outside += &chat.text[from..span.start];
            from = span.end;
            // What the model writes before its answer, the answer, and the template's end of a turn.
            let (before, end) = chat.text[span].split_once(&answer.content).unwrap();
            let opening = before.split_whitespace().collect::<String>();
            let openings = ["", "<think></think>", "</think>", "<|message|>"];
            assert!(openings.contains(&opening.as_str()), "{name}: {before:?}");
            ends.push(end.to_owned());
            turns += 1;
        }
        outside += &chat.text[from..];
        for message in messages {
            let is_answer = message.role == Role::Assistant;
            assert_ne!(
                outside.contains(message.content.trim()),
                is_answer,
                "{name}: {outside:?}"
            );
        }
        // Only the last turn may end otherwise: with the end of the text, or without it.
        ends.pop();
        ends.dedup();
        assert!(ends.len() < 2, "{name}: {ends:?}");
    }
    assert_eq!(turns, 16 * 7);
}

#[test]
fn templates_are_found_in_model_directories() {
    for directory in [
        "qwen2.5",
        "qwen3",
        "gpt-oss",
        "v5/smollm3",
        "v5/qwen2.5-synthetic",
    ] {
        let Some(path) = shared(&format!("data/tokenizers/chat-configs/{directory}")) else {
            return;
        };
        let template = ChatTemplate::from_directory(&path).unwrap().unwrap();
        let leap_day = FixedDate::try_new(2024, 2, 29).unwrap();
        let messages = [
            Message::new(Role::User, "hi"),
            Message::new(Role::Assistant, "hello"),
        ];
        let chat = template
            .with_date(leap_day)
            .render_spans(&messages)
            .unwrap();
        assert!(
            chat.text[chat.assistant_spans[0].clone()].contains("hello"),
            "{directory}"
        );
    }
    if let Some(path) = shared("data/chat-templates") {
        assert!(ChatTemplate::from_directory(&path).unwrap().is_none());
    }
}

/// Files of records, how many each holds, and the field that every record has.
#[test]
fn records_of_published_files_are_read_to_the_last() {
    let Some(data) = shared("data") else { return };
    let columns = ["question", "answer", "rationale"].map(str::to_owned);
    let tabs = RecordFormat::TabSeparated {
        columns: Some(columns.to_vec()),
    };
    for (format, file, count, field) in [
        (&tabs, "flan-cot/aqua_train.tsv", 2728, "rationale"),
        (&tabs, "flan-cot/creak_train.tsv", 6915, "rationale"),
        (&tabs, "flan-cot/ecqa_train.tsv", 7112, "rationale"),
        (&tabs, "flan-cot/gsm8k_train.tsv", 7473, "rationale"),
        (&tabs, "flan-cot/qasc_train.tsv", 1084, "rationale"),
        (&tabs, "flan-cot/strategyqa_train.tsv", 2061, "rationale"),
        (
            &RecordFormat::JsonLines,
            "self-instruct/data/seed_tasks.jsonl",
            175,
            "instruction",
        ),
        (
            &RecordFormat::JsonLines,
            "dolly-hhrlhf-small/dolly_hhrlhf_train_small.jsonl",
            1000,
            "prompt",
        ),
    ] {
        let bytes = fs::read(data.join(file)).unwrap();
        let records = read_records(format, &bytes, file).unwrap();
        assert_eq!(records.len(), count, "{file}");
        let all = records.iter().all(|record| record.contains_key(field));
        assert!(all, "{file}: {:?}", records[0]);
    }
}
