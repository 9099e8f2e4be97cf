//! How much longer than a text the steps of a tokenizer can make it.
//!
//! Every step of a `tokenizer.json` may write more than it reads, and steps multiply: thirty that double a letter
//! make a gigabyte of it. The bounds here are read off the file before any text goes through it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The most that a text may grow. The longest pipelines that we know, such as ALBERT's, stay below 4,000 by these bounds,
/// which assume the worst character everywhere.
const MOST: usize = 4096;
/// UTF-8 bytes per byte of the worst character, from the Unicode FAQ on normalization.
const NFC_OR_NFD: usize = 3;
const NFKC_OR_NFKD: usize = 11;
/// `İ` becomes `i` with a dot above: three bytes for two.
const LOWERCASE: usize = 2;
/// An ideograph of three bytes between two spaces.
const SPACED_IDEOGRAPH: usize = 2;
/// A character of up to four bytes for a space, and one before each word, which may be of one byte.
const METASPACE: usize = 5;
/// Two bytes for one, and as much for the space before a word of one byte.
const BYTE_LEVEL: usize = 4;

/// Refuses a tokenizer with steps that can make a text more than [`MOST`] times as long.
pub(super) fn check(tokenizer: &tokenizers::Tokenizer) -> Result<(), AnyError> {
    let encoding = [
        growth(&tokenizer.get_normalizer())?,
        growth(&tokenizer.get_pre_tokenizer())?,
        growth(&tokenizer.get_post_processor())?,
    ];
    let encoding = encoding.into_iter().fold(1, usize::saturating_mul);
    let decoding = growth(&tokenizer.get_decoder())?;
    for (steps, growth) in [
        ("normalizer, pre-tokenizer and post-processor", encoding),
        ("decoder", decoding),
    ] {
        if growth > MOST {
            let found = match growth {
                usize::MAX => "without bound".to_owned(),
                times => format!("{times} times as long"),
            };
            return Err(format!(
                "its {steps} can make a text {found}, expected at most {MOST} times: \
                 see its steps that replace, repeat or prepend"
            )
            .into());
        }
    }
    Ok(())
}

fn growth<T: Serialize>(part: &T) -> Result<usize, AnyError> {
    Ok(growth_of_step(&serde_json::to_value(part)?))
}

/// The bound for one step, with those that it is made of.
fn growth_of_step(step: &Value) -> usize {
    match step["type"].as_str() {
        Some("Sequence") => {
            let lists = ["normalizers", "pretokenizers", "processors", "decoders"];
            let steps = lists.into_iter().find_map(|list| step[list].as_array());
            let growths = steps.into_iter().flatten().map(growth_of_step);
            growths.fold(1, usize::saturating_mul)
        }
        Some("Replace") => growth_of_replacement(step),
        Some("Precompiled") => longest_of_table(step),
        Some("BertNormalizer") => NFC_OR_NFD * LOWERCASE * SPACED_IDEOGRAPH,
        Some("NFC" | "NFD") => NFC_OR_NFD,
        Some("NFKC" | "NFKD") => NFKC_OR_NFKD,
        Some("Lowercase") => LOWERCASE,
        Some("Metaspace") => METASPACE,
        Some("ByteLevel") => BYTE_LEVEL,
        // Without a suffix or delimiter, a space comes before and after every byte.
        Some("BPEDecoder" | "CTC") => 3,
        // A space before every token.
        Some("WordPiece") => 2,
        // What is put before a word may come before every byte.
        Some("Prepend") => 1 + bytes(&step["prepend"]),
        Some("TemplateProcessing") => copies_of_text(step).max(1),
        _ => 1,
    }
}

/// Each match becomes the content; a regular expression may match the empty text before every byte and behind the last, which
/// of a single byte is twice.
fn growth_of_replacement(step: &Value) -> usize {
    let content = bytes(&step["content"]);
    match bytes(&step["pattern"]["String"]) {
        0 => 1 + 2 * content,
        pattern => content.div_ceil(pattern).max(1),
    }
}

/// The longest text in SentencePiece's table of replacements: a search tree of as many bytes as its first four say,
/// then the texts, each with a zero byte behind it.
fn longest_of_table(step: &Value) -> usize {
    let table = step["precompiled_charsmap"].as_str().unwrap_or_default();
    let table = STANDARD.decode(table).unwrap_or_default();
    let Some((length, rest)) = table.split_first_chunk::<4>() else {
        return 1;
    };
    let texts = rest.get(u32::from_le_bytes(*length) as usize..);
    let lengths = texts
        .unwrap_or(rest)
        .split(|&byte| byte == 0)
        .map(<[u8]>::len);
    lengths.max().unwrap_or(0).max(1)
}

/// How often the template of one text contains the text.
fn copies_of_text(step: &Value) -> usize {
    let pieces = step["single"].as_array().into_iter().flatten();
    pieces
        .filter(|piece| piece.get("Sequence").is_some())
        .count()
}

fn bytes(text: &Value) -> usize {
    text.as_str().map_or(0, str::len)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;
    use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

    use super::*;

    fn normalized(step: &Value, text: &str) -> usize {
        let normalizer: NormalizerWrapper = serde_json::from_value(step.clone()).unwrap();
        let mut normalized = NormalizedString::from(text);
        normalizer.normalize(&mut normalized).unwrap();
        normalized.get().len()
    }

    #[test]
    fn no_normalizer_grows_beyond_its_bound() {
        let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
        let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": false, "lowercase": true});
        let steps = [
            json!({"type": "NFC"}),
            json!({"type": "NFD"}),
            json!({"type": "NFKC"}),
            json!({"type": "NFKD"}),
            json!({"type": "Lowercase"}),
            json!({"type": "ByteLevel"}),
            json!({"type": "Prepend", "prepend": "\u{2581}"}),
            bert,
            replace(json!({"String": "e"}), "eee"),
            replace(json!({"String": "ab"}), "abc"),
            replace(json!({"Regex": "x*"}), "ee"),
        ];
        let characters = (0..=0x10_FFFF).filter_map(char::from_u32).map(String::from);
        let texts: Vec<String> = characters
            .chain(["ab", "eeee", ""].map(String::from))
            .collect();
        for step in steps {
            let bound = growth_of_step(&step);
            let grown = texts.iter().filter(|text| !text.is_empty());
            let worst = grown
                .map(|text| (normalized(&step, text).div_ceil(text.len()), text))
                .max()
                .unwrap();
            assert!(worst.0 <= bound, "{step}: {worst:?}, bound {bound}");
        }
    }

    #[test]
    fn steps_in_sequence_multiply() {
        let twice = json!({"type": "Replace", "pattern": {"String": "e"}, "content": "ee"});
        let sequence =
            |count: usize| json!({"type": "Sequence", "normalizers": vec![twice.clone(); count]});
        assert_eq!(growth_of_step(&sequence(5)), 32);
        assert_eq!(
            growth_of_step(&json!({"type": "Sequence", "normalizers": [sequence(5), sequence(6)]})),
            2048
        );
        assert_eq!(growth_of_step(&sequence(200)), usize::MAX);
    }

    #[test]
    fn the_longest_text_of_a_table_is_found() {
        let mut table = 8u32.to_le_bytes().to_vec();
        table.extend([7; 8]);
        table.extend(b"ab\0abcde\0\0c\0");
        let step = json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(table)});
        assert_eq!(growth_of_step(&step), 5);
    }
}
