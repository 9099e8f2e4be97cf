//! The identity of a tokenizer.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Raised when the bytes that are hashed change their meaning.
const VERSION: &str = "alambic tokenizer 1";

/// Words, digits, white space, several scripts, a character outside the basic plane, a composed
/// and a decomposed accent: texts in which tokenizers differ although their parts look alike.
const PROBE: &str = "Hello, world!  I'll say 12345.67 times:\n\t\"don't\" na\u{ef}ve nai\u{308}ve \
                     \u{4f60}\u{597d} \u{41f}\u{440}\u{438}\u{432}\u{435}\u{442} \u{1f642} <s></s>";

/// SHA-256 over everything that decides which ids a text gets.
pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Result<String, AnyError> {
    let mut vocabulary: Vec<(u32, String)> = tokenizer
        .get_vocab(true)
        .into_iter()
        .map(|(token, id)| (id, token))
        .collect();
    vocabulary.sort_unstable();

    // A tokenizer without a token for unknown text may refuse the probe; that is its mark too.
    let probe = tokenizer.encode(PROBE, true).ok();
    let probe_ids = probe.as_ref().map(tokenizers::Encoding::get_ids);

    let mut hasher = Sha256::new();
    hasher.update(VERSION);
    let mut update = |name: &str, value: Value| -> Result<(), AnyError> {
        let json = serde_json::to_string(&sorted(value))?;
        hasher.update(format!("\n{name}\n{}\n", json.len()));
        hasher.update(json);
        Ok(())
    };
    update("vocabulary", json(&vocabulary)?)?;
    update("model", json(tokenizer.get_model())?)?;
    update("added_tokens", json(tokenizer.get_added_vocabulary())?)?;
    update("normalizer", json(&tokenizer.get_normalizer())?)?;
    update("pre_tokenizer", json(&tokenizer.get_pre_tokenizer())?)?;
    update("post_processor", json(&tokenizer.get_post_processor())?)?;
    update("probe", json(&probe_ids)?)?;
    let digest = hasher.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, serde_json::Error> {
    serde_json::to_value(value)
}

/// The same value with the keys of all objects in alphabetical order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            fields
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect()
        }
        other => other,
    }
}
